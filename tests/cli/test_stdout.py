"""Standard output is for results, whatever plugins print and whichever command makes them."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path

import pytest

from conftest import COMMAND, PACKAGES, Workspace

PRINTING = PACKAGES / "printing.py"
GRID = ["--dataset", "toy", "--noise", "uniform", "--detectors", "printing,toy_shown"]


@pytest.mark.parametrize(
    "command",
    [
        ["plugins"],
        ["detectors"],
        ["metrics"],
        ["run", *GRID],
        ["plan", *GRID],
        ["inspect", *GRID[:-1], "toy_shown"],
    ],
    ids=lambda words: words[0],
)
def test_json_is_json_amid_plugins_that_print(workspace: Workspace, command: list[str]) -> None:
    own = ["--plugin", str(PRINTING), "--json"]
    options = workspace.options if len(command) > 1 else []
    done = subprocess.run([*COMMAND, *command, *own, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)
    assert "printed at import" in done.stderr
    assert "printed" not in done.stdout


def test_what_was_printed_before_a_plugin_runs_stays_in_its_place(tmp_path: Path) -> None:
    code = (
        "import os, sys\nfrom ecgbench.cli.stdout import plugins_print_to_stderr\n"
        "print('before')\n"
        "with plugins_print_to_stderr():\n"
        "    print('by a plugin')\n"
        "    sys.__stdout__.write('around\\n')\n"
        "    os.system('echo by a program')\n"
        "print('after')\n"
    )
    done = subprocess.run([COMMAND[0], "-P", "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.splitlines() == ["before", "after"]
    assert sorted(done.stderr.splitlines()) == ["around", "by a plugin", "by a program"]


def test_a_run_whose_standard_output_is_closed_goes_on(workspace: Workspace) -> None:
    command = shlex.join([*COMMAND, "run", "--dataset", "toy", "--detectors", "random", "--noise", "uniform"])
    done = subprocess.run(
        ["sh", "-c", f"{command} {shlex.join(workspace.options)} >&-"], capture_output=True, text=True, check=False
    )
    assert "Bad file descriptor" not in done.stderr
    assert len(workspace.records) > 1
