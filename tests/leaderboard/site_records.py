"""Records for the tests of the HTML board: three noises, three seeds, a failed, a missing and a hostile one."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from board_records import BASE

from ecgbench.grid.curves import sample_curves
from ecgbench.metrics.curves import Auprc, Auroc
from ecgbench.metrics.cutoffs import PrecisionAtK
from ecgbench.results import SELF_REPORTED, CellRecord, ResultsWriter, Status

HOSTILE = "</script><script>alert(1)</script><img src=https://example.invalid/x onerror=alert(2)>'\"${alert(3)}"
SKILLS = {"oracle": 9.0, "none": 0.0, "ecg": 2.5, "loss": 1.2, "margin[k=30,weights.nli=0.0]": 0.9, "random": 0.1}
NOISES: list[dict[str, Any]] = [
    {"noise": "uniform"},
    {"noise": "artifact_aligned"},
    {"noise": "artifact_aligned", "noise_params": {"clean_marker_rate": 0.05}},
]


def make_cell(detector: str, seed: int, skill: float, **changes: Any) -> CellRecord:
    """Return a record measured on a made-up ranking of 400 items, of which 40 are wrong."""
    is_noisy = np.arange(400) < 40
    scores = np.random.default_rng(seed).normal(size=400) + skill * is_noisy
    measured = {
        "auroc": Auroc().compute(is_noisy, scores),
        "auprc": Auprc().compute(is_noisy, scores),
        "precision_at_k": PrecisionAtK().compute(is_noisy, scores),
    }
    found: dict[str, Any] = {"seconds": 0.5 + skill, "realised_rate": 0.1, "n_classes": 2, "data_key": "a1" * 20}
    found |= {"versions": {"python": "3.11.7"}, "metrics": measured, "curves": sample_curves(is_noisy, scores)}
    return replace(BASE, n=400, detector=detector, seed=seed, sanity=detector in ("oracle", "none"), **found | changes)


def make_records() -> list[CellRecord]:
    """Return a whole grid but for one cell of `margin` under uniform noise, with one cell of `loss` that failed there.

    Then another dataset without curves, whose names are hostile, and a noise of which nothing is noisy.
    """
    records = [
        make_cell(name, seed, skill, **noise) for noise in NOISES for name, skill in SKILLS.items() for seed in range(3)
    ]
    failed = {"status": Status.FAILED, "reason": f"ValueError: {HOSTILE}", "metrics": {}, "curves": None}
    kept = [r for r in records if not (r.detector.startswith("margin") and r.noise == "uniform" and r.seed == 2)]
    kept = [replace(r, **failed) if r.detector == "loss" and r.noise == "uniform" and r.seed == 1 else r for r in kept]
    evil = make_cell(HOSTILE, 0, 1.0, dataset=HOSTILE, noise=HOSTILE, profile=HOSTILE, curves=None)
    evil = replace(evil, findings=[HOSTILE], noise_params={HOSTILE: HOSTILE}, versions={HOSTILE: HOSTILE}, rate=0.2)
    reasons = {"auroc": "not defined: no item has a wrong label"}
    clean = make_cell("ecg", 0, 1.0, noise="none", metrics={"auroc": None}, metric_reasons=reasons, curves={}, rate=0.0)
    return [*kept, evil, clean]


def make_told_records() -> list[CellRecord]:
    """Return two noises and seeds with resamples, costs and transitions, beside what was made elsewhere or long ago.

    `loss` under uniform noise and all of `annotator` are self-reported; `margin` is of a time before all these fields.
    """
    explanations, embeddings = make_cost(150.0, 512, 123_456, 9_876), make_cost(20.0, 0, 0, 0)
    skills = {"ecg": 1.5, "ecg[k=30]": 1.5, "random": 0.0, "loss": 0.8, "margin": 0.5}
    reads: dict[str, dict[str, Any]] = {"ecg": {HOSTILE: explanations, "TextEmbeddings": embeddings}, "random": {}}
    records = []
    for noise, seed, name in itertools.product(("uniform", "artifact_aligned", "annotator"), range(2), skills):
        if noise == "annotator" and name != "loss":
            continue
        cell = make_cell(name, seed, skills[name], noise=noise)
        told: dict[str, Any] = {"artifacts": reads.get(name, {"TextEmbeddings": embeddings}), "peak_memory": 12.5}
        told |= {"replicates": make_replicates(cell), "transition": [[180 + seed, 20], [20, 180 - seed]]}
        told["origin"] = SELF_REPORTED if name == "loss" and noise != "artifact_aligned" else None
        records.append(cell if name == "margin" else replace(cell, **told))
    return records


def make_cost(seconds: float, calls: int, read: int, written: int) -> dict[str, Any]:
    """Return what one artifact took."""
    counts = {"llm_calls": calls, "prompt_tokens": read, "reply_tokens": written}
    return {"seconds": seconds, **counts, "peak_memory": 900.0}


def make_replicates(cell: CellRecord) -> dict[str, list[float]]:
    """Return the AUROC of a cell under made-up resamples."""
    auroc = cell.metrics["auroc"]
    assert isinstance(auroc, float)
    rng = np.random.default_rng([cell.seed, *cell.detector.encode()])
    return {"auroc": [round(min(float(auroc + one), 1.0), 4) for one in rng.normal(0, 0.05, size=200)]}


def write_records(folder: Path, records: list[CellRecord]) -> None:
    """Write records to a board's folder."""
    with ResultsWriter(folder / "results" / "quick.jsonl") as writer:
        for record in records:
            writer.append(record)
