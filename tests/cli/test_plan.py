"""`ecgbench plan` says what `run` then does, and does nothing itself."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from conftest import Workspace
from ecgbench.store.cache import Cache

GRID = ["--noise", "uniform,artifact_aligned", "--seeds", "0,1"]
DETECTORS = "toy_lengths,toy_votes,toy_echo"


def plan(workspace: Workspace, *arguments: str, dataset: str = "toy") -> dict[str, Any]:
    done = workspace.run(DETECTORS, *arguments, "--json", dataset=dataset, command="plan")
    assert done.code == 0, done.err
    planned: dict[str, Any] = json.loads(done.out)
    return planned | {"jobs": {job["artifact"]: job for job in planned["jobs"]}}


def test_a_plan_computes_nothing_and_makes_no_file(workspace: Workspace) -> None:
    plan(workspace, *GRID)
    assert workspace.calls == {}
    assert list(workspace.folder.iterdir()) == []


def test_a_plan_counts_what_the_run_then_computes(workspace: Workspace) -> None:
    planned = plan(workspace, *GRID, dataset="toy[copies=10]")
    assert planned["n_cells"] == planned["n_due"] == 4 * (3 + 3)
    assert planned["n_tasks"] == 4
    workspace.run(DETECTORS, *GRID, dataset="toy[copies=10]")
    jobs, calls = planned["jobs"], workspace.calls
    assert jobs["TextLengths"]["missing"] + jobs["Echoes"]["missing"] == calls["TextLengths"]
    assert (jobs["TextLengths"]["is_estimate"], jobs["Echoes"]["is_estimate"]) == (False, True)
    assert jobs["WordVotes"]["missing"] == calls["WordVotes"] == 4
    assert planned["llm_calls"] == calls["TextLengths"]  # the toy texts cost one call each
    assert len(workspace.records) == planned["n_cells"]


def test_a_plan_after_the_run_has_nothing_left(workspace: Workspace) -> None:
    workspace.run(DETECTORS, *GRID)
    before = {path: path.read_bytes() for path in (workspace.folder / "out").rglob("*") if path.is_file()}
    planned = plan(workspace, *GRID)
    assert (planned["n_due"], planned["jobs"], planned["llm_calls"]) == (0, {}, 0)
    assert {path: path.read_bytes() for path in (workspace.folder / "out").rglob("*") if path.is_file()} == before


def test_a_plan_knows_what_the_cache_holds(workspace: Workspace) -> None:
    workspace.run(DETECTORS, "--noise", "artifact_aligned")
    jobs = plan(workspace, "--noise", "uniform")["jobs"]
    assert (jobs["TextLengths"]["cached"], jobs["TextLengths"]["missing"]) == (54, 6)
    assert (jobs["Echoes"]["cached"], jobs["Echoes"]["missing"], jobs["Echoes"]["is_estimate"]) == (54, 6, True)
    assert (jobs["WordVotes"]["cached"], jobs["WordVotes"]["missing"]) == (0, 1)


def test_a_plan_for_people_names_cells_jobs_calls_and_memory(workspace: Workspace) -> None:
    out = workspace.run(DETECTORS, command="plan").out
    assert "1 tasks, 6 cells, 6 of them to compute" in out
    assert "about 60 texts" in out
    assert "LLM calls: about 120; about 0 minutes and " in out


def test_plan_takes_every_option_of_run() -> None:
    from inspect import signature

    from ecgbench.cli.plan import plan as plan_command
    from ecgbench.cli.run import run

    shared = [list(signature(command).parameters.values()) for command in (run, plan_command)]
    assert shared[0] == shared[1]


@pytest.mark.parametrize("rerun", ["missing", "failed", "all"])
def test_a_plan_counts_the_cells_that_rerun_asks_for(workspace: Workspace, rerun: str) -> None:
    run = ["toy_lengths,toy_bad,toy_slow", "--fail-fast", "--quiet", "--offline", "--rerun", rerun]
    workspace.run("toy_lengths,toy_bad,toy_slow")
    before = len(workspace.records)
    due = json.loads(workspace.run(*run, "--json", command="plan").out)["n_due"]
    run.remove("--fail-fast")
    workspace.run(*run)
    assert len(workspace.records) - before == due == {"missing": 0, "failed": 1, "all": before}[rerun]


def test_a_plan_to_rerun_all_counts_failed_attempts_as_missing(workspace: Workspace) -> None:
    workspace.run("toy_lengths")
    with sqlite3.connect(workspace.folder / "cache" / "rows.sqlite") as connection:
        lost = connection.execute("SELECT MIN(key) FROM rows").fetchone()[0]
        connection.execute("DELETE FROM rows WHERE key = ?", [lost])
    connection.close()
    rows = Cache.open(workspace.folder / "cache").rows
    rows.put_many("TextLengths", {lost: None}, seconds=0.0)
    rows.close()
    assert plan(workspace, "--rerun", "all")["jobs"]["TextLengths"]["missing"] == 1
    workspace.run(DETECTORS, "--rerun", "all")
    assert plan(workspace, "--rerun", "all")["jobs"]["TextLengths"]["missing"] == 0


def test_a_plan_with_a_broken_artifact_still_counts(workspace: Workspace) -> None:
    done = workspace.run("toy_on_broken[fault=key],toy_lengths", command="plan")
    assert done.code == 0, done.err
    assert "TextLengths" in done.out


def test_the_quick_suite_runs_what_the_bare_command_line_runs() -> None:
    from ecgbench.cli.options import GridOptions
    from ecgbench.datasets.movie_snippets import MovieSnippets
    from ecgbench.grid.suite import load_suite
    from ecgbench.plugins import load_plugins

    quick = load_suite(Path(__file__).parents[2] / "benchmarks" / "quick.toml")
    bare = GridOptions(noise="artifact_aligned", detectors="all").build(load_plugins())
    (dataset,) = quick.datasets
    assert (dataset.name, dataset.n) == (bare.datasets[0].name, MovieSnippets.default_n)
    assert bare.datasets[0].n is None
    assert bare.noises[0] in quick.noises
    assert (quick.detectors, quick.profile) == (bare.detectors, bare.profile)
    assert bare.noises == GridOptions().build(load_plugins()).noises


def test_every_suite_of_the_benchmarks_is_valid_and_its_names_exist() -> None:
    from ecgbench.grid.suite import load_suite
    from ecgbench.plugins import load_plugins

    plugins = load_plugins()
    paths = sorted((Path(__file__).parents[2] / "benchmarks").glob("*.toml"))
    assert {"quick", "embedded", "smoke"} <= {path.stem for path in paths}
    for path in paths:
        suite = load_suite(path)
        assert suite.name == path.stem
        for choice in suite.detectors if suite.detectors != "all" else ():
            plugins.detectors[choice.name].changed(choice.params)
        for noise in suite.noises:
            plugins.noise_models[noise.name].changed(noise.params)
