"""The global random states of random, numpy and torch: no part of a run, so what plugin code does to them is undone."""

from __future__ import annotations

import logging
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import rich.style  # noqa: F401  # draws as it is imported, which many a library does when a plugin first needs it

logger = logging.getLogger(__name__)


class _Source(NamedTuple):
    """A library with a global state, and how that is read and written."""

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], None]


@contextmanager
def guard_random_states() -> Iterator[list[str]]:
    """Put the global states back at the end; the list then names the libraries whose state had changed.

    Torch may have been loaded meanwhile. It starts with a state that nobody can foresee, so whether it was used cannot
    be told; it is left in a fixed one, and no seed set here reaches whoever comes next.
    """
    touched: list[str] = []
    before = {source.name: source.read() for source in _iter_sources()}
    try:
        yield touched
    finally:
        for source in _iter_sources():
            if source.name not in before:
                source.write(sys.modules["torch"].Generator().get_state())
            elif not _are_equal(source.read(), before[source.name]):
                source.write(before[source.name])
                touched.append(source.name)


@contextmanager
def watch_random_states(what: str) -> Iterator[None]:
    """Put the global states back at the end and warn where they had changed."""
    with guard_random_states() as touched:
        yield
    if touched:
        logger.warning("%s %s", what, describe_touched(touched))


def describe_touched(names: Sequence[str]) -> str:
    """Say what plugin code did to the global states and what it should do instead."""
    return f"used the global random state of {' and '.join(names)}, which was put back: draw from the rng that is given"


def _iter_sources() -> Iterator[_Source]:
    """Yield the sources; torch's, the CPU's, only where torch is loaded: it is imported for nothing here."""
    yield _Source("random", random.getstate, random.setstate)
    yield _Source("numpy", np.random.get_state, np.random.set_state)
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "set_rng_state"):
        yield _Source("torch", torch.get_rng_state, torch.set_rng_state)


def _are_equal(one: Any, other: Any) -> bool:
    """Compare states: tuples of numbers and arrays, or one array or tensor."""
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(_are_equal, one, other))
    return bool(np.array_equal(one, other)) if hasattr(one, "shape") else bool(one == other)
