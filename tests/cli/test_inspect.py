"""`ecgbench inspect` shows what detectors show of a task, under what only the harness may know."""

from __future__ import annotations

import json
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_real_run import make_cache

from conftest import PACKAGES, Outcome, Workspace
from ecgbench.artifacts.classifier import OutOfFoldProbs
from ecgbench.grid.rebuild import narrow_records
from ecgbench.plugins import load_plugins
from ecgbench.results import CellRecord, ResultsWriter, Status


def inspect(workspace: Workspace, *arguments: str) -> Outcome:
    return workspace.cli("inspect", *arguments, *workspace.options)


def inspect_toy(workspace: Workspace, detectors: str, *arguments: str) -> list[dict[str, Any]]:
    found = inspect(workspace, "--dataset", "toy", "--detectors", detectors, "--json", *arguments)
    tasks: list[dict[str, Any]] = json.loads(found.out)
    return tasks


def rows_of(panel: dict[str, Any]) -> dict[str, str]:
    return dict(panel["rows"])


def finish_run(workspace: Workspace, *arguments: str, dataset: str = "toy", code: int = 0) -> str:
    done = workspace.run("toy_shown,toy_lengths", *arguments, dataset=dataset)
    assert done.code == code, done.err
    (path,) = (workspace.folder / "out" / "results").glob("*.jsonl")
    return str(path)


def test_inspect_takes_every_option_of_run_that_is_about_cells() -> None:
    from ecgbench.cli.inspect import inspect as command
    from ecgbench.cli.run import run

    own, all_of_run = (signature(f).parameters for f in (command, run))
    runs = {name: option for name, option in all_of_run.items() if not name.startswith("downstream")}
    assert list(own) == ["results", *runs]
    assert [own[name] for name in runs] == list(runs.values())


def test_a_task_is_shown_by_the_harness_and_by_the_detector(workspace: Workspace) -> None:
    done = inspect(workspace, "--dataset", "toy", "--detectors", "toy_shown", "--noise", "artifact_aligned")
    assert (done.code, done.err) == (0, "")
    lines = [" ".join(line.split()) for line in done.out.splitlines()]
    assert lines[0] == "toy n=60 artifact_aligned rate=0.1 seed=0 profile=embedded"
    for line in (
        "items 60",
        "wrong labels 6 (10.0%)",
        "texts with a marker 6, 6 with a wrong label",
        "toy_shown",
        "lengths",
    ):
        assert line in lines
    assert lines[-2] == "AUROC of toy_shown: 1.000"  # the marker makes the text longer
    assert not (workspace.folder / "out").exists()


def test_what_is_missing_is_computed_once_and_what_is_there_is_read(workspace: Workspace) -> None:
    inspect_toy(workspace, "toy_shown", "--noise", "uniform")
    assert workspace.calls == {"TextLengths": 60, "WordVotes": 1}
    inspect_toy(workspace, "toy_shown", "--noise", "uniform")
    assert workspace.calls == {"TextLengths": 60, "WordVotes": 1}


def test_all_tasks_are_shown_in_order_and_options_narrow_them(workspace: Workspace) -> None:
    grid = ["--noise", "uniform,none", "--rate", "0.1,0.2", "--seeds", "0,1"]
    tasks = inspect_toy(workspace, "toy_shown", *grid)
    names = [(task["noise"], task["rate"], task["seed"]) for task in tasks]
    assert names[:4] == [("uniform", 0.1, 0), ("uniform", 0.1, 1), ("uniform", 0.2, 0), ("uniform", 0.2, 1)]
    assert names[4:] == [("none", 0.0, 0), ("none", 0.0, 1)]
    assert [rows_of(task["panel"])["wrong labels"] for task in tasks[1:5]] == [
        "6 (10.0%)",
        "12 (20.0%)",
        "12 (20.0%)",
        "0 (0.0%)",
    ]
    (undefined,) = tasks[-1]["detectors"]
    assert (undefined["auroc"], undefined["failures"]) == (None, [])
    assert undefined["no_auroc"]


def test_json_holds_the_panels(workspace: Workspace) -> None:
    (task,) = inspect_toy(workspace, "toy_shown", "--noise", "uniform")
    (shown,) = task["detectors"]
    (panel,) = shown["panels"]
    assert (shown["detector"], panel["title"], panel["columns"]) == ("toy_shown", "lengths", ["what", "value"])
    assert rows_of(panel)["items"] == "60"
    assert 0 <= shown["auroc"] <= 1


