"""The committed boards: their records hold what the suites ask for, and every detector has a place on them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ecgbench.grid.suite import load_suite
from ecgbench.leaderboard.board import build_tables
from ecgbench.leaderboard.summary import build_summaries
from ecgbench.results import read_records

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "leaderboard" / "results"


@pytest.mark.parametrize("name", ["embedded", "many-classes", "quick"])
def test_every_cell_of_a_committed_suite_tells_all_that_a_record_can(name: str) -> None:
    records = read_records(RESULTS / f"{name}.jsonl")
    assert {record.run for record in records} == {name}
    for record in records:
        assert record.status == "ok", (record.detector, record.reason)
        assert record.artifacts is not None
        assert record.transition is not None


def test_every_detector_of_the_big_suite_has_a_worst_case_and_a_rank_on_the_board() -> None:
    records = [record for file in sorted(RESULTS.glob("*.jsonl")) for record in read_records(file)]
    suite = load_suite(ROOT / "benchmarks" / "embedded.toml")
    summaries = [s for s in build_summaries(build_tables(records)) if s.tables[0].group.n == suite.datasets[0].n]
    assert len(summaries) == 3  # 5, 10 and 20 % noise
    for summary in summaries:
        detectors = [standing for standing in summary.standings if not standing.is_sanity]
        assert len(detectors) == len(suite.detectors)
        assert [standing.name for standing in detectors if standing.worst is None or standing.rank is None] == []
