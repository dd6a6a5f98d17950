"""`ecgbench new`: what it writes is short, clean and runs as it is; what it cannot write it says in one line."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import Workspace
from ecgbench.scaffold import LONGEST_NAME, PATTERNS

KINDS = list(PATTERNS)
LONG = "an_uncommonly_long_name_x"
RUFF = [sys.executable, "-m", "ruff"]
RUNS = {
    "noise": ["--noise", "my_noise", "--dataset", "toy", "--detectors", "toy_lengths"],
    "metric": ["--noise", "uniform", "--dataset", "toy", "--detectors", "toy_lengths"],
    "dataset": ["--noise", "uniform", "--dataset", "my_dataset", "--detectors", "toy_lengths"],
}


def write(workspace: Workspace, kind: str, name: str) -> Path:
    """Write a package and return its folder."""
    done = workspace.cli("new", kind, name, "--out", str(workspace.folder / "a folder"))
    assert done.code == 0, done.err
    assert done.err == ""
    return workspace.folder / "a folder" / name


def as_plugin(workspace: Workspace, kind: str) -> list[str]:
    """Write my_KIND and return the option that loads its module."""
    return ["--plugin", str(write(workspace, kind, f"my_{kind}") / f"my_{kind}.py")]


@pytest.mark.parametrize("kind", KINDS)
def test_a_package_is_four_files_with_a_short_module(workspace: Workspace, kind: str) -> None:
    folder = write(workspace, kind, "my_own")
    files = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}
    assert set(files) == {"my_own.py", "test_my_own.py", "pyproject.toml", "README.md"}
    assert len([line for line in files["my_own.py"].splitlines() if line.strip()]) <= (24 if kind == "dataset" else 20)
    assert not any("$" in text for text in files.values())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["x", "my_own", LONG])
def test_what_is_written_passes_ruff(workspace: Workspace, kind: str, name: str) -> None:
    assert len(LONG) == LONGEST_NAME
    folder = write(workspace, kind, name)
    for command in (["check", "."], ["format", "--check", "."]):
        done = subprocess.run([*RUFF, *command], cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_the_module_passes_its_checks_as_a_plugin_file(workspace: Workspace, kind: str) -> None:
    done = workspace.cli("check", f"my_{kind}", *as_plugin(workspace, kind))
    assert done.code == 0, done.out
    endings = {line.split()[0] for line in done.out.splitlines()[1:-1]}
    assert endings == {"ok"}


@pytest.mark.parametrize("kind", RUNS)
def test_the_module_runs_as_a_plugin_file(workspace: Workspace, kind: str) -> None:
    done = workspace.cli("run", *RUNS[kind], *as_plugin(workspace, kind), *workspace.options)
    assert done.code == 0, done.err
    assert {record.status for record in workspace.records} == {"ok"}
    assert len(workspace.records) == 4
    if kind == "metric":
        places = {name: record.metrics["my_metric"] for name, record in workspace.by_detector.items()}
        assert places["none"] == pytest.approx(0.5)
        assert float(str(places["oracle"])) > 0.9


@pytest.mark.parametrize("kind", KINDS)
def test_the_next_commands_are_those_of_this_package(workspace: Workspace, kind: str) -> None:
    done = workspace.cli("new", kind, "my_own", "--out", str(workspace.folder / "a folder"))
    lines = [shlex.split(line) for line in done.out.splitlines() if line.startswith("  ")]
    install, *commands = lines
    folder = workspace.folder / "a folder" / "my_own"
    assert install == ["pip", "install", "-e", str(folder)]
    assert [words[:2] for words in commands] == [["ecgbench", "check"], ["ecgbench", "run"]] * 2
    for words in commands:
        shown = workspace.cli(words[1], "--help")
        assert all(word in shown.out for word in words if word.startswith("--")), words
        assert ("--plugin" in words) == (str(folder / "my_own.py") in words)
    assert done.out.count("my_own") > 5


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("detector", "my-detector", "it is not a Python identifier .*; take another, such as my_detector$"),
        ("detector", "MyDetector", "it is not a Python identifier .*; take another, such as my_detector$"),
        ("detector", "../escape", "it is not a Python identifier .*; take another, such as escape$"),
        ("detector", "a\nb", "it is not a Python identifier .*; take another, such as a_b$"),
        ("detector", "2nd", "it is not a Python identifier .*; take another, such as my_2nd$"),
        ("detector", "naïf", "it is not a Python identifier .*; take another, such as naif$"),
        ("metric", "日本", "it is not a Python identifier .*; take another, such as my_metric$"),
        ("noise", "trailing_", "it is not a Python identifier .*; take another, such as trailing$"),
        ("detector", f"{LONG}y", "it has 26 characters, and 25 are the most; take another, such as "),
        ("detector", "lambda", "it is a keyword of Python; take another, such as my_lambda$"),
        ("detector", "true", "its class would be True, which is Python's own; take another, such as my_true$"),
        ("metric", "none", "its class would be None, which is Python's own; take another, such as my_none$"),
        ("noise", "exception", "its class would be Exception, which is Python's own; take another, such as my_exc"),
        ("metric", "sum", "it is a name of Python's own; take another, such as my_sum$"),
        ("detector", "conftest", "pytest or setuptools would take its module .*; take another, such as my_conftest$"),
        ("detector", "setup", "pytest or setuptools would take its module .*; take another, such as my_setup$"),
        ("detector", "test_mine", "pytest or setuptools would take its module .*; take another, such as my_test_mine$"),
        ("dataset", "mine_test", "pytest or setuptools would take .*; take another, such as my_other_dataset$"),
        ("detector", "loss", "ecgbench registers one of that name; take another, such as my_loss$"),
        ("noise", "uniform", "ecgbench registers one of that name; take another, such as my_uniform$"),
        ("detector", "oracle", "a sanity row of every board has it; take another, such as my_oracle$"),
        ("metric", "numpy", "an installed module has it; take another, such as my_numpy$"),
        ("dataset", "json", "an installed module has it; take another, such as my_json$"),
        ("dataset", "dataset", "its class would be Dataset, which ecgbench has; take another, such as my_dataset$"),
    ],
)
def test_a_name_that_cannot_be_is_refused_in_one_line_with_one_that_can(
    workspace: Workspace, kind: str, name: str, message: str
) -> None:
    done = workspace.cli("new", kind, name, "--out", str(workspace.folder / "new"))
    assert done.code == 2
    assert re.search(rf"^error: {re.escape(repr(name))} cannot name a [a-z ]+: {message}", done.error)
    assert not (workspace.folder / "new").exists()
    assert not (workspace.folder / "escape").exists()


def test_kinds_of_names_do_not_collide(workspace: Workspace) -> None:
    write(workspace, "metric", "oracle")
    write(workspace, "dataset", "uniform")


def test_an_unknown_kind_is_refused(workspace: Workspace) -> None:
    done = workspace.cli("new", "detektor", "mine")
    assert done.code == 2
    assert done.error == "error: unknown kind 'detektor'. Did you mean: detector?"


@pytest.mark.parametrize("is_file", [True, False])
def test_what_is_there_already_stays_as_it_is(workspace: Workspace, is_file: bool) -> None:
    taken = workspace.folder / "my_own"
    if is_file:
        taken.write_text("mine")
    else:
        taken.mkdir()
        (taken / "my_own.py").write_text("mine")
    done = workspace.cli("new", "detector", "my_own", "--out", str(workspace.folder))
    assert done.code == 2
    assert f"{taken} is there already and stays as it is" in done.error
    assert (taken if is_file else taken / "my_own.py").read_text() == "mine"
    assert is_file or len(list(taken.iterdir())) == 1


def test_a_folder_that_cannot_be_written_is_refused(workspace: Workspace) -> None:
    (workspace.folder / "file").write_text("")
    done = workspace.cli("new", "detector", "my_own", "--out", str(workspace.folder / "file"))
    assert done.code == 2
    assert "cannot write" in done.error
