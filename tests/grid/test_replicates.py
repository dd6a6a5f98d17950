"""A run writes replicates into every record: of detectors and sanity rows, paired by task, older records too."""

from __future__ import annotations

import json

import pytest

from conftest import Workspace
from ecgbench.grid.replicates import N_REPLICATES


def test_every_ok_record_of_a_run_holds_replicates_around_its_metrics(workspace: Workspace) -> None:
    assert workspace.run("toy_votes,random", "--noise", "uniform").code == 0
    for record in workspace.records:
        assert record.replicates is not None
        assert set(record.replicates) == {"auroc", "auprc"}
        for name, values in record.replicates.items():
            metric = record.metrics[name]
            assert isinstance(metric, float)
            assert len(values) == N_REPLICATES
            assert min(values) - 1e-4 <= metric <= max(values) + 1e-4
    assert {record.sanity for record in workspace.records} == {True, False}


def test_cells_without_wrong_labels_hold_none(workspace: Workspace) -> None:
    workspace.run("toy_votes", "--noise", "none", "--rate", "0")
    assert all(record.replicates == {} for record in workspace.records)


def test_detectors_that_rank_alike_have_the_same_replicates(workspace: Workspace) -> None:
    workspace.run("toy_lengths,toy_lengths[power=2]", "--noise", "uniform", "--seeds", "0,1")
    (first, twin), other = ([r.replicates for r in workspace.records if r.seed == s and not r.sanity] for s in (0, 1))
    assert first == twin
    assert first not in other


def write_old_records(workspace: Workspace) -> int:
    """Take the replicates out of every record, as in those of an older version; return how many there are."""
    (path,) = (workspace.folder / "out" / "results").glob("*.jsonl")
    old = [json.loads(line) for line in path.read_text().splitlines()]
    lines = [json.dumps({key: value for key, value in record.items() if key != "replicates"}) for record in old]
    path.write_text("\n".join(lines) + "\n")
    return len(lines)


def test_an_older_record_is_measured_again_from_its_kept_scores(workspace: Workspace) -> None:
    workspace.run("toy_votes", "--noise", "uniform")
    whole, calls = {r.cell_key: r.replicates for r in workspace.records}, workspace.calls
    n_old = write_old_records(workspace)
    assert workspace.run("toy_votes", "--noise", "uniform").code == 0
    assert workspace.calls == calls
    assert {r.cell_key: r.replicates for r in workspace.records[n_old:]} == whole
    workspace.run("toy_votes", "--noise", "uniform")
    assert len(workspace.records) == 2 * n_old


def test_older_records_whose_scores_left_the_cache_are_told_once(
    workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    arguments = ["toy_votes,toy_lengths", "--noise", "uniform", "--seeds", "0,1"]
    workspace.run(*arguments)
    n_old = write_old_records(workspace)
    workspace.cli("cache", "prune", "--all", "--cache", str(workspace.folder / "cache"))
    caplog.clear()
    workspace.run(*arguments)
    told = [record.getMessage() for record in caplog.records if "left the cache" in record.getMessage()]
    assert told == ["raw scores of toy_votes, toy_lengths left the cache: --rerun all measures what is new there"]
    assert all(record.sanity for record in workspace.records[n_old:])