def test_the_auroc_is_that_of_a_run(workspace: Workspace) -> None:
    path = finish_run(workspace, "--noise", "uniform", "--seeds", "3")
    (task,) = json.loads(inspect(workspace, path, "--json").out)
    assert task["detectors"][0]["auroc"] == workspace.by_detector["toy_shown"].metrics["auroc"]


def test_detectors_without_an_inspection_are_left_out(workspace: Workspace) -> None:
    suite = workspace.folder / "s.toml"
    suite.write_text(
        'name = "s"\ndetectors = [{ name = "toy_lengths" }, { name = "toy_shown" }, { name = "random" }]\n'
        '[[datasets]]\nname = "toy"\n[[noises]]\nname = "uniform"\n'
    )
    (task,) = json.loads(inspect(workspace, "--suite", str(suite), "--json").out)
    assert [shown["detector"] for shown in task["detectors"]] == ["toy_shown"]


@pytest.mark.parametrize("fault", ["raise", "exit", "undeclared", "numbers", "strings", "short", "nothing"])
def test_a_failing_inspection_is_reported_and_harms_no_other(workspace: Workspace, fault: str) -> None:
    done = inspect(
        workspace,
        "--dataset",
        "toy",
        "--detectors",
        f"toy_shown[fault={fault}],toy_shown",
        "--noise",
        "uniform",
        "--json",
    )
    assert done.code == 1
    failed, good = json.loads(done.out)[0]["detectors"]
    assert (failed["panels"], len(failed["failures"])) == ([], 1)
    assert failed["failures"][0].startswith(f"toy_shown[fault={fault}] inspect: ")
    assert failed["auroc"] == good["auroc"]
    assert (len(good["panels"]), good["failures"]) == (1, [])


@pytest.mark.parametrize(("fault", "reason"), [("artifact", "the artifact broke"), ("needs", "inspection_needs broke")])
def test_what_an_inspection_cannot_read_is_its_reason(workspace: Workspace, fault: str, reason: str) -> None:
    detectors = f"toy_shown[fault={fault}],toy_shown"
    failed, good = inspect_toy(workspace, detectors, "--noise", "uniform")[0]["detectors"]
    assert reason in failed["failures"][0]
    assert good["failures"] == []


def test_a_score_that_is_not_valid_leaves_the_panels(workspace: Workspace) -> None:
    done = inspect(workspace, "--dataset", "toy", "--detectors", "toy_shown[fault=score]", "--noise", "uniform")
    assert done.code == 1
    assert "mean length" in done.out
    assert "failed: the scores have shape (59,), expected (60,)" in done.out
    assert "AUROC" not in done.out


def test_a_noise_that_gives_no_task_is_reported_and_the_next_is_shown(workspace: Workspace) -> None:
    tasks = inspect_toy(workspace, "toy_shown", "--noise", "toy_careless,uniform")
    assert (tasks[0]["panel"], tasks[0]["detectors"]) == (None, [])
    assert "made 0 labels wrong" in tasks[0]["failure"]
    assert len(tasks[1]["detectors"]) == 1


def test_control_characters_of_a_plugin_do_not_reach_the_terminal(workspace: Workspace) -> None:
    done = inspect(workspace, "--dataset", "toy", "--detectors", "toy_shown[fault=control]", "--noise", "uniform")
    assert "\x1b" not in done.out
    assert r"red \x1b[31m text next" in done.out


