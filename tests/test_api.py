"""Python's way in: a small typed surface, light to import, that gives what the command line gives."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import ecgbench
from conftest import TOY, Workspace, without_costs
from ecgbench import (
    CellRecord,
    DatasetChoice,
    DetectorChoice,
    Execution,
    ExecutorKind,
    NoiseGrid,
    Selection,
    Suite,
    artifacts,
)
from ecgbench.errors import EcgbenchError, UsageError
from test_import_light import HEAVY

PUBLIC = """
    BoolArray CellRecord Corruption DataError Dataset DatasetChoice DatasetContext DatasetSpec DetectionTask Detector
    DetectorChoice DetectorSpec EcgbenchError Execution ExecutorKind FloatArray IntArray LabeledTexts Metric MetricSpec
    MissingPackageError NoiseGrid NoiseModel NoiseModelSpec NotApplicableError Panel Plan Plugins Rerun Scan ScannedRow
    Selection Shot Status Suite TaskDescription UsageError __version__ artifacts errors hookimpl load_plugins plan run
    scan
"""
PUBLIC_ARTIFACTS = """
    Arrays Artifact Artifacts CalibratedLabels ClassifierStates ComputeContext Cost CrossEncoderNli Dynamics
    ExplanationEmbeddings ExplanationSamples Explanations FewShots KnnGraph LabelLogits LlmNli Neighbours NliScores
    OutOfFoldProbs RationaleEmbeddings Reliability ReliabilityScores StringEmbeddings TaskArtifact TextArtifact
    TextEmbeddings TrainingDynamics
