"""A Ray cluster as the driver sees it: reaching it, what its machines hold, what a work asks of them."""

from __future__ import annotations

import logging
import math
import os
import socket
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ecgbench.errors import EcgbenchError, MissingPackageError, UsageError
from ecgbench.grid.statuses import StoppedEarlyError
from ecgbench.grid.work import Work

LOOK_SECONDS = 1.0
"""How old what is known of the machines may be."""
EMPTY_SECONDS = 60.0
"""How long a cluster may be without any machine that takes the work there is."""
REACH_SECONDS = 10.0
"""How long a cluster's address may take to answer."""
MIB = 2**20


def import_ray() -> Any:
    """Return the module `ray`; raises MissingPackageError."""
    try:
        import ray
    except ImportError:
        raise MissingPackageError("ray", needed_for="--executor ray", install='pip install "ecgbench[ray]"') from None
    return ray


def connect(ray: Any, address: str | None) -> None:
    """Connect to a cluster, or start one on this machine where neither `address` nor RAY_ADDRESS names any.

    Raises UsageError for an address of the wrong form, EcgbenchError where nothing answers.
    """
    wanted = address or os.environ.get("RAY_ADDRESS") or "local"
    if "://" in wanted:
        raise UsageError(
            f"--ray-address is {wanted!r}; give auto, local or HOST:PORT, and run on a machine of the cluster"
        )
    if wanted not in ("auto", "local"):
        _reach(wanted)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Ray's word on every process that dies would go to stdout, where --json prints; log_to_driver stops only what
    # the workers print.
    ray._private.worker._worker_logs_enabled = False
    options: dict[str, Any] = {"include_dashboard": False} if wanted == "local" else {}
    try:
        ray.init(address=wanted, log_to_driver=False, logging_level=logging.CRITICAL, **options)
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise EcgbenchError(
            f"Ray at {wanted!r} cannot be used: {reason}; start it by `ray start --head`, or use --ray-address local"
        ) from error


def _reach(address: str) -> None:
    """Ask whether anybody listens: Ray itself would wait for minutes, and talk."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise UsageError(f"--ray-address is {address!r}; give auto, local or HOST:PORT")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=REACH_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise EcgbenchError(
            f"no Ray cluster answers at {address!r} ({error}); start one by `ray start --head`, or give local"
        ) from error


@dataclass(frozen=True)
class Demand:
    """What a work asks of one machine, beside one CPU; memory in bytes."""

    gpus: float = 0.0
    memory: int = 0

    @property
    def options(self) -> dict[str, Any]:
        """Return it as Ray's options."""
        return {"num_cpus": 1, "num_gpus": self.gpus, "memory": self.memory or None}

    def count_on(self, machine: Mapping[str, float]) -> int:
        """Return how many such works a machine holds at once."""
        wanted = {"CPU": 1.0, "GPU": self.gpus, "memory": float(self.memory)}
        return min(int(machine.get(name, 0.0) / amount + 1e-9) for name, amount in wanted.items() if amount)


class Cluster:
    """The machines of a cluster, which come and go."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        self._machines: list[Mapping[str, float]] = []
        self._looked_at = -math.inf
        self._most_gpus = 0.0
        self._short_since: float | None = None
        self._look()
        self._has_gpus = self._most_gpus > 0

    def demand(self, work: Work) -> Demand:
        """Return what a work asks for; no GPU where the cluster had none at the start: torch then takes the CPU."""
        return Demand(count_gpus(work.settings) if self._has_gpus else 0.0, work.memory * MIB)

    def fit(self, demand: Demand) -> Demand:
        """Return what can be asked of the machines there are now.

        Memory is an estimate, so a machine with less is not refused: it performs one such work at a time.
        """
        able = [machine for machine in self._look() if replace(demand, memory=0).count_on(machine)]
        largest = max((machine.get("memory", 0.0) for machine in able), default=0.0)
        return replace(demand, memory=min(demand.memory, int(largest)))

    def room(self, demand: Demand) -> int:
        """Return how many works of this demand the cluster holds at once, now."""
        return sum(demand.count_on(machine) for machine in self._look())

    def find_obstacle(self, demand: Demand) -> str | None:
        """Say why no machine takes such a work, where none that was ever seen would have."""
        self._look()
        if demand.gpus <= self._most_gpus:
            return None
        return f"needs {demand.gpus:g} GPUs on one machine, the largest of the cluster has {self._most_gpus:g}"

    def await_machines(self, demands: Iterable[Demand]) -> None:
        """Wait a moment where a demand has no machine; raises StoppedEarlyError where that has lasted too long."""
        short = [demand.gpus for demand in set(demands) if not self.room(self.fit(demand))]
        if not short:
            self._short_since = None
            return
        now = time.monotonic()
        self._short_since = now if self._short_since is None else self._short_since
        if now - self._short_since > EMPTY_SECONDS:
            needed = f" with {max(short):g} GPUs or more" if self._look() else ""
            raise StoppedEarlyError(
                f"the cluster has lost all its machines{needed}; what was done is kept: start some, run again"
            )
        time.sleep(LOOK_SECONDS)

    def _look(self) -> list[Mapping[str, float]]:
        """Return the resources of each machine with a CPU to give."""
        now = time.monotonic()
        if now - self._looked_at >= LOOK_SECONDS:
            nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
            self._machines = [resources for resources in nodes if resources.get("CPU", 0.0) >= 1]
            self._looked_at = now
            self._most_gpus = max([self._most_gpus, *(machine.get("GPU", 0.0) for machine in self._machines)])
        return self._machines


def count_gpus(settings: frozenset[Any]) -> float:
    """Return how many GPUs models take together: shares of one as long as they fit on it, else whole ones."""
    each = [_count_gpus_of_one(model) for model in settings]
    if sum(each) <= 1:
        return sum(each)
    return float(math.ceil(max(each)))


def _count_gpus_of_one(settings: Any) -> float:
    gpus = float(getattr(settings, "gpus", 0.0))
    if getattr(settings, "engine", None) == "vllm":
        return max(gpus, float(settings.vllm.tensor_parallel))
    return gpus
