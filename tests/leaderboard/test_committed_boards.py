"""The committed boards: their records hold what the suites ask for, and every detector has a place on them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ecgbench.grid.suite import Suite, load_suite
from ecgbench.leaderboard.board import build_tables
from ecgbench.leaderboard.summary import build_summaries
from ecgbench.results import read_records

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "leaderboard" / "results"


RATELESS = {"none", "annotator"}
"""Noise models that take no rate; their records have rate 0."""
Task = tuple[str, str, float, int]


def tasks_of(suite: Suite) -> set[Task]:
    return {
        (noise.name, render(noise.params), 0.0 if noise.name in RATELESS else rate, seed)
        for noise in suite.noises
        for rate in noise.rates
        for seed in noise.seeds
    }


def render(params: Mapping[str, Any]) -> str:
    return json.dumps(dict(params), sort_keys=True)


@pytest.mark.parametrize("name", ["embedded", "many-classes", "quick"])
def test_every_cell_of_a_committed_suite_is_there_and_tells_all_that_a_record_can(name: str) -> None:
    suite, records = load_suite(ROOT / "benchmarks" / f"{name}.toml"), read_records(RESULTS / f"{name}.jsonl")
    cells: dict[Task, set[tuple[str, str]]] = {}
    for record in records:
        assert (record.run, record.status) == (name, "ok"), (record.detector, record.reason)
        assert None not in (record.artifacts, record.transition, record.replicates)
        task = (record.noise, render(record.noise_params), record.rate, record.seed)
        cells.setdefault(task, set()).add((record.detector, render(record.detector_params)))
    assert set(cells) == tasks_of(suite)
    assert len({frozenset(detectors) for detectors in cells.values()}) == 1
    assert sum(map(len, cells.values())) == len(records)


def test_every_detector_of_the_big_suite_has_a_worst_case_and_a_rank_on_the_board() -> None:
    records = [record for file in sorted(RESULTS.glob("*.jsonl")) for record in read_records(file)]
    suite = load_suite(ROOT / "benchmarks" / "embedded.toml")
    summaries = [s for s in build_summaries(build_tables(records)) if s.tables[0].group.n == suite.datasets[0].n]
    assert len(summaries) == 3  # 5, 10 and 20 % noise
    for summary in summaries:
        detectors = [standing for standing in summary.standings if not standing.is_sanity]
        assert len(detectors) == len(suite.detectors)
        assert [standing.name for standing in detectors if standing.worst is None or standing.rank is None] == []
