"""A Ray cluster as the driver sees it: reaching it, what its machines hold, what a work asks of them."""

from __future__ import annotations

import logging
import math
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ecgbench.errors import EcgbenchError, MissingPackageError, UsageError
from ecgbench.grid.statuses import StoppedEarlyError
from ecgbench.grid.work import Work

LOOK_SECONDS = 1.0
"""How old what is known of the machines may be."""
EMPTY_SECONDS = 60.0
"""How long a cluster may be without any machine that works."""
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
        self._has_gpus = any(machine.get("GPU") for machine in self._look())

    def demand(self, work: Work) -> Demand:
        """Return what a work asks for; no GPU where the cluster had none at the start: torch then takes the CPU.

        Memory is an estimate, so a machine with less is not refused: it performs one such work at a time.
        """
        largest = max((machine.get("memory", 0.0) for machine in self._look()), default=0.0)
        memory = min(work.memory * MIB, int(largest))
        return Demand(count_gpus(work.settings) if self._has_gpus else 0.0, memory)

    def room(self, demand: Demand) -> int:
        """Return how many works of this demand the cluster holds at once, now."""
        return sum(demand.count_on(machine) for machine in self._look())

    def find_obstacle(self, demand: Demand) -> str | None:
        """Say why no machine will ever take such a work, though there are machines."""
        machines = self._look()
        if not machines or self.room(demand):
            return None
        most = max(machine.get("GPU", 0.0) for machine in machines)
        return f"needs {demand.gpus:g} GPUs on one machine, the largest of the cluster has {most:g}"

    def await_machines(self) -> None:
        """Wait for a machine that works; raises StoppedEarlyError where none comes."""
        deadline = time.monotonic() + EMPTY_SECONDS
        while not self._look():
            if time.monotonic() > deadline:
                raise StoppedEarlyError(
                    "the cluster has lost all its machines; what was done is kept: start some, run again"
                )
            time.sleep(LOOK_SECONDS)

    def _look(self) -> list[Mapping[str, float]]:
        """Return the resources of each machine with a CPU to give."""
        now = time.monotonic()
        if now - self._looked_at >= LOOK_SECONDS:
            nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
            self._machines = [resources for resources in nodes if resources.get("CPU", 0.0) >= 1]
            self._looked_at = now
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
