"""The actors of a Ray cluster that hold one choice of models: those that start, and those that are idle."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from ecgbench.grid.statuses import StoppedEarlyError

ANSWER_SECONDS = 5.0
"""How long an idle actor may take to say that it is there."""
CLOSE_SECONDS = 20.0
"""How long actors may take to free their models."""
MOST_FAILED_STARTS = 10
"""How many actors may die one after another before they have started."""
_UNREACHED = "ActorUnavailableError"
"""What Ray raises where it does not know whether an actor lives."""


class Pool:
    """Actors get work only once they have started, and whoever has work to give takes any that is idle.

    So nothing waits for an actor that never gets a place in the cluster. `settings`: of the models they load.
    """

    def __init__(self, ray: Any, actor: Any, setup: Any, settings: frozenset[Any]) -> None:
        self.settings = settings
        self.idle: list[Any] = []
        self.starting: dict[Any, Any] = {}
        self._ray = ray
        self._actor = actor
        self._options: Mapping[str, Any] = {}
        self._setup = setup
        self._failed_starts = 0

    def start(self, count: int, options: Mapping[str, Any]) -> None:
        """Start so many actors, less those that are starting; none where `count` is below that.

        With other options than before: those that are starting may wait for a machine that has gone.
        """
        if options != self._options:
            self.stop_starting()
            self._options = options
        for _ in range(count - len(self.starting)):
            actor = self._actor.options(**options).remote()
            self.starting[actor.prepare.remote(self._setup)] = actor

    def settle(self, reference: Any) -> None:
        """Take up an actor that has started; raises StoppedEarlyError where none ever does."""
        actor = self.starting.pop(reference)
        try:
            self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            self._failed_starts += not is_machine_dead(error)
            if self._failed_starts >= MOST_FAILED_STARTS or is_setup_at_fault(self._ray, error):
                raise worker_error(error) from error
            self._kill(actor)
        else:
            self._failed_starts = 0
            self.idle.append(actor)

    def drop_silent(self) -> None:
        """End the idle actors that do not answer: their machine has gone, or is about to be found gone."""
        asked = {actor.answer.remote(): actor for actor in self.idle}
        self.idle = []
        ended, _ = self._ray.wait(list(asked), num_returns=len(asked), timeout=ANSWER_SECONDS) if asked else ([], [])
        for reference in ended:
            with contextlib.suppress(self._ray.exceptions.RayError):
                self._ray.get(reference)
                self.idle.append(asked.pop(reference))
        for actor in asked.values():
            self._kill(actor)

    def stop_starting(self) -> None:
        """End the actors that have not started."""
        for actor in self.starting.values():
            self._kill(actor)
        self.starting.clear()

    def close(self) -> None:
        """Free the models, then end the actors: an engine may have processes of its own."""
        self.stop_starting()
        freed = [actor.release.remote() for actor in self.idle]
        if freed:
            self._ray.wait(freed, num_returns=len(freed), timeout=CLOSE_SECONDS)
        for actor in self.idle:
            self._kill(actor)
        self.idle.clear()

    def _kill(self, actor: Any) -> None:
        """End an actor now; left to the garbage it would keep its place as long as anything knew of it."""
        with contextlib.suppress(Exception):  # what is gone needs no end
            self._ray.kill(actor)


def is_setup_at_fault(ray: Any, error: Exception) -> bool:
    """Tell whether a worker cannot work at all; what a plugin raises comes back as an outcome."""
    errors = ray.exceptions
    is_init_failed = bool(getattr(error, "actor_init_failed", False))
    return isinstance(error, (errors.RayTaskError, errors.RuntimeEnvSetupError)) or is_init_failed


def worker_error(error: Exception) -> StoppedEarlyError:
    """Return the error that ends a run whose workers cannot work."""
    cause = getattr(error, "cause", None)
    return StoppedEarlyError(f"a worker of the cluster cannot work: {describe_cause(cause or error)}")


def describe_cause(error: BaseException) -> str:
    """Return an error in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def is_machine_lost(error: Exception) -> bool:
    """Tell whether work was lost because its machine was, or was out of reach."""
    return is_machine_dead(error) or type(error).__name__ == _UNREACHED


def is_machine_dead(error: Exception) -> bool:
    """Tell whether Ray has given the machine up."""
    text = str(error).lower()
    return type(error).__name__ == "NodeDiedError" or "node has died" in text or "node died" in text


def describe_loss(error: Exception) -> str:
    """Say in a few words what became of work that Ray lost."""
    if is_machine_dead(error):
        return "its machine went away"
    if is_machine_lost(error):
        return "its machine did not answer"
    if type(error).__name__ == "OutOfMemoryError" or "low on memory" in str(error):
        return "killed for memory, which ran out on its machine"
    if type(error).__name__ in ("WorkerCrashedError", "ActorDiedError"):
        return "its process ended (it crashed, or the system killed it, as it does where memory runs out)"
    return describe_cause(error)
