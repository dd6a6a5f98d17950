"""Intervals and ties: what a board says of small differences, from the replicates in its records."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from board_records import BASE

from ecgbench.leaderboard import render_board
from ecgbench.leaderboard.board import Table, build_tables
from ecgbench.leaderboard.markdown import INTERVAL, TIE_MARK
from ecgbench.results import CellRecord, Status
from ecgbench.stats import bootstrap_interval

NOISE = np.random.default_rng(0).normal(0, 0.02, size=(40, 200))
"""How each detector's replicates spread, by its number."""


def cell(number: int, auroc: float, *, seed: int = 0, **changes: Any) -> CellRecord:
    """Return the record of a numbered detector, its replicates spread around its AUROC."""
    replicates = {"auroc": [round(float(value), 4) for value in auroc + NOISE[(number + 7 * seed) % 40]]}
    values = {"detector": f"d{number}", "seed": seed, "metrics": {"auroc": auroc}, "replicates": replicates}
    return replace(BASE, **values | changes)


def only_table(*records: CellRecord) -> Table:
    (table,) = build_tables(records)
    return table


def line_of(board: str, name: str) -> list[str]:
    """Return the cells of the last line about a detector: that of its own table."""
    lines = [line for line in board.splitlines() if line.startswith((f"| {name} ", f"| *{name}* "))]
    return [part.strip() for part in lines[-1].strip("|").split("|")]


def test_a_row_shows_mean_deviation_interval_and_the_table_its_seeds() -> None:
    records = [cell(0, 0.8, seed=0), cell(0, 0.9, seed=1)]
    board = render_board(records)
    expected = bootstrap_interval(np.array([record.replicates["auroc"] for record in records if record.replicates]))
    assert line_of(board, "d0")[1:3] == ["0.850 ± 0.071", str(expected)]
    assert 0.76 < expected.lower < 0.8 < 0.9 < expected.upper < 0.94
    assert "Seeds (n = 2): 0, 1" in board


def test_a_row_that_cannot_be_told_from_the_best_is_a_tie() -> None:
    records = [cell(0, 0.9), cell(1, 0.89), cell(2, 0.5)]
    assert only_table(*records).tied == {"d1"}
    board = render_board(records)
    assert [line_of(board, name)[1] for name in ("d0", "d1", "d2")] == ["0.900", f"0.890 {TIE_MARK}", "0.500"]


def test_the_same_difference_is_no_tie_where_both_move_with_the_same_items() -> None:
    apart, together = cell(1, 0.87), cell(0, 0.87, detector="d1")
    assert only_table(cell(0, 0.9), apart).tied == {"d1"}
    assert only_table(cell(0, 0.9), together).tied == frozenset()


def test_identical_rankings_are_ties() -> None:
    assert only_table(cell(0, 0.9), cell(0, 0.9, detector="twin")).tied == {"twin"}


def test_a_sanity_row_is_neither_the_best_nor_tied() -> None:
    oracle = cell(0, 1.0, detector="oracle", sanity=True)
    table = only_table(oracle, cell(1, 0.9), cell(2, 0.899), cell(1, 0.9, detector="none", sanity=True))
    assert table.tied == {"d2"}


@pytest.mark.parametrize(
    "changes",
    [
        {"replicates": None},
        {"replicates": {}},
        {"replicates": {"auroc": [0.9, 0.8]}},
        {"status": Status.FAILED, "reason": "boom", "metrics": {}, "replicates": None},
        {"metrics": {"auroc": None}},
    ],
)
def test_a_row_without_a_mean_or_the_same_resamples_is_compared_with_none(changes: dict[str, Any]) -> None:
    records = [cell(0, 0.9), cell(1, 0.9), cell(2, 0.9, **changes)]
    table = only_table(*records)
    assert "d2" not in table.tied
    render_board(records)


def test_replicates_of_unlike_number_under_two_seeds_give_no_interval() -> None:
    table = only_table(cell(0, 0.9), cell(0, 0.9, seed=1, replicates={"auroc": [0.9, 0.8]}))
    assert table.rows[0].interval is None


def test_records_from_before_replicates_give_no_column_and_no_mark() -> None:
    body = render_board([cell(n, 0.9, replicates=None) for n in range(3)]).partition("exact times")[2]
    assert INTERVAL not in body
    assert TIE_MARK not in body


def test_a_row_without_replicates_beside_others_has_no_interval() -> None:
    board = render_board([cell(0, 0.9), cell(1, 0.5, replicates=None)])
    assert line_of(board, "d1")[2] == "–"  # noqa: RUF001


def test_intervals_and_ties_do_not_depend_on_the_order_of_records() -> None:
    records = [cell(n, 0.9 - n / 100, seed=seed) for n in range(5) for seed in range(3)]
    board = render_board(records)
    assert TIE_MARK in board.partition("exact times")[2]
    for seed in range(5):
        assert render_board(random.Random(seed).sample(records, len(records))) == board


def test_ten_equal_detectors_are_all_tied_in_about_nineteen_of_twenty_tables() -> None:
    rng = np.random.default_rng(1)
    whole = []
    for _ in range(200):
        values = 0.8 + rng.normal(0, 0.02, size=10)
        whole.append(len(only_table(*(cell(n, float(value)) for n, value in enumerate(values))).tied) == 9)
    assert 0.92 <= np.mean(whole) <= 0.99