"""
MODULES = [(ecgbench, PUBLIC), (artifacts, PUBLIC_ARTIFACTS)]


@pytest.mark.parametrize(("module", "names"), MODULES, ids=lambda value: getattr(value, "__name__", ""))
def test_the_public_names_are_these_and_each_has_a_docstring(module: ModuleType, names: str) -> None:
    assert sorted(module.__all__) == sorted(names.split())
    assert set(module.__all__) <= set(dir(module))
    for name in module.__all__:
        assert getattr(module, name).__doc__, name


@pytest.mark.parametrize(("module", "names"), MODULES, ids=lambda value: getattr(value, "__name__", ""))
def test_type_checkers_and_the_interpreter_import_the_same_names(module: ModuleType, names: str) -> None:
    tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
    (typed,) = [node for node in tree.body if isinstance(node, ast.If) and "not" not in ast.unparse(node.test)]
    seen = [
        (node.module, alias.name) for node in typed.body if isinstance(node, ast.ImportFrom) for alias in node.names
    ]
    assert {name for _, name in seen} == set(names.split()) - {"__version__"}
    for source, name in seen:
        assert source is not None
        assert getattr(module, name) is getattr(importlib.import_module(source), name)


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import ecgbench; ecgbench.__version__", [*HEAVY, "numpy", "pydantic"]),
        ("from ecgbench import *; from ecgbench.artifacts import *", HEAVY),
    ],
)
def test_importing_stays_light(code: str, absent: list[str]) -> None:
    probe = f"{code}\nimport sys; print(*(m for m in {absent} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-P", "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'ecgbench' has no attribute 'rum'"):
        ecgbench.rum  # type: ignore[attr-defined]  # noqa: B018


def run(workspace: Workspace, suite: Any = None, **arguments: Any) -> list[CellRecord]:
    """Run in the workspace by the API."""
    places = {"out": workspace.folder / "out", "cache": str(workspace.folder / "cache"), "plugins": [TOY]}
    return ecgbench.run(suite, **{**places, **arguments})


def as_lines(records: list[CellRecord]) -> list[str]:
    """Return records as they are written, without what a clock gave, in an order of their own."""
    return sorted(without_costs(r).to_json_line() for r in records)


def test_the_api_gives_the_records_and_the_board_of_the_command_line(workspace: Workspace) -> None:
    line = ["--noise", "uniform,none", "--rate", "0.1,0.2", "--seeds", "0,1", "--n", "40"]
    assert workspace.run("toy_lengths,toy_votes,toy_bad", *line).code == 1
    typed, board = workspace.records, workspace.board.read_text(encoding="utf-8")
    records = run(
        workspace,
        dataset="toy",
        detectors=["toy_lengths", Selection("toy_votes"), "toy_bad"],
        noise="uniform,none",
        rates=[0.1, 0.2],
        seeds=range(2),
        n=40,
        out=workspace.folder / "api",
        cache=workspace.folder / "second cache",
    )
    assert as_lines(records) == as_lines(typed)
    assert {record.status for record in records} == {"ok", "failed"}
    written = (workspace.folder / "api" / "LEADERBOARD.md").read_text(encoding="utf-8")
    assert written.count("toy_votes") == board.count("toy_votes") > 0


@pytest.mark.parametrize(
    "detectors",
    [
        "toy_lengths[power=2],toy_votes",
        ["toy_lengths[power=2]", "toy_votes"],
        (Selection("toy_lengths", {"power": 2}), "toy_votes"),
        (name for name in ["toy_lengths[power=2.0],toy_votes"]),
    ],
)
def test_detectors_are_named_in_any_of_these_ways(workspace: Workspace, detectors: Any) -> None:
    records = run(workspace, dataset="toy", detectors=detectors, noise=Selection("uniform"), rates=0.2, seeds=3)
    chosen = [(r.detector, dict(r.detector_params)) for r in records if not r.sanity]
    assert chosen == [("toy_lengths", {"power": 2.0}), ("toy_votes", {})]
    assert {(r.rate, r.seed) for r in records} == {(0.2, 3)}


def test_a_suite_is_given_as_an_object_or_a_file_and_arguments_change_it(workspace: Workspace) -> None:
    suite = Suite(
        name="mine",
        datasets=(DatasetChoice(name="toy"),),
        noises=(NoiseGrid(name="uniform", seeds=(0, 1)),),
        detectors=(DetectorChoice(name="toy_lengths"),),
    )
    assert {(r.run, r.seed) for r in run(workspace, suite)} == {("mine", 0), ("mine", 1)}
    path = workspace.folder / "mine.toml"
    tables = '[[datasets]]\nname = "toy"\n[[noises]]\nname = "none"\n[[detectors]]\nname = "toy_lengths"\n'
    path.write_text(f'name = "written"\n{tables}')
    for given in (path, str(path)):
        records = run(workspace, given, detectors="toy_votes", settings={"classifier.epochs": 5})
        assert {(r.run, r.noise, r.profile) for r in records} == {("written", "none", "embedded[classifier.epochs=5]")}
        assert {r.detector for r in records if not r.sanity} == {"toy_votes"}


def test_a_plan_computes_nothing_and_knows_what_was_run(workspace: Workspace) -> None:
    chosen: dict[str, Any] = {"dataset": "toy", "detectors": "toy_votes", "noise": "uniform"}
    places: dict[str, Any] = {"out": workspace.folder / "out", "cache": workspace.folder / "cache", "plugins": [TOY]}
    before = ecgbench.plan(**chosen, **places)
    assert (before.n_cells, before.n_due) == (4, 4)
    assert workspace.calls == {}
    assert not (workspace.folder / "cache").exists()
    run(workspace, **chosen)
    assert ecgbench.plan(**chosen, **places).n_due == 0
    assert ecgbench.plan(**chosen, **places, rerun="all").n_due == 4


def test_cells_with_a_record_are_left_alone_until_rerun_says_otherwise(workspace: Workspace) -> None:
    chosen: dict[str, Any] = {"dataset": "toy", "detectors": "toy_lengths,toy_bad", "noise": "uniform"}
    run(workspace, **chosen)
    n = len(workspace.records)
    run(workspace, **chosen)
    assert len(workspace.records) == n
    run(workspace, **chosen, rerun="failed")
    assert len(workspace.records) == n + 1
    run(workspace, **chosen, rerun="all")
    assert len(workspace.records) == n + 1 + n


def test_loaded_plugins_are_taken_as_they_are(workspace: Workspace) -> None:
    plugins = ecgbench.load_plugins([TOY])
    assert plugins.files == (TOY,)
    records = run(workspace, plugins=plugins, dataset="toy", detectors="toy_lengths", noise="none")
    assert records[0].status is ecgbench.Status.OK


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"detectors": "toy_lenghts"}, "unknown detector 'toy_lenghts'. Did you mean: toy_lengths?"),
        ({"detectors": 5}, "detectors: 5 is no name; give one such as 'ecg' or 'ecg[k=30]', or a Selection"),
        ({"detectors": ["toy_lengths", None]}, "detectors: None is no name"),
        ({"detectors": []}, "the arguments: detectors: "),
        ({"noises": "uniform"}, "unknown argument 'noises'. Did you mean: noise?"),
        ({"rates": 2}, "the arguments: noises.0.rates: rate 2.0 is outside [0, 1)"),
        ({"rates": "many"}, "the arguments: noises.0.rates.0: "),
        ({"seeds": -1}, "the arguments: noises.0.seeds: seeds [-1] must be whole numbers"),
        ({"n": 0}, "the arguments: datasets.0.n: "),
        ({"profile": "embeded"}, "unknown profile 'embeded'. Did you mean: embedded?"),
        ({"settings": {"classifier.epoch": 5}}, "epoch"),
        ({"settings": "classifier.epochs=5"}, "settings is 'classifier.epochs=5'; give a mapping"),
        ({"settings": {1: 2}}, "settings is {1: 2}; give a mapping"),
        ({"execution": "proces"}, "unknown executor 'proces'. Did you mean: process?"),
        ({"rerun": "fialed"}, "unknown rerun choice 'fialed'. Did you mean: failed?"),
        ({"plugins": "toy.py"}, "plugins is 'toy.py'; give a list of files, such as ['toy.py']"),
        ({"plugins": ["absent.py"]}, "plugin file 'absent.py' does not exist"),
        ({"suite": {"name": "s"}}, "suite is of type dict; give a Suite or the path of a suite file"),
        ({"suite": "absent.toml"}, "suite file 'absent.toml' does not exist"),
    ],
)
def test_a_wrong_argument_is_an_error_of_one_line_and_computes_nothing(
    workspace: Workspace, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError) as refused:
        run(workspace, **{"dataset": "toy", "detectors": "toy_lengths", "noise": "uniform", **arguments})
    assert isinstance(refused.value, EcgbenchError)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)
    assert workspace.calls == {}
    assert not workspace.board.exists()


def test_a_plugin_that_does_not_load_is_warned_of(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.syspath_prepend(str(workspace.folder))
    info = workspace.folder / "bad_guest-1.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bad_guest\nVersion: 1.5\n")
    (info / "entry_points.txt").write_text("[ecgbench]\nbad = no_such_module\n")
    run(workspace, dataset="toy", detectors="toy_lengths", noise="none")
    assert "plugin bad (bad_guest) did not load: ModuleNotFoundError" in caplog.text


def test_numbers_come_as_numpy_has_them_too(workspace: Workspace) -> None:
    records = run(
        workspace,
        dataset="toy",
        detectors="random",
        noise="uniform",
        rates=np.array(0.2),
        seeds=np.arange(2),
        execution="local",
    )
    assert {(record.rate, record.seed) for record in records} == {(0.2, 0), (0.2, 1)}


@pytest.mark.slow
@pytest.mark.parametrize("execution", ["process", Execution(ExecutorKind.PROCESS, time_limit=120)])
def test_plugin_files_reach_the_processes_of_an_execution(workspace: Workspace, execution: Any) -> None:
    records = run(workspace, dataset="toy", detectors="toy_lengths", noise="none", execution=execution)
    assert records[0].status is ecgbench.Status.OK
