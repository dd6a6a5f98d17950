"""The aggregation: a mean needs every cell, and the order of records changes nothing."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from board_records import BASE

from ecgbench.grid.selection import Selection, parse_selection
from ecgbench.leaderboard.board import AUROC, Column, Row, Table, build_tables, render_name
from ecgbench.results import CellRecord, Status


def cell(detector: str, seed: int, auroc: float | None, **changes: Any) -> CellRecord:
    return replace(BASE, detector=detector, seed=seed, metrics={"auroc": auroc}, **changes)


def failed(detector: str, seed: int, status: Status = Status.FAILED) -> CellRecord:
    return replace(BASE, detector=detector, seed=seed, status=status, reason="boom", metrics={})


def only_table(*records: CellRecord) -> Table:
    (table,) = build_tables(records)
    return table


def row_of(table: Table, name: str) -> Row:
    (row,) = [row for row in table.rows if row.name == name]
    return row


def test_mean_and_sample_deviation_over_seeds() -> None:
    estimate = only_table(*(cell("loss", seed, value) for seed, value in enumerate([0.7, 0.8, 0.9]))).rows[0]
    found = estimate.estimate(AUROC)
    assert found is not None
    assert found.mean == pytest.approx(0.8)
    assert found.sd == pytest.approx(0.1)
    assert str(found) == "0.800 ± 0.100"


def test_one_seed_has_no_deviation() -> None:
    assert str(only_table(cell("loss", 0, 0.9)).rows[0].estimate(AUROC)) == "0.900"


@pytest.mark.parametrize(
    ("spoiling", "status"),
    [
        ((), "missing (1 of 3)"),
        ((failed("ecg", 2),), "failed (1 of 3)"),
        ((failed("ecg", 2, Status.TIMEOUT),), "timeout (1 of 3)"),
        ((cell("ecg", 2, None),), "ok"),
    ],
)
def test_a_missing_failed_or_undefined_cell_leaves_no_mean(spoiling: tuple[CellRecord, ...], status: str) -> None:
    whole = [cell("loss", seed, 0.6) for seed in range(3)]
    table = only_table(*whole, cell("ecg", 0, 0.9), cell("ecg", 1, 0.9), *spoiling)
    assert row_of(table, "ecg").estimate(AUROC) is None
    assert row_of(table, "ecg").status == status
    assert row_of(table, "loss").status == "ok"


def test_a_status_counts_every_kind_of_trouble() -> None:
    table = only_table(cell("loss", 2, 0.5), failed("ecg", 0), failed("ecg", 1, Status.SKIPPED))
    assert row_of(table, "ecg").status == "failed (1 of 3), missing (1 of 3), skipped (1 of 3)"


def test_rows_are_sorted_by_auroc_then_name_and_those_without_come_last() -> None:
    table = only_table(
        cell("b", 0, 0.5), cell("a", 0, 0.5), cell("best", 0, 0.9), cell("undefined", 0, None), failed("broken", 0)
    )
    assert [row.name for row in table.rows] == ["best", "a", "b", "broken", "undefined"]


def test_a_later_record_replaces_a_failed_one() -> None:
    later = cell("ecg", 0, 0.9, created_at="2026-01-03T00:00:00Z")
    for order in itertools.permutations([failed("ecg", 0), later]):
        assert only_table(*order).rows[0].status == "ok"


def test_parameters_make_detectors_and_noises_of_their_own() -> None:
    tables = build_tables(
        [
            cell("ecg", 0, 0.5),
            cell("ecg", 0, 0.6, detector_params={"k": 30}),
            cell("ecg", 0, 0.6, noise_params={"clean_marker_rate": 0.05}),
        ]
    )
    assert [[row.name for row in table.rows] for table in tables] == [["ecg[k=30]", "ecg"], ["ecg"]]
    assert [table.group.noise for table in tables] == ["uniform", "uniform[clean_marker_rate=0.05]"]


def test_names_show_parameters_in_order() -> None:
    assert render_name("ecg", {}) == "ecg"
    assert render_name("ecg", {"mode": "pmi", "k": 30, "on": True}) == "ecg[k=30,mode=pmi,on=true]"
    assert render_name("ecg", {"weights": {"nli": 0.0}, "aggregation": "fixed"}) == (
        "ecg[aggregation=fixed,weights.nli=0.0]"
    )


def test_a_name_on_the_board_is_what_one_types() -> None:
    params = {"words": ["a b", "<c>"], "weights": {"nli": 0.5}, "path": "x,y"}
    assert parse_selection(render_name("ecg", params)) == Selection("ecg", params)


def test_values_by_cutoff_are_found() -> None:
    row = only_table(replace(BASE, metrics={"precision_at_k": {"1%": 0.25, "5%": 0.5}})).rows[0]
    assert str(row.estimate(Column("P@5 %", "precision_at_k", "5%"))) == "0.500"
    assert row.estimate(Column("P@10 %", "precision_at_k", "10%")) is None


def test_a_metric_of_a_third_party_gets_a_column() -> None:
    table = only_table(replace(BASE, metrics={"auroc": 0.5, "tnr_at_95": 0.1, "my_metric": 2.0, "curve": {"a": 1.0}}))
    assert [column.heading for column in table.columns][-2:] == ["R@5 %", "my_metric"]


def test_seconds_are_a_mean_of_score_and_artifacts_and_a_missing_cell_leaves_none() -> None:
    cells = [cell("ecg", 0, 0.5, seconds=1.0, artifact_seconds=9.0), cell("ecg", 1, 0.5, seconds=20.0)]
    assert only_table(*cells).rows[0].seconds == 15.0
    assert only_table(*cells, failed("ecg", 2)).rows[0].seconds is None


@pytest.mark.parametrize("n", [0, BASE.n])
def test_a_dataset_that_did_not_load_has_its_table_until_it_loads(n: int) -> None:
    lost = replace(failed("ecg", 0), n=n, n_classes=None, data_key="")
    loaded = cell("ecg", 0, 0.9, data_key="ab")
    (table,) = build_tables([lost])
    assert row_of(table, "ecg").status == "failed (1 of 1)"
    assert [table.group.data_key for table in build_tables([lost, loaded])] == ["ab"]
    assert len(build_tables([lost, replace(loaded, dataset="another")])) == 2
    assert len(build_tables([replace(lost, n=BASE.n + 1), loaded])) == 2
