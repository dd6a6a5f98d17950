"""The records for other programs: each form holds every cell once, and holds what the records say."""

from __future__ import annotations

import csv
import io
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from board_records import BASE

from conftest import Workspace
from ecgbench.errors import MissingPackageError
from ecgbench.leaderboard.formats import COLUMNS, list_cells, render_csv, render_json, render_parquet
from ecgbench.results import SELF_REPORTED, CellRecord, Status

METRICS = {
    "auroc": 0.9,
    "auprc": None,
    "tnr_at_95": 0.25,
    "precision_at_k": {"1%": 1.0, "true": None},
    "recall_at_k": {"1%": 0.1},
    "f1_at_k": {"1%": 0.2},
}
COST = {"seconds": 2.0, "llm_calls": 5, "prompt_tokens": 700, "reply_tokens": 60, "peak_memory": None}


def cell(detector: str = "ecg", **changes: Any) -> CellRecord:
    return replace(BASE, **{"detector": detector, "metrics": METRICS, "data_key": "63a9722afacf"} | changes)


RECORDS = [
    cell(artifacts={"A": COST, "B": COST}, peak_memory=3.5, detector_params={"k": 30}, n_classes=2),
    cell("loss", artifacts={"A": COST, "B": {**COST, "llm_calls": None}}, origin=SELF_REPORTED),
    cell("broken", metrics={}, status=Status.FAILED, reason="boom, \"bang\"\nand 'crash'"),
    cell("oracle", sanity=True),
    cell(seed=1, noise_params={"a": [1, "x"]}),
]
TASK = "movie_snippets n=500 uniform rate=0.1 seed=0 profile=embedded data=63a9722a"


def read_csv(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


def test_a_task_of_results_json_has_for_every_method_the_five_metrics() -> None:
    tasks = json.loads(render_json(RECORDS))
    assert list(tasks) == [TASK, TASK.replace("uniform", 'uniform[a=[1, "x"]]').replace("seed=0", "seed=1")]
    assert set(tasks[TASK]) == {"ecg[k=30]", "loss", "broken"}
    assert tasks[TASK]["ecg[k=30]"] == {name: value for name, value in METRICS.items() if name != "f1_at_k"}
    assert tasks[TASK]["loss"] == tasks[TASK]["ecg[k=30]"] | {"origin": "self-reported"}
    assert set(tasks[TASK]["broken"].values()) == {None}


@pytest.mark.parametrize("render", [render_json, render_csv, render_parquet])
def test_a_form_has_the_same_bytes_whatever_the_order_and_the_latest_record_of_each_cell(render: Any) -> None:
    older = replace(RECORDS[0], created_at="2025-01-01T00:00:00Z", metrics={})
    assert render([*RECORDS, older]) == render(RECORDS[::-1])


def test_a_table_has_a_row_a_cell_and_a_column_a_number() -> None:
    rows = {(row["detector"], row["seed"]): row for row in read_csv(render_csv(RECORDS))}
    assert len(rows) == len(RECORDS)
    ecg, loss, broken = rows["ecg", "0"], rows["loss", "0"], rows["broken", "0"]
    assert [*COLUMNS, "auprc", "auroc", "f1_at_k@1%", "precision_at_k@1%"] == list(ecg)[: len(COLUMNS) + 4]
    assert (ecg["auroc"], ecg["auprc"], ecg["precision_at_k@1%"], ecg["precision_at_k@true"]) == ("0.9", "", "1.0", "")
    assert (ecg["detector_params"], ecg["noise_params"], ecg["origin"]) == ('{"k":30}', "{}", "")
    assert (ecg["llm_calls"], ecg["prompt_tokens"], ecg["peak_memory"]) == ("10", "1400", "3.5")
    assert (loss["llm_calls"], loss["prompt_tokens"], loss["origin"]) == ("", "1400", "self-reported")
    assert (broken["status"], broken["reason"], broken["auroc"]) == ("failed", RECORDS[2].reason, "")


def test_a_spreadsheet_takes_no_text_for_a_formula() -> None:
    (row,) = read_csv(render_csv([cell("=1+1", reason='@SUM("x")', run="-x", metrics={"auroc": -0.5})]))
    assert (row["detector"], row["reason"], row["run"], row["auroc"]) == ("'=1+1", '\'@SUM("x")', "'-x", "-0.5")


def test_parquet_holds_the_same_rows_with_types_of_their_own() -> None:
    from pyarrow import parquet

    table = parquet.read_table(io.BytesIO(render_parquet(RECORDS)))
    rows = [{name: value for name, value in row.items() if value is not None} for row in table.to_pylist()]
    flat = [{name: value for name, value in row.items() if value is not None} for row in list_cells(RECORDS)]
    assert rows == flat
    assert {str(table.schema.field(name).type) for name in ("origin", "realised_rate", "auprc")} == {"string", "double"}
    assert render_parquet([])


def test_a_metric_that_is_called_like_a_column_has_one_of_its_own() -> None:
    record = cell(metrics={"detector": 0.25, "seed": {"5%": 0.5}})
    (row,) = read_csv(render_csv([record]))
    assert (row["detector"], row["seed"]) == ("ecg", "0")
    assert (row["metrics/detector"], row["metrics/seed@5%"]) == ("0.25", "0.5")
    assert render_parquet([record])


def test_a_lone_surrogate_is_written_by_every_form() -> None:
    record = cell("bad \udcff", reason="bad \udcff")
    assert all(render([record]) for render in (render_json, render_csv, render_parquet))


def test_parquet_without_pyarrow_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingPackageError, match=r"--format parquet needs pyarrow, .*: pip install pyarrow"):
        render_parquet([])


def test_the_command_writes_each_form_beside_the_board(workspace: Workspace) -> None:
    workspace.run("toy_lengths,toy_bad", "--seeds", "0,1")
    out: Path = workspace.folder / "out"
    for form in ("json", "csv", "parquet"):
        done = workspace.cli("leaderboard", "--format", form, "--out", str(out))
        assert (done.code, done.out) == (0, f"{out / 'LEADERBOARD.md'}\n{out / f'results.{form}'}\n")
    found = json.loads((out / "results.json").read_text())
    assert [list(methods) for methods in found.values()] == [["toy_bad", "toy_lengths"]] * 2
    assert len(read_csv((out / "results.csv").read_bytes())) == len(workspace.records)
    assert workspace.cli("leaderboard", "--check", "--out", str(out)).code == 0
    wrong = workspace.cli("leaderboard", "--format", "cvs", "--out", str(out))
    assert (wrong.code, wrong.error) == (2, "error: unknown --format 'cvs'. Did you mean: csv?")
    both = workspace.cli("leaderboard", "--format", "csv", "--check", "--out", str(out))
    assert (both.code, both.error) == (2, "error: --check writes nothing; leave out --html, --plots and --format")
