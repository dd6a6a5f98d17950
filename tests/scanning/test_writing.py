"""What is written of a scan, to the byte."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
from scans import HOSTILE, make_scan

from ecgbench.errors import EcgbenchError
from ecgbench.scanning.writing import LONGEST_CELL, guard_cell, write_scan


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("+1+cmd", "'+1+cmd"),
        ("-2+3", "'-2+3"),
        ("@SUM(1)", "'@SUM(1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("\uff1d1+1", "'\uff1d1+1"),
        ("-1", "-1"),
        ("+4.5", "+4.5"),
        ("plain, =1", "plain, =1"),
        ("", ""),
    ],
)
def test_no_cell_is_run_as_a_formula_and_numbers_stay_numbers(text: str, cell: str) -> None:
    assert guard_cell(text) == cell


def test_a_cell_is_cut_to_what_a_spreadsheet_holds_and_json_lines_have_all(tmp_path: Path) -> None:
    scan = make_scan(1, text="=" + "x" * 40_000)
    write_scan(scan, tmp_path)
    with (tmp_path / "scan.csv").open(newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert row["text"] == f"'={'x' * (LONGEST_CELL - 1)}..."
    assert row["rationale"].startswith("It says =x")
    line = json.loads((tmp_path / "scan.jsonl").read_text(encoding="utf-8"))
    assert line["text"] == scan.rows[0].text
    assert line["neighbours"] == [7]


def test_hostile_text_comes_back_as_it_was(tmp_path: Path) -> None:
    scan = make_scan(2, text=f'{HOSTILE}\r\n"quoted", \ud800')
    write_scan(scan, tmp_path)
    with (tmp_path / "scan.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    wanted = scan.rows[0].text.replace("\ud800", "\\ud800")
    assert rows[0]["text"] == wanted
    lines = (tmp_path / "scan.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["text"] for line in lines] == [row.text for row in scan.rows]


def test_a_scan_that_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    write_scan(make_scan(3), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    (tmp_path / "blocked").write_text("a file")
    with pytest.raises(EcgbenchError, match=r"cannot write .* give another place with --out"):
        write_scan(make_scan(4), tmp_path / "blocked")
    with pytest.raises(ValueError, match="JSON compliant"):
        write_scan(replace(make_scan(1), rows=(replace(make_scan(1).rows[0], confidence=float("nan")),)), tmp_path)
    assert (tmp_path / "scan.jsonl").read_bytes() == before["scan.jsonl"]
    assert {path.name for path in tmp_path.iterdir()} == {*before, "blocked"}
