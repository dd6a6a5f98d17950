"""The rule by which BBC news items are filed wrongly is fixed, and the report counts what it moved."""

from __future__ import annotations

import runpy
from dataclasses import replace
from typing import Any

from scans import make_scan

from pages import ROOT


def load_script() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "benchmarks" / "scan_bbc.py"))


def test_one_row_in_twenty_gets_the_next_topic() -> None:
    truth = [row % 5 for row in range(2000)]
    filed = load_script()["file_topics"](truth, 5)
    moved = [row for row, (one, other) in enumerate(zip(truth, filed, strict=True), 1) if one != other]
    assert moved == list(range(20, 2001, 20))
    assert all(filed[row - 1] == (truth[row - 1] + 1) % 5 for row in moved)


def test_the_report_counts_wrong_labels_among_the_top_rows() -> None:
    found = make_scan(4)  # rows 10, 20, 30, 40 are labelled good, bad is proposed
    truth = ["good"] * 100
    truth[9], truth[19], truth[29] = "bad", "bad", "fine"
    said = load_script()["report"](replace(found, n_scanned=100), truth)
    assert "P@4% = 0.75, 3 of 5 wrong labels among the top 4 of 100 rows" in said
    assert said.endswith("the proposed label is the true one for 2 of these 3")
