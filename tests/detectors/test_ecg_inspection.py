"""What `ecgbench inspect` shows of ECG."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from ecg_inputs import draw_inputs
from scipy.stats import spearmanr

from ecgbench.artifacts.classifier import OutOfFoldProbs, TrainingDynamics, area_under_margin
from ecgbench.artifacts.graph import outlier_scores
from ecgbench.artifacts.llm import Explanations, ReliabilityScores
from ecgbench.prompts import Explanation
from ecgbench.specs import Panel
from ecgbench_detectors.ecg.detector import Ecg
from ecgbench_detectors.ecg.graph import ExplanationGraph
from ecgbench_detectors.ecg.inspection import correlate_ranks, count_label_words
from ecgbench_detectors.ecg.signals import Signal


def panels_of(detector: Ecg, inputs: Any) -> dict[str, Panel]:
    declared: Any = {need: inputs.artifacts[need] for need in detector.inspection_needs()}
    return {panel.title: panel for panel in detector.inspect(inputs.task, declared)}


@pytest.mark.parametrize("aggregation", ["discovery", "adaptive", "fixed", "neighborhood"])
@pytest.mark.parametrize("nli", ["off", "ensemble"])
def test_every_aggregation_shows_all_signals_and_reads_what_it_declares(aggregation: Any, nli: Any) -> None:
    panels = panels_of(Ecg(aggregation=aggregation, nli=nli), draw_inputs(0))
    wanted = [
        name for name in ("neighborhood", "nli", "artifact", "stability", "dynamics") if nli != "off" or name != "nli"
    ]
    assert [row[0] for row in panels["signals"].rows] == [*wanted, "score"]
    assert panels["Spearman correlations"].columns == ("signal", *wanted, "score")
    assert panels["findings"].rows
    for panel in panels.values():
        assert all(len(row) == len(panel.columns) for row in panel.rows)


def test_the_facts_are_those_of_the_artifacts() -> None:
    inputs = draw_inputs(1, failed=0.2)
    artifacts, labels = inputs.artifacts, inputs.task.labels
    shown = {what: "".join(value[:1]) for panel in panels_of(Ecg(), inputs).values() for what, *value in panel.rows}
    margins = area_under_margin(artifacts[TrainingDynamics()].logits, labels)
    outliers = outlier_scores(artifacts[ExplanationGraph().neighbours])
    rho = artifacts[ReliabilityScores()].rho
    kept = ExplanationGraph().weights(artifacts) > 0
    assert shown["out-of-fold accuracy on the given labels"] == (
        f"{np.mean(artifacts[OutOfFoldProbs()].argmax(axis=1) == labels):.3f}"
    )
    assert shown["AUM"] == f"{margins.min():.3f} to {margins.max():.3f}"
    assert shown["invalid explanations"] == f"{(~inputs.is_valid).sum()} of 40"
    assert shown["invalid samples"] == "40 of 80"
    assert shown["mean reliability"] == f"{rho[~np.isnan(rho)].mean():.3f}"
    assert shown["embeddings"] == "40 x 4"
    assert shown["nodes"] == "40"
    assert shown["edges kept"] == f"{kept.sum()} of 600"
    assert shown["outlier score"] == f"{outliers.min():.3f} to {outliers.max():.3f}"
    assert shown["label words in"] == "0 of 40 strings"


def test_the_leakage_check_counts_the_strings_with_a_label_word() -> None:
    inputs = draw_inputs(2, failed=0.0)
    panels = panels_of(Ecg(label_words=True), inputs)
    assert ("label words in", "40 of 40 strings") in panels["graph"].rows
    assert (
        count_label_words(["very Positive", "positively", "not_negative", "so negative."], ("positive", "negative"))
        == 2
    )


def test_correlations_are_spearmans_and_unknown_for_a_constant() -> None:
    rng = np.random.default_rng(3)
    signals = [Signal(str(i), rng.integers(9, size=50).astype(float), np.ones(50)) for i in range(3)]
    found = correlate_ranks([*signals, replace(signals[0], values=np.zeros(50))])
    for i in range(3):
        for j in range(3):
            assert found[i, j] == pytest.approx(spearmanr(signals[i].values, signals[j].values)[0])
    assert np.isnan(found[3]).all()


def test_what_is_nowhere_known_is_shown_as_a_dash() -> None:
    inputs = draw_inputs(4, failed=1.0)
    panels = panels_of(Ecg(aggregation="adaptive"), inputs)
    assert ("mean reliability", "-") in panels["explanations"].rows
    assert ("invalid explanations", "40 of 40") in panels["explanations"].rows
    explained = tuple(Explanation("class0", ("a",), "r") for _ in range(40))
    again = panels_of(Ecg(), replace(inputs, artifacts=inputs.artifacts | {Explanations(): explained}))
    assert ("invalid explanations", "0 of 40") in again["explanations"].rows
