"""A workspace with its own cache and board in which the real command line runs, in this process or in its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from browser import browser, open_page  # noqa: F401  # fixtures
from ecgbench.cli import main
from ecgbench.results import CellRecord, read_results_folder

PACKAGES = Path(__file__).parent / "plugins" / "packages"
TOY = Path(__file__).parent / "plugins" / "toy.py"
COMMAND = [sys.executable, "-P", "-c", "from ecgbench.cli import main; main()"]


def install(folder: Path, name: str, code: str) -> None:
    """Lay a distribution with one module and one entry point into a folder, as pip would."""
    (folder / f"{name}.py").write_text(code, encoding="utf-8")
    info = folder / f"{name}-1.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.5\n")
    (info / "entry_points.txt").write_text(f"[ecgbench]\n{name}_plugin = {name}\n")


def facts(folder: Path) -> dict[str, CellRecord]:
    """Return the records below a folder by cell, without what a clock gave."""
    records = read_results_folder(folder / "results")
    return {r.cell_key: without_costs(r) for r in records}


def without_costs(record: CellRecord) -> CellRecord:
    """Return a record without what a clock gave, and without the memory that depends on what ran before."""
    return replace(record, seconds=0.0, artifact_seconds=0.0, artifacts=None, peak_memory=None, created_at="")


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """Return the one line of stderr that says what is wrong; anything more fails the test."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("error: ")
        return lines[0]


@dataclass(frozen=True)
class Workspace:
    """A folder with a cache, a board and the file in which the toy artifacts count their calls."""

    folder: Path
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    @property
    def options(self) -> list[str]:
        """Return the options that make a run small and keep it inside the folder."""
        return ["--plugin", str(TOY), "--cache", str(self.folder / "cache"), "--out", str(self.folder / "out")]

    def cli(self, *arguments: str) -> Outcome:
        """Run a command in this process, through the same `main` as the installed script."""
        self.monkeypatch.setattr(sys, "argv", ["ecgbench", *arguments])
        self.capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as leaving:
            code = leaving.code if isinstance(leaving.code, int) else 0
        return Outcome(code, *self.capsys.readouterr())

    def run(self, detectors: str, *arguments: str, dataset: str = "toy", command: str = "run") -> Outcome:
        """Run `ecgbench run` (or `plan`) on the toy data."""
        return self.cli(command, "--dataset", dataset, "--detectors", detectors, *arguments, *self.options)

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start a command in a process of its own."""
        env = {**os.environ, **environment}
        return subprocess.Popen(
            [*COMMAND, *arguments],
            env=env,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # Where the tests themselves run in the background, Ctrl-C is ignored and children inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    @property
    def records(self) -> list[CellRecord]:
        """Return all records, in order of writing."""
        return read_results_folder(self.folder / "out" / "results")

    @property
    def by_detector(self) -> dict[str, CellRecord]:
        """Return the last record of each detector."""
        return {record.detector: record for record in self.records}

    @property
    def board(self) -> Path:
        """Return the path of the board."""
        return self.folder / "out" / "LEADERBOARD.md"

    @property
    def calls(self) -> dict[str, int]:
        """Return how many items each toy artifact has computed so far."""
        counts: Counter[str] = Counter()
        path = self.folder / "calls"
        for line in path.read_text().splitlines() if path.exists() else []:
            what, n = line.split()
            counts[what] += int(n)
        return dict(counts)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Workspace:
    """Return an empty workspace."""
    monkeypatch.setenv("ECGBENCH_TOY_CALLS", str(tmp_path / "calls"))
    for name in ("HF_HUB_OFFLINE", "TOKENIZERS_PARALLELISM", "TQDM_DISABLE"):  # set by main: put back afterwards
        monkeypatch.setenv(name, "1")
    return Workspace(tmp_path, monkeypatch, capsys)
