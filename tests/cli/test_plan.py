"""`ecgbench plan` says what `run` then does, and does nothing itself."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from conftest import Outcome, Workspace
from ecgbench.store.cache import Cache

GRID = ["--noise", "uniform,artifact_aligned", "--seeds", "0,1"]
DESCRIBED = Path(__file__).parents[1] / "plugins" / "described.py"
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
    assert "profile embedded: about 0.0 min on one worker, without the detectors' own time; 405 MiB of memory" in out
    assert "LLM calls: about 120; tokens: about 0 read and 0 written" in out
    assert "price of the machine: none set: --set profile.hour_price=USD" in out


def plan_described(workspace: Workspace, *arguments: str) -> Outcome:
    """Plan all detectors on texts of which every prompt can be rendered."""
    folders = ["--cache", str(workspace.folder / "cache"), "--out", str(workspace.folder / "out")]
    done = workspace.cli("plan", "--plugin", str(DESCRIBED), "--dataset", "described", *arguments, *folders)
    assert done.code == 0, done.err
    return done


def test_the_paper_profile_is_planned_without_its_models_with_tokens_hours_and_price(workspace: Workspace) -> None:
    planned = json.loads(plan_described(workspace, "--profile", "paper", "--offline", "--json").out)
    jobs = {job["artifact"]: job for job in planned["jobs"]}
    assert {job["artifact"] for job in planned["jobs"] if job["prompt_tokens"]} == {
        "LabelLogits",
        "Explanations",
        "ExplanationSamples",
    }
    assert jobs["Explanations"]["seconds_from"] == "published, one H100"
    assert jobs["ExplanationSamples"]["prompt_tokens"] == 2 * jobs["Explanations"]["prompt_tokens"]
    assert (jobs["LabelLogits"]["llm_calls"], jobs["LabelLogits"]["reply_tokens"]) == (200, 200)
    assert planned["hours"] == pytest.approx(sum(job["seconds"] for job in planned["jobs"]) / 3600)
    assert planned["machine_price"] == pytest.approx(3.0 * planned["hours"])
    assert planned["server_price"] is None
    assert planned["prompt_tokens"] == sum(job["prompt_tokens"] for job in planned["jobs"])
    assert planned["reply_tokens"] == sum(job["reply_tokens"] for job in planned["jobs"])


def test_no_figure_for_a_gpu_claims_to_be_measured_here_or_with_the_real_weights(workspace: Workspace) -> None:
    planned = json.loads(plan_described(workspace, "--profile", "paper", "--json").out)
    figures = {job["seconds_from"] for job in planned["jobs"]}
    shipped = {f"{basis}, one H100" for basis in ("published", "assumed", "measured elsewhere")}
    assert figures <= {*shipped, "measured elsewhere, 2 CPU cores", "no figure"}
    measured = [
        job["seconds_source"] for job in planned["jobs"] if job["seconds_from"] == "measured elsewhere, one H100"
    ]
    assert measured
    assert all("random weights" in source for source in measured)
    assert all(job["memory"] is None for job in planned["jobs"] if "H100" in job["seconds_from"])


SERVER = ["--profile", "paper", "--set", "profile.llm.engine=openai"]


def test_a_server_costs_its_tokens_beside_the_machine(workspace: Workspace) -> None:
    prices = ["--set", "profile.llm.server.input_price=2", "--set", "profile.llm.server.output_price=8"]
    planned = json.loads(plan_described(workspace, *SERVER, *prices, "--json").out)
    price = (planned["prompt_tokens"] * 2 + planned["reply_tokens"] * 8) / 1e6
    assert planned["server_price"] == pytest.approx(price)
    assert price > 0.1
    out = plan_described(workspace, *SERVER, *prices).out
    assert f"price of the tokens: about {price:.2f} USD, at 2 USD a million read and 8 USD a million written" in out
    assert "price of the machine: about " in out


def test_a_server_without_a_price_says_where_to_set_it(workspace: Workspace) -> None:
    assert json.loads(plan_described(workspace, *SERVER, "--json").out)["server_price"] is None
    assert (
        "price of the tokens: none set: --set profile.llm.server.input_price=" in plan_described(workspace, *SERVER).out
    )


def test_a_plan_after_a_run_rests_on_what_the_run_took(workspace: Workspace) -> None:
    workspace.run(DETECTORS, "--noise", "uniform")
    job = plan(workspace, "--noise", "uniform", dataset="toy[size=90]")["jobs"]["TextLengths"]
    assert job["missing"] == 30
    assert job["seconds_from"].startswith("measured here on ")
    assert job["seconds_source"].startswith("60 items in ")


def test_a_damaged_calibration_is_one_warning_and_a_plan_all_the_same(
    workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    workspace.run(DETECTORS)
    (workspace.folder / "cache" / "calibration.json").write_text("{", encoding="utf-8")
    planned = plan(workspace, dataset="toy[size=90]")
    assert planned["jobs"]["TextLengths"]["seconds_from"] == "declared by the artifact"
    (record,) = caplog.records
    assert "calibration.json cannot be read and is left out of estimates: delete it [" in record.getMessage()


def test_plan_takes_every_option_of_run_but_those_of_trainings_that_run_itself_foretells() -> None:
    from inspect import signature

    from ecgbench.cli.plan import plan as plan_command
    from ecgbench.cli.run import run

    run_options, plan_options = (signature(command).parameters for command in (run, plan_command))
    assert set(run_options) - set(plan_options) == {"downstream", "downstream_top", "downstream_seeds"}
    assert list(plan_options.values()) == [run_options[name] for name in plan_options]


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
