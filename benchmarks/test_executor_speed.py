"""What a cell costs on a Ray cluster of this machine and in child processes, beside the same cell in this process."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from ecgbench.grid.executors import Execution, ExecutorKind
from ecgbench.grid.prepare import prepare
from ecgbench.grid.runner import RunOptions, run_grid
from ecgbench.grid.suite import DatasetChoice, DetectorChoice, NoiseGrid, Suite
from ecgbench.plugins import load_plugins
from ecgbench.results import Status
from ecgbench.store.cache import Cache

PLUGIN = Path(__file__).with_name("test_harness_speed.py")
SEEDS, COLUMNS = 4, 10
ROUNDS = 3


def make_suite(n_items: int) -> Suite:
    """Return a grid of detectors that do nothing."""
    return Suite(
        name="executors",
        datasets=(DatasetChoice(name="many", n=n_items),),
        noises=(NoiseGrid(name="uniform", seeds=tuple(range(SEEDS))),),
        detectors=tuple(DetectorChoice(name="noop", params={"column": i}) for i in range(COLUMNS)),
    )


@pytest.fixture
def cluster() -> Any:
    """Start a cluster on this machine, so that its start is no cell's."""
    ray = pytest.importorskip("ray")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield ray
    ray.shutdown()


@pytest.mark.slow
@pytest.mark.parametrize("n_items", [1_000, 25_000])
def test_overhead_of_a_cell_by_executor(benchmark: Any, cluster: Any, tmp_path: Path, n_items: int) -> None:  # noqa: ARG001
    plugins, suite = load_plugins([PLUGIN]), make_suite(n_items)
    kinds = (ExecutorKind.LOCAL, ExecutorKind.RAY, ExecutorKind.PROCESS)
    seconds: dict[ExecutorKind, list[float]] = {kind: [] for kind in kinds}

    def measure() -> None:
        for kind in kinds:  # in turn, so that what else the machine does meets all of them
            cache = Cache.open(tmp_path / f"{kind}{len(seconds[kind])}")
            grid = prepare(suite, plugins, cache)
            options = RunOptions(execution=Execution(kind, (PLUGIN,)))
            started = time.perf_counter()
            records = run_grid(grid, plugins, cache=cache, results=cache.folder / "results.jsonl", options=options)
            seconds[kind].append((time.perf_counter() - started) / (SEEDS * COLUMNS))
            assert all(record.status is Status.OK for record in records)

    benchmark.pedantic(measure, rounds=ROUNDS, warmup_rounds=1)
    best = {kind: min(found[1:]) for kind, found in seconds.items()}
    for kind, found in best.items():
        over = found - best[ExecutorKind.LOCAL]
        benchmark.extra_info |= {f"{kind}_ms_a_cell": round(found * 1000, 1)}
        print(f"\n{n_items} items, {kind}: {found * 1000:.1f} ms a cell, {over * 1000:+.1f} ms over local")
