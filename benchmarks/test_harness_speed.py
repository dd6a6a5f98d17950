"""Speed of the harness itself: the start of the command line, and what a cell costs beside its detector."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from ecgbench.artifacts.base import Artifacts
from ecgbench.data import DetectionTask, FloatArray, LabeledTexts, TaskDescription
from ecgbench.grid.prepare import prepare
from ecgbench.grid.runner import RunOptions, run_grid
from ecgbench.grid.suite import DatasetChoice, DetectorChoice, NoiseGrid, Suite
from ecgbench.hookspecs import hookimpl
from ecgbench.plugins import load_plugins
from ecgbench.results import Status
from ecgbench.specs import Dataset, DatasetContext, DatasetSpec, Detector, DetectorSpec
from ecgbench.store.cache import Cache

N = 25_000
N_COLUMNS = 5
N_SEEDS = 4


@dataclass(frozen=True)
class ManyTexts(Dataset):
    """25,000 texts of about 20 words."""

    default_n: ClassVar[int | None] = None

    def load(self, context: DatasetContext) -> LabeledTexts:  # noqa: ARG002
        """Return the texts, two classes in turn."""
        texts = tuple(f"{i} " + "some words of a review " * 4 for i in range(N))
        return LabeledTexts("many", texts, np.arange(N) % 2, TaskDescription("sentiment", ("bad", "good")))


@dataclass(frozen=True)
class NoOp(Detector):
    """Draw and do nothing else; `column` makes columns of it."""

    column: int = 0

    def score(self, task: DetectionTask, artifacts: Artifacts, rng: np.random.Generator) -> FloatArray:  # noqa: ARG002
        """Return uniform numbers, all different: the dearest case for the metrics."""
        return rng.random(len(task))


@hookimpl
def ecgbench_datasets() -> list[DatasetSpec]:
    """Return the large dataset."""
    return [DatasetSpec("many", f"{__name__}:ManyTexts", "25,000 texts")]


@hookimpl
def ecgbench_detectors() -> list[DetectorSpec]:
    """Return the detector that does nothing."""
    return [DetectorSpec("noop", f"{__name__}:NoOp", "does nothing")]


def seconds_of(command: list[str], env: dict[str, str] | None = None) -> float:
    """Return the wall time of a process."""
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=env)
    return time.perf_counter() - started


@pytest.mark.slow
def test_help_takes_at_most_twice_the_import_of_typer(benchmark: Any) -> None:
    shown = [sys.executable, "-P", "-c", "from ecgbench.cli import main; main()", "--help"]
    typer = [sys.executable, "-P", "-c", "import typer"]
    pairs = []

    def measure() -> None:
        pairs.append((seconds_of(shown), seconds_of(typer)))

    benchmark.pedantic(measure, rounds=9, warmup_rounds=1)
    own, base = (statistics.median(side) for side in zip(*pairs[1:], strict=True))
    benchmark.extra_info.update(help_seconds=own, typer_seconds=base, ratio=own / base)
    assert own / base <= 2


def peak_memory() -> float:
    """Return the most memory this process has held so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@pytest.mark.slow
def test_a_cell_costs_under_50_ms_beside_its_detector(benchmark: Any, tmp_path: Path) -> None:
    plugins = load_plugins([Path(__file__)])
    suite = Suite(
        name="speed",
        datasets=(DatasetChoice(name="many"),),
        noises=(NoiseGrid(name="uniform", seeds=tuple(range(N_SEEDS))),),
        detectors=tuple(DetectorChoice(name="noop", params={"column": i}) for i in range(N_COLUMNS)),
    )
    caches = (Cache.open(tmp_path / f"cache{i}") for i in range(10))
    cells: list[int] = []

    def run() -> None:
        cache = next(caches)
        grid = prepare(suite, plugins, cache)
        records = run_grid(grid, plugins, cache=cache, results=cache.folder / "results.jsonl", options=RunOptions())
        assert all(record.status is Status.OK for record in records)
        cells.append(len(records))

    before = peak_memory()
    started = time.process_time()
    benchmark.pedantic(run, rounds=3, warmup_rounds=1)
    cpu = (time.process_time() - started) / sum(cells) * 1000
    wall = benchmark.stats.stats.median / cells[0] * 1000
    grown = peak_memory() - before  # what ran before in this process is not the harness's
    benchmark.extra_info.update(cells=cells[0], wall_ms_a_cell=wall, cpu_ms_a_cell=cpu, grown_mib=grown)
    assert cpu < 50  # the rest of the wall time is the disk's, and other processes'
    assert grown < 1024
