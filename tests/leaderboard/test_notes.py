"""The notes under a table: who ranks alike or against the truth, and what was found, each said once."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from board_records import BASE

from ecgbench.leaderboard import render_board
from ecgbench.leaderboard.board import build_tables
from ecgbench.leaderboard.notes import describe_surprises, render_notes
from ecgbench.results import CellRecord, Status


def cell(detector: str, auroc: float | None = 0.5, *, second: int = 5, **changes: Any) -> CellRecord:
    """Return the record of a cell that ended in a given second."""
    values = {"detector": detector, "metrics": {"auroc": auroc}, "created_at": f"2026-01-02T03:04:{second:02}Z"}
    return replace(BASE, **values | changes)


def notes(*records: CellRecord) -> list[str]:
    """Return the notes of the one table, as they are read, in whatever order the records come."""
    found = {tuple(render_notes(*build_tables(random.Random(i).sample(records, len(records))))) for i in range(4)}
    assert len(found) == 1
    return [line.replace("\\", "") for line in found.pop()]


def pair(*rhos: float | None, ranking: str | None = None) -> list[CellRecord]:
    """Return two detectors under a seed for each correlation, the second written after the first."""
    records = []
    for seed, rho in enumerate(rhos):
        redundant = {} if rho is None else {"loss": rho}
        records.append(cell("loss", seed=seed, ranking=ranking or f"loss{seed}"))
        records.append(cell("margin", seed=seed, ranking=ranking or f"m{seed}", second=6, redundant=redundant))
    return records


def test_rankings_almost_alike_under_every_seed_are_told_with_the_least_correlation() -> None:
    expected = ["loss and margin rank almost alike: |Spearman| at least 0.993 in every cell"]
    assert notes(*pair(0.9999, 0.993999, 0.995)) == expected


@pytest.mark.parametrize("rhos", [(0.995, None), (None,), (0.995, -0.995)])
def test_rankings_that_are_not_alike_under_every_seed_are_not_told(rhos: tuple[float | None, ...]) -> None:
    assert notes(*pair(*rhos)) == []


def test_reversed_rankings_are_told_as_reversed() -> None:
    expected = ["loss and margin rank almost in reverse: |Spearman| at least 0.992 in every cell"]
    assert notes(*pair(-0.999, -0.992)) == expected


def test_identical_rankings_are_told_once() -> None:
    assert notes(*pair(1.0, 1.0, ranking="same")) == ["loss and margin rank identically in every cell"]


def test_rankings_identical_under_one_seed_only_are_almost_alike() -> None:
    first, second = pair(None, ranking="same")
    more = [replace(record, seed=1) for record in pair(0.994)]
    assert notes(first, second, *more) == ["loss and margin rank almost alike: |Spearman| at least 0.994 in every cell"]


def test_the_later_record_of_a_pair_counts() -> None:
    loss, margin = pair(0.995)
    again = replace(loss, created_at="2026-01-02T03:04:07Z", ranking="other")
    assert notes(again, margin) == []
    assert len(notes(replace(again, redundant={"margin": 0.992}), margin)) == 1


def test_a_pair_with_a_missing_or_failed_cell_is_not_told() -> None:
    assert all("alike" not in line for line in notes(*pair(0.995), cell("loss", seed=1)))
    failed = cell("margin", seed=1, status=Status.FAILED, reason="boom", metrics={})
    assert all("alike" not in line for line in notes(*pair(0.995), cell("loss", seed=1), failed))


def test_detectors_of_which_every_two_are_alike_are_one_line_and_no_pair_is_lost() -> None:
    records = [
        cell("a", ranking="a"),
        cell("b", ranking="b", second=6, redundant={"a": 0.999}),
        cell("c", ranking="c", second=7, redundant={"a": 0.995, "b": 0.998}),
        cell("d", ranking="d", second=8, redundant={"c": 0.991}),
        cell("same_as_a", ranking="a", second=9, redundant={"a": 1.0, "b": 0.999, "c": 0.995}),
    ]
    assert notes(*records) == [
        "a and same_as_a rank identically in every cell",
        "a, b, c and same_as_a rank almost alike: |Spearman| at least 0.995 in every cell",
        "c and d rank almost alike: |Spearman| at least 0.991 in every cell",
    ]


def test_a_detector_is_known_by_its_name_with_parameters() -> None:
    fixed = cell("ecg", detector_params={"weights": {"nli": 0.0}}, ranking="x")
    plain = cell("ecg", ranking="y", second=6, redundant={"ecg[weights.nli=0.0]": 0.999})
    assert notes(fixed, plain) == [
        "ecg and ecg[weights.nli=0.0] rank almost alike: |Spearman| at least 0.999 in every cell"
    ]


def test_a_detector_far_below_chance_ranks_against_the_truth() -> None:
    records = [cell("cleanlab", 0.348), cell("cleanlab", 0.35, seed=1), cell("b", 0.4), cell("b", 0.4, seed=1)]
    expected = ["cleanlab ranks against the truth: AUROC 0.349, flipped 0.651"]
    assert notes(*records) == expected
    assert describe_surprises(*build_tables(records)) == expected


def test_a_low_seed_a_sanity_row_or_an_undefined_auroc_is_not_against_the_truth() -> None:
    assert notes(cell("a", 0.3), cell("a", 0.6, seed=1)) == []
    assert notes(cell("oracle", 0.0, sanity=True)) == []
    assert notes(cell("a", None)) == []


def test_a_finding_of_several_seeds_is_one_line() -> None:
    records = [cell("ecg", seed=seed, findings=["the same", f"p = {seed}"]) for seed in (2, 0, 1)]
    assert notes(*records) == [
        "ecg (seeds 0, 1, 2): the same",
        "ecg (seed 0): p = 0",
        "ecg (seed 1): p = 1",
        "ecg (seed 2): p = 2",
    ]


def test_a_finding_of_several_detectors_is_one_line_with_their_seeds() -> None:
    records = [
        cell("ecg", 0.9, findings=["x"]),
        cell("ecg", 0.9, seed=1, findings=["x"]),
        cell("ecg", 0.8, detector_params={"k": 30}, findings=["x"]),
        cell("ecg", 0.8, seed=1, detector_params={"k": 30}, findings=["x", "x"]),
        cell("late", 0.7),
        cell("late", 0.7, seed=1, findings=["x"]),
    ]
    assert notes(*records) == ["ecg, ecg[k=30] (seeds 0, 1), late (seed 1): x"]


@pytest.mark.parametrize(
    ("n", "names"), [(3, "d0, d1, d2"), (4, "d0, d1, d2 and 1 more"), (7, "d0, d1, d2 and 4 more")]
)
def test_at_most_three_names_share_a_finding_in_full(n: int, names: str) -> None:
    records = [cell(f"d{i}", 0.9 - i / 100, findings=["x"], failed_attempts=1) for i in range(n)]
    assert notes(*records) == [f"{names}: 1 model reply never became valid", f"{names} (seed 0): x"]


def test_failed_replies_are_summed_over_cells_and_told_once_for_detectors_that_share_them() -> None:
    records = [
        cell(name, auroc, seed=seed, failed_attempts=count)
        for name, auroc, counts in (("ecg", 0.9, (27, 29, 0)), ("twin", 0.8, (27, 29, 0)), ("one", 0.7, (0, 4, 0)))
        for seed, count in enumerate(counts)
    ]
    assert notes(*records) == [
        "ecg, twin: 56 model replies never became valid in 2 cells",
        "one: 4 model replies never became valid",
    ]


def test_a_finding_of_any_text_stays_one_note() -> None:
    record = cell("ecg", findings=["token <b>\n- [x](y)\n\n| a | b |"])
    board = render_board([record])
    (line,) = [line for line in board.splitlines() if line.startswith("- ecg")]
    assert line == r"- ecg (seed 0): token \<b\> - \[x\](y) \| a \| b \|"