def test_a_classifier_behind_an_inspection_is_measured_on_given_and_true_labels(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compute(self: Any, task: Any, inputs: Any, context: Any) -> Any:  # noqa: ARG001
        return np.eye(2)[[int(text.startswith("beta")) for text in task.texts]]

    monkeypatch.setattr(OutOfFoldProbs, "compute", compute)
    (task,) = inspect_toy(workspace, "toy_shown[fault=classifier]", "--noise", "uniform")
    rows = rows_of(task["panel"])
    assert rows["classifier, 5 folds: accuracy on given labels"] == "0.900"
    assert rows["classifier, 5 folds: accuracy on true labels"] == "1.000"


def test_a_finished_run_is_inspected_from_its_records_and_computes_nothing_again(workspace: Workspace) -> None:
    path = finish_run(workspace, "--noise", "uniform,artifact_aligned[clean_marker_rate=0.05]", "--seeds", "0,2")
    before, records = workspace.calls, len(workspace.records)
    tasks = json.loads(inspect(workspace, path, "--json").out)
    assert sorted((task["noise"], task["seed"]) for task in tasks) == [
        ("artifact_aligned[clean_marker_rate=0.05]", 0),
        ("artifact_aligned[clean_marker_rate=0.05]", 2),
        ("uniform", 0),
        ("uniform", 2),
    ]
    assert workspace.calls["TextLengths"] == before["TextLengths"]
    assert len(workspace.records) == records
    narrowed = json.loads(inspect(workspace, path, "--json", "--noise", "uniform", "--seeds", "2").out)
    assert [(task["noise"], task["seed"]) for task in narrowed] == [("uniform", 2)]


def test_what_is_typed_beside_a_file_of_records_is_read_as_by_a_run(workspace: Workspace) -> None:
    noise = "artifact_aligned[clean_marker_rate=0.05,injection_rate=0.5]"
    workspace.run("toy_shown,toy_lengths[power=0]", "--noise", f"uniform,{noise}")
    path = str(workspace.folder / "out" / "results" / "toy.jsonl")
    typed = "artifact_aligned[injection_rate=0.5,position=suffix,clean_marker_rate=0.05]"
    (task,) = json.loads(inspect(workspace, path, "--json", "--noise", typed).out)
    assert task["noise"] == noise
    done = inspect(workspace, path, "--detectors", "toy_shown[fault=none],toy_lengths[power=0]")
    assert "without an inspection: toy_lengths[power=0.0]; those" in done.error


def test_parameters_of_ecg_are_found_in_records_as_they_are_typed() -> None:
    record = CellRecord(
        run="r", dataset="toy", n=60, profile="embedded", noise="artifact_aligned", rate=0.1, seed=0, detector="ecg",
        detector_params={"aggregation": "fixed", "weights": {"dynamics": 0.0}}, status=Status.OK, created_at="",
        noise_params={"clean_marker_rate": 1.0},
    )  # fmt: skip
    (found,) = narrow_records(
        [record],
        load_plugins(),
        detectors="ecg[aggregation=fixed,weights.dynamics=0,weights.nli=0.3]",
        noise="artifact_aligned[clean_marker_rate=1]",
    )
    assert found == record


def test_only_cells_that_have_a_record_are_inspected(workspace: Workspace) -> None:
    finish_run(workspace, "--noise", "uniform", "--seeds", "0,1")
    workspace.run("toy_shown[fault=classified]", "--noise", "uniform,none", "--seeds", "1,2")
    path = str(workspace.folder / "out" / "results" / "toy.jsonl")
    tasks = json.loads(inspect(workspace, path, "--json").out)
    other = "toy_shown[fault=classified]"
    assert {(t["noise"], t["seed"], *sorted(shown["detector"] for shown in t["detectors"])) for t in tasks} == {
        ("uniform", 0, "toy_shown"),
        ("uniform", 1, "toy_shown", other),
        ("uniform", 2, other),
        ("none", 1, other),
        ("none", 2, other),
    }
    assert len(tasks) == 5


@pytest.mark.parametrize("n", ["all", "60", "40"])
def test_the_items_of_a_record_are_found_again_in_their_order(workspace: Workspace, n: str) -> None:
    path = finish_run(workspace, "--noise", "uniform", "--n", n)
    before = workspace.calls
    (task,) = json.loads(inspect(workspace, path, "--json").out)
    assert task["n"] == (40 if n == "40" else 60)
    assert workspace.calls.get("TextLengths") == before["TextLengths"]


def test_records_of_other_data_are_refused(workspace: Workspace) -> None:
    path = finish_run(workspace, "--noise", "uniform", dataset="toy[blank=2]")  # its records say `toy`
    done = inspect(workspace, path)
    assert done.code == 2
    assert "toy n=60 is not what it was when the records were made: give the run's own --suite" in done.error


def test_records_of_a_file_say_which_options_to_give(workspace: Workspace) -> None:
    data = workspace.folder / "mine.csv"
    data.write_text("text,label\n" + "".join(f"text {i},{'xy'[i % 2]}\n" for i in range(20)))
    path = finish_run(workspace, "--noise", "uniform", dataset=f"file:{data}")
    done = inspect(workspace, path)
    assert done.code == 2
    assert "file:mine.csv do not say where the file lies" in done.error
    assert "--dataset in place of the file" in done.error


def test_a_dataset_that_cannot_be_rebuilt_leaves_the_others_shown(workspace: Workspace) -> None:
    path = Path(finish_run(workspace, "--noise", "uniform"))
    lost = path.read_text().replace('"dataset":"toy"', '"dataset":"gone"')
    path.write_text(path.read_text() + lost)
    done = inspect(workspace, str(path), "--json")
    assert done.code == 1
    assert done.err.startswith("warning: unknown dataset 'gone'. Choose from: ")
    assert len(json.loads(done.out)) == 1


def test_records_of_a_dataset_that_did_not_load_leave_the_others_shown(workspace: Workspace) -> None:
    path = finish_run(
        workspace, "--noise", "uniform", "--plugin", str(PACKAGES / "loading.py"), dataset="toy,loading", code=1
    )
    done = inspect(workspace, path, "--json")
    assert done.code == 1
    assert done.err.startswith("warning: loading could not be loaded when the records were made: ")
    assert len(json.loads(done.out)) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--detectors", "toy_lengths"], "without an inspection: toy_lengths; those that have one: "),
        (["--detectors", "oracle"], "no detector of the grid has an inspection; those that have one: "),
        (["--detectors", "toy_shwn"], "unknown detector 'toy_shwn'. Did you mean: toy_shown?"),
        (["--noise", "unifrom"], "unknown noise model 'unifrom'. Did you mean: uniform?"),
        (["--rerun", "fialed"], "unknown rerun choice 'fialed'"),
    ],
)
def test_a_wrong_word_is_one_line(workspace: Workspace, arguments: list[str], message: str) -> None:
    done = inspect(workspace, "--dataset", "toy", *arguments)
    assert done.code == 2
    assert message in done.error
    assert workspace.calls == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--detectors", "toy_shwn"], "unknown detector in the records 'toy_shwn'. Did you mean: toy_shown?"),
        (["--detectors", "toy_lengths"], "without an inspection: toy_lengths"),
        (["--detectors", "toy_lengths[power=2]"], "unknown detector in the records 'toy_lengths[power=2.0]'"),
        (["--detectors", "toy_shown[falt=x]"], "unknown parameter of toy_shown 'falt'. Did you mean: fault?"),
        (["--noise", "unifrom[a=1]"], "unknown noise model in the records 'unifrom[a=1]'. Did you mean: uniform?"),
        (["--seeds", "7"], "unknown seed in the records '7'. Choose from: 0."),
        (["--noise", "none"], "unknown noise model in the records 'none'"),
        (["--seeds", ","], "holds no record to inspect"),
        (["--n", "10"], "n: the records of "),
        (["--dataset", "toy"], "dataset: the records of "),
    ],
)
def test_a_wrong_word_beside_a_file_of_records_is_one_line(
    workspace: Workspace, arguments: list[str], message: str
) -> None:
    done = inspect(workspace, finish_run(workspace, "--noise", "uniform"), *arguments)
    assert done.code == 2
    assert message in done.error


