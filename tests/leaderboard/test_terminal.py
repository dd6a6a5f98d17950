"""The terminal table: exact seconds, names as they are."""

from __future__ import annotations

import io

from rich.console import Console

from ecgbench.leaderboard.terminal import render_table
from ecgbench.results import CellRecord, Status


def record(detector: str, **changes: object) -> CellRecord:
    values: dict[str, object] = {
        "run": "quick",
        "dataset": "movie_snippets",
        "n": 500,
        "profile": "embedded",
        "noise": "uniform",
        "rate": 0.1,
        "seed": 0,
        "detector": detector,
        "status": Status.OK,
        "metrics": {"auroc": 0.9471},
        "seconds": 0.25,
        "artifact_seconds": 12.0,
        "created_at": "2026-01-02T03:04:05Z",
    }
    return CellRecord(**values | changes)  # type: ignore[arg-type]


def shown(*records: CellRecord, width: int = 140) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width).print(render_table(records))
    return stream.getvalue()


def test_a_run_shows_numbers_exact_seconds_and_status() -> None:
    text = shown(record("loss"), record("ecg", status=Status.FAILED, reason="boom", metrics={}))
    assert "movie_snippets n=500 noise=uniform rate=0.1" in text
    assert "0.947" in text
    assert "12.25" in text
    assert "failed (1 of 1)" in text


def test_names_are_no_markup() -> None:
    assert "[bold]x[/nothing]" in shown(record("[bold]x[/nothing]", noise="[red]n"))


def test_the_harness_rows_are_marked() -> None:
    text = shown(record("oracle", sanity=True))
    assert "oracle †" in text
    assert "not detectors" in text


def test_one_seed_fits_a_terminal_of_eighty_columns() -> None:
    text = shown(record("llm_mismatch"), record("marker_probe", sanity=True), width=80)
    assert "llm_mismatch" in text
    assert "marker_probe †" in text
    assert "AUROC" in text


def test_what_was_found_stands_under_its_table_each_once() -> None:
    findings = ["token [b] with label positive: 5 items"]
    records = [record(name, seed=seed, findings=findings) for name in ("ecg", "twin") for seed in (0, 1)]
    text = shown(*records, *(record("loss", seed=seed, metrics={"auroc": 0.25}) for seed in (0, 1)))
    lines = [line.rstrip() for line in text.splitlines()]
    assert lines[-2:] == [
        "- loss ranks against the truth: AUROC 0.250, flipped 0.750",
        "- ecg, twin (seeds 0, 1): token [b] with label positive: 5 items",
    ]
    assert text.index("status") < text.index("- loss")


def test_each_table_has_its_own_findings() -> None:
    text = shown(record("a", findings=["one thing"]), record("b", noise="zzz", findings=["another"]))
    assert text.index("noise=uniform") < text.index("one thing") < text.index("noise=zzz") < text.index("another")


def test_a_finding_cannot_steer_the_terminal() -> None:
    assert "\x1b" not in shown(record("a", findings=["red \x1b[31m text"]))


def test_no_name_can_steer_the_terminal() -> None:
    evil = "red \x1b[31m \x07 \u202e text"
    shown_text = shown(record(evil, dataset=evil, noise=evil, profile=evil, metrics={evil: 0.5}, findings=[evil]))
    assert "red [31m text" in shown_text
    assert not set(shown_text) & set("\x1b\x07\u202e")


def test_names_and_status_of_several_seeds_can_be_read_in_eighty_columns() -> None:
    params = {"aggregation": "fixed", "weights": {"nli": 0.0}}
    text = shown(*(record("ecg", seed=seed, detector_params=params) for seed in range(3)), width=80)
    assert "ecg[aggrega" in text
    assert " ok " in text
