"""Runs that are killed, interrupted or out of disk, in real processes: what is done is kept, the board is the same."""

from __future__ import annotations

import functools
import json
import resource
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import COMMAND, TOY, Workspace
from ecgbench.registry import import_target

DETECTORS = "toy_lengths,toy_echo,toy_votes,toy_bad,toy_slow[name=a],toy_slow[name=b],random"
GRID = ["--dataset", "toy[copies=10]", "--detectors", DETECTORS, "--noise", "uniform,artifact_aligned"]


@pytest.fixture
def arguments(workspace: Workspace) -> list[str]:
    return ["run", *GRID, "--seeds", "0,1", *workspace.options]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the board of a run that nobody disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    options = ["--plugin", str(TOY), "--cache", str(folder / "cache"), "--out", str(folder / "out")]
    subprocess.run([*COMMAND, "run", *GRID, "--seeds", "0,1", *options], capture_output=True, check=False)
    return (folder / "out" / "LEADERBOARD.md").read_bytes()


def wait_until(process: subprocess.Popen[str], is_there: Callable[[], bool]) -> None:
    """Wait until the run is so far; fail where it ends before."""
    deadline = time.monotonic() + 60
    while not is_there():
        assert process.poll() is None, f"the run ended too early: {process.communicate()}"
        assert time.monotonic() < deadline, "the run does not get on"
        time.sleep(0.005)


def count_lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def has_lines(path: Path, n: int) -> bool:
    return count_lines(path) >= n


@pytest.mark.parametrize(
    ("file", "lines"),
    [
        ("calls", 1),
        ("calls", 5),
        ("calls", 13),
        ("out/results/toy.jsonl", 1),
        ("out/results/toy.jsonl", 17),
    ],
)
def test_a_killed_run_and_the_same_command_give_the_board_of_an_undisturbed_run(
    workspace: Workspace, arguments: list[str], undisturbed: bytes, file: str, lines: int
) -> None:
    path = workspace.folder / file
    process = workspace.start(*arguments, ECGBENCH_TOY_SLEEP="0.05")
    wait_until(process, functools.partial(has_lines, path, lines))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not workspace.board.exists()
    kept = workspace.records
    assert workspace.cli(*arguments).code == 1  # toy_bad fails
    assert workspace.board.read_bytes() == undisturbed
    assert workspace.records[: len(kept)] == kept
    assert len(workspace.records) == 4 * 10


def test_a_run_killed_again_and_again_gets_there(
    workspace: Workspace, arguments: list[str], undisturbed: bytes
) -> None:
    calls = workspace.folder / "calls"
    for _ in range(3):
        before = count_lines(calls)
        process = workspace.start(*arguments, ECGBENCH_TOY_SLEEP="0.05")
        wait_until(process, functools.partial(has_lines, calls, before + 3))
        process.send_signal(signal.SIGKILL)
        process.communicate()
    workspace.cli(*arguments)
    assert workspace.board.read_bytes() == undisturbed


def test_ctrl_c_keeps_what_is_done_and_says_how_to_resume(
    workspace: Workspace, arguments: list[str], undisturbed: bytes
) -> None:
    results = workspace.folder / "out" / "results" / "toy.jsonl"
    process = workspace.start(*arguments, ECGBENCH_TOY_SLEEP="0.05")
    wait_until(process, functools.partial(has_lines, results, 2))
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "interrupted; what was done is kept. Resume with:" in err
    resume = err.splitlines()[-1].strip()
    assert resume.startswith("ecgbench run --dataset 'toy[copies=10]' --detectors ")
    kept = workspace.records
    assert 1 <= len(kept) < 40  # a record that was just being written may go
    workspace.cli(*arguments)
    assert workspace.records[: len(kept)] == kept
    assert workspace.board.read_bytes() == undisturbed


def test_ctrl_c_while_artifacts_are_computed_keeps_their_finished_batches(
    workspace: Workspace, arguments: list[str]
) -> None:
    process = workspace.start(*arguments, ECGBENCH_TOY_SLEEP="0.2")
    wait_until(process, functools.partial(has_lines, workspace.folder / "calls", 3))
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    info = json.loads(workspace.cli("cache", "info", "--json", "--cache", str(workspace.folder / "cache")).out)
    assert info["rows"]["TextLengths"]["answers"] >= 16


@pytest.mark.parametrize(("is_warm", "file"), [(False, "rows.sqlite"), (True, "toy.jsonl")])
def test_a_full_disk_is_one_line_and_what_is_finished_is_kept(
    workspace: Workspace, arguments: list[str], undisturbed: bytes, is_warm: bool, file: str
) -> None:
    if is_warm:  # nothing more to put into the cache: the results file grows over the limit
        workspace.cli(*arguments)
        workspace.board.unlink()
        (workspace.folder / "out" / "results" / file).unlink()
    limit = 40_000  # bytes a file

    def fill_disk() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    done = subprocess.run([*COMMAND, *arguments], preexec_fn=fill_disk, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: c")
    assert file in last
    assert "free" in last
    assert " disk" in last
    assert not workspace.board.exists()
    kept = workspace.records
    assert bool(kept) == is_warm
    workspace.cli(*arguments)
    assert workspace.records[: len(kept)] == kept
    assert workspace.board.read_bytes() == undisturbed


@pytest.mark.parametrize(
    ("target", "method"),
    [
        ("ecgbench.datasets.file:FileDataset", "load"),
        ("ecgbench_noise_models.uniform:UniformNoise", "corrupt"),
        ("ecgbench_detectors.random:Random", "needs"),
        ("ecgbench_detectors.random:Random", "score"),
        ("ecgbench.metrics.curves:Auroc", "compute"),
    ],
)
def test_ctrl_c_in_plugin_code_ends_the_run_and_is_no_failure_of_the_plugin(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, target: str, method: str
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    (workspace.folder / "x.csv").write_text("text,label\n" + "".join(f"text {i},{'ab'[i % 2]}\n" for i in range(20)))
    monkeypatch.setattr(import_target(target), method, interrupt)
    done = workspace.run("random", "--noise", "uniform", dataset=f"file:{workspace.folder / 'x.csv'}")
    assert done.code == 130
    assert [record for record in workspace.records if record.detector == "random"] == []