def test_a_file_without_records_is_one_line(workspace: Workspace) -> None:
    assert "cannot read results file " in inspect(workspace, str(workspace.folder / "absent.jsonl")).error
    empty = workspace.folder / "empty.jsonl"
    with ResultsWriter(empty):
        pass
    done = inspect(workspace, str(empty))
    assert done.code == 2
    assert "holds no record to inspect" in done.error


def test_a_detector_that_cannot_be_built_says_why(workspace: Workspace) -> None:
    done = inspect(
        workspace, "--dataset", "toy", "--detectors", "toy_missing,toy_shown", "--noise", "uniform", "--json"
    )
    assert done.code == 1
    missing, shown = json.loads(done.out)[0]["detectors"]
    assert "no_such_module" in missing["failures"][0]
    assert shown["panels"]


@pytest.mark.slow
def test_ecg_shows_its_panels_on_real_models(workspace: Workspace) -> None:
    make_cache(workspace.folder / "cache")
    done = workspace.cli(
        "inspect", "--n", "40", "--detectors", "ecg", "--json", "--cache", str(workspace.folder / "cache")
    )
    assert done.code == 0, done.err
    (task,) = json.loads(done.out)
    rows = rows_of(task["panel"])
    assert (rows["items"], rows["wrong labels"]) == ("40", "4 (10.0%)")
    assert rows["texts with a marker"] == "4, 4 with a wrong label"
    (shown,) = task["detectors"]
    assert (shown["detector"], shown["failures"]) == ("ecg", [])
    assert shown["panels"]
    assert shown["auroc"] > 0.6
