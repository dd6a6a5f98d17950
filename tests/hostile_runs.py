"""Runs of the command line, in a process of their own, amid hostile packages that are installed as real ones are."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from conftest import COMMAND, PACKAGES, TOY, install
from ecgbench.grid.selection import parse_selection
from ecgbench.results import CellRecord, read_results_folder

DATASETS, NOISES = ("toy",), ("uniform", "artifact_aligned")
GOOD = ("toy_lengths", "toy_votes", "random")


@dataclass(frozen=True)
class Run:
    """A finished run in a process of its own and the folder of what it wrote."""

    folder: Path
    done: subprocess.CompletedProcess[str]

    @property
    def records(self) -> list[CellRecord]:
        return read_results_folder(self.folder / "out" / "results")

    def named(self, name: str) -> CellRecord:
        """Return the record of a detector on good data with uniform noise."""
        head = parse_selection(name).name
        params = dict(parse_selection(name).params)
        (found,) = [
            record
            for record in self.records
            if (record.detector, dict(record.detector_params)) == (head, params)
            and (record.dataset, record.noise) == (DATASETS[0], NOISES[0])
        ]
        return found


def install_all(folder: Path, *, without: str = "duplicate_name") -> None:
    for path in PACKAGES.glob("*.py"):
        if path.stem != without:
            install(folder, path.stem, path.read_text(encoding="utf-8"))


def run(
    folder: Path,
    detectors: Sequence[str],
    *arguments: str,
    datasets: Sequence[str] = DATASETS,
    noises: Sequence[str] = NOISES,
    packages: Path | None = None,
) -> Run:
    places = [str(packages)] if packages else []
    path = os.pathsep.join([*places, *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path, "ECGBENCH_PEEKED_FOLDER": str(folder)}
    options = ["--plugin", str(TOY), "--cache", str(folder / "cache"), "--out", str(folder / "out"), "--json"]
    grid = ["--dataset", ",".join(datasets), "--noise", ",".join(noises), "--detectors", ",".join(detectors)]
    command = [*COMMAND, "run", *grid, "--seeds", "1", *options, *arguments]
    return Run(folder, subprocess.run(command, env=environment, capture_output=True, text=True, check=False))


def amid(hostile: Iterable[str], good: Sequence[str] = GOOD) -> list[str]:
    """Return hostile names after the first of the good ones and before the others."""
    return [good[0], *hostile, *good[1:]]
