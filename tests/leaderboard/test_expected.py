"""Ranges that a suite expects: in the records of the cells they are about, and marked on the board."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from board_records import BASE

from conftest import Workspace
from ecgbench.errors import UsageError
from ecgbench.grid.suite import load_suite
from ecgbench.leaderboard import render_board
from ecgbench.leaderboard.expected import INSIDE, OUTSIDE
from ecgbench.results import CellRecord, Status

PAPER = Path(__file__).parents[2] / "benchmarks" / "paper.toml"
TINY = """
name = "tiny"
detectors = [
    {{ name = "toy_votes" }}, {{ name = "toy_lengths", params = {{ power = 2 }} }}, {{ name = "toy_lengths" }}
]

[[datasets]]
name = "toy"

[[noises]]
name = "uniform"
rates = [0.1, 0.2]
seeds = [0, 1]

[[expected]]
detector = {{ name = "toy_votes" }}
noise = {{ name = "uniform" }}
rate = 0.1
ranges = {{ auroc = [0.9, 1.0], "precision_at_k@5%" = [0.0, 0.1] }}

[[expected]]
detector = {{ name = "toy_lengths", params = {params} }}
noise = {{ name = "uniform" }}
rate = 0.1
ranges = {{ tnr_at_95 = [0.0, 1.0] }}
"""


def write_suite(folder: Path, params: str = "{ power = 2 }", **changes: str) -> Path:
    text = TINY.format(params=params)
    for old, new in changes.items():
        text = text.replace(old, new)
    path = folder / "tiny.toml"
    path.write_text(text, encoding="utf-8")
    return path


def cell(detector: str, metrics: Any, expected: Any, **changes: Any) -> CellRecord:
    return replace(BASE, detector=detector, metrics=metrics, expected=expected, **changes)


def row_of(board: str, detector: str) -> str:
    return next(line for line in board.splitlines() if re.match(rf"\| {detector} ", line) and "ok" in line)


def test_a_run_marks_what_lies_inside_and_what_outside_of_its_suites_ranges(workspace: Workspace) -> None:
    done = workspace.cli("run", "--suite", str(write_suite(workspace.folder)), *workspace.options)
    assert done.code == 0, done.err
    board = workspace.board.read_text(encoding="utf-8")
    at_10, at_20 = board.split("rate 0.1, noise uniform")[1].split("rate 0.2, noise uniform")
    _, auroc, _, auprc, _, precision, *_ = [part.strip() for part in row_of(at_10, "toy_votes").strip("|").split("|")]
    assert auroc.endswith(INSIDE)
    assert precision.endswith(OUTSIDE)
    assert auprc[-1].isdigit()  # nothing was expected of it
    assert f"expected of toy_votes: AUROC 0.9 to 1 {INSIDE}, P@5 % 0 to 0.1 {OUTSIDE}" in at_10
    assert f"tnr_at_95 0 to 1 {INSIDE}" in at_10
    assert INSIDE not in at_20
    assert OUTSIDE not in at_20
    assert f"AUROC 0.9 to 1 {INSIDE}" in done.out.replace("\n", " ")
    assert workspace.cli("leaderboard", "--check", "--out", str(workspace.folder / "out")).code == 0


def test_ranges_enter_the_records_of_the_cells_they_are_about_and_no_others(workspace: Workspace) -> None:
    workspace.cli("run", "--suite", str(write_suite(workspace.folder)), *workspace.options)
    found = {
        (record.detector, bool(record.detector_params), record.rate, record.seed): dict(record.expected)
        for record in workspace.records
        if record.expected
    }
    votes, squares = {"auroc": [0.9, 1.0], "precision_at_k@5%": [0.0, 0.1]}, {"tnr_at_95": [0.0, 1.0]}
    assert found == {
        **{("toy_votes", False, 0.1, seed): votes for seed in (0, 1)},
        **{("toy_lengths", True, 0.1, seed): squares for seed in (0, 1)},
    }


def test_options_that_take_cells_away_leave_the_suite_valid(workspace: Workspace) -> None:
    suite = ["--suite", str(write_suite(workspace.folder)), "--detectors", "toy_lengths", "--rate", "0.3"]
    assert workspace.cli("run", *suite, *workspace.options).code == 0
    assert not any(record.expected for record in workspace.records)


@pytest.mark.parametrize(
    ("params", "changes", "fault"),
    [
        ("{ power = 3 }", {}, "expected.1: the grid has no toy_lengths[power=3] on uniform at rate 0.1"),
        (
            "{ power = 2 }",
            {"rate = 0.1\n": "rate = 0.15\n"},
            "expected.0: the grid has no toy_votes on uniform at rate 0.15",
        ),
        ("{ power = 2 }", {"[0.9, 1.0]": "[1.0, 0.9]"}, "range [1.0, 0.9] of auroc ends below its start"),
        ("{ power = 2 }", {"[0.9, 1.0]": "[0.9]"}, "expected.0.ranges.auroc"),
        ("{ power = 2 }", {"[0.9, 1.0]": "[0.9, nan]"}, "expected.0.ranges.auroc"),
        ("{ power = 2 }", {"rate = 0.1\n": "rate = 0.1\nn = 5\n"}, "expected.0.n"),
    ],
)
def test_an_expectation_that_is_wrong_is_told_before_anything_runs(
    tmp_path: Path, params: str, changes: dict[str, str], fault: str
) -> None:
    with pytest.raises(UsageError, match=re.escape(fault)):
        load_suite(write_suite(tmp_path, params, **changes))


def test_the_mean_over_seeds_is_what_is_marked() -> None:
    one = {"auroc": [0.5, 0.6]}
    board = render_board([cell("loss", {"auroc": 0.4}, one), cell("loss", {"auroc": 0.7}, one, seed=1)])
    assert f"0.550 ± 0.212 {INSIDE}" in board


@pytest.mark.parametrize(("value", "mark"), [(0.5, INSIDE), (0.49951, INSIDE), (0.4994, OUTSIDE), (0.6004, INSIDE)])
def test_the_ends_belong_to_a_range_and_a_mean_counts_as_it_is_shown(value: float, mark: str) -> None:
    assert f"{value:.3f} {mark}" in render_board([cell("loss", {"auroc": value}, {"auroc": [0.5, 0.6]})])


def test_a_row_without_a_mean_has_no_mark_and_keeps_its_ranges() -> None:
    failed = cell("loss", {}, {"auroc": [0.5, 0.6]}, status=Status.FAILED, reason="boom")
    board = render_board([failed])
    assert "AUROC 0.5 to 0.6 (no mean)" in board.replace("\\", "")


def test_of_two_records_the_newer_says_what_is_expected() -> None:
    old = cell("loss", {"auroc": 0.5}, {"auroc": [0.0, 0.1]})
    new = cell("loss", {"auroc": 0.5}, {"auroc": [0.4, 0.6]}, seed=1, created_at="2026-01-03T03:04:05Z")
    for records in ([old, new], [new, old]):
        assert f"AUROC 0.4 to 0.6 {INSIDE}" in render_board(records)


def test_without_expectations_a_board_has_no_word_of_them() -> None:
    board = render_board([cell("loss", {"auroc": 0.5}, {})])
    assert not {INSIDE, OUTSIDE} & set(board)
    assert "expect" not in board


def test_the_paper_suite_holds_the_published_ranges() -> None:
    expected = {str((one.detector.name, one.detector.params)): one for one in load_suite(PAPER).expected}
    assert {one.rate for one in expected.values()} == {0.1}
    assert {one.noise.name for one in expected.values()} == {"artifact_aligned"}
    assert {one.detector.name for one in expected.values()} == {"ecg", "cleanlab", "nrg", "llm_mismatch", "random"}
    assert expected[str(("ecg", {"aggregation": "adaptive"}))].ranges == {
        "auroc": (0.82, 0.88),
        "auprc": (0.40, 0.50),
        "precision_at_k@5%": (0.65, 0.75),
        "recall_at_k@5%": (0.30, 0.40),
    }
    assert len({frozenset(one.ranges) for one in expected.values()}) == 1


def test_the_metrics_of_the_paper_suites_ranges_are_measured(workspace: Workspace) -> None:
    workspace.run("toy_votes", "--noise", "uniform")
    measured = workspace.by_detector["toy_votes"].metrics
    for one in load_suite(PAPER).expected:
        for key in one.ranges:
            metric, _, cutoff = key.partition("@")
            value = measured[metric]
            assert isinstance(value, float) or (isinstance(value, dict) and cutoff in value)
