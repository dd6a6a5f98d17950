"""Executors: where the work of a run is done."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NoReturn

from ecgbench.errors import UnknownNameError, UsageError
from ecgbench.grid.executors.base import Executor
from ecgbench.plugins import Plugins
from ecgbench.progress import Reporter

__all__ = ["Execution", "Executor", "ExecutorKind", "start_executor"]


class ExecutorKind(StrEnum):
    """In this process, in child processes, or on a Ray cluster."""

    LOCAL = "local"
    PROCESS = "process"
    RAY = "ray"

    @classmethod
    def _missing_(cls, value: object) -> NoReturn:
        raise UnknownNameError("executor", str(value), list(cls))


@dataclass(frozen=True)
class Execution:
    """Which executor, and what it needs to know.

    `time_limit` (seconds) and `memory_limit` (MiB) bound each unit of work of the process executor: a cell,
    one task's value of an artifact, one batch of texts. `plugin_files` are what `--plugin` named.
    """

    kind: ExecutorKind = ExecutorKind.LOCAL
    plugin_files: tuple[Path, ...] = ()
    time_limit: float | None = None
    memory_limit: int | None = None
    ray_address: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", ExecutorKind(self.kind))
        if self.kind is not ExecutorKind.PROCESS and (self.time_limit is not None or self.memory_limit is not None):
            raise UsageError(f"executor {self.kind} has no limits; time and memory limits need --executor process")
        if self.kind is not ExecutorKind.RAY and self.ray_address:
            raise UsageError(f"executor {self.kind} knows no --ray-address; add --executor ray")
        for name, limit in (("--time-limit", self.time_limit), ("--memory-limit", self.memory_limit)):
            if limit is not None and limit <= 0:
                raise UsageError(f"{name} is {limit:g}; give a number above 0")


def start_executor(execution: Execution, plugins: Plugins, models: Path, reporter: Reporter) -> Executor:
    """Start an executor; `models` is the folder of converted models on this machine."""
    if execution.kind is ExecutorKind.RAY:
        from ecgbench.grid.executors.ray import RayExecutor

        return RayExecutor(execution.plugin_files, plugins, models, address=execution.ray_address)
    if execution.kind is ExecutorKind.PROCESS:
        from ecgbench.grid.executors.process import Limits, ProcessExecutor

        limits = Limits(execution.time_limit, execution.memory_limit)
        return ProcessExecutor(execution.plugin_files, models, limits)
    from ecgbench.grid.executors.local import LocalExecutor

    return LocalExecutor(plugins, models, reporter)
