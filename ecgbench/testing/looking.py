"""How the checks look: what moved, what was written, what differs."""

from __future__ import annotations

import dataclasses
import pickle
import random
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ecgbench.grid.random_states import guard_random_states
from ecgbench.testing.base import Check, Seen, Subject


def snapshot(value: Any) -> Any:
    """Return a value's content as nested tuples of bytes and strings, to be compared later."""
    if isinstance(value, np.ndarray):
        return (value.dtype.str, value.shape, value.tobytes())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return tuple(snapshot(getattr(value, f.name)) for f in dataclasses.fields(value))
    if isinstance(value, Mapping):
        return tuple((snapshot(key), snapshot(item)) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return tuple(map(snapshot, value))
    return value if isinstance(value, str) else pickle.dumps(value)


def differing_fields(first: Any, second: Any) -> list[str]:
    """Return the names of what differs between two objects of a class."""
    return [name for name in vars(first) if snapshot(vars(first)[name]) != snapshot(vars(second)[name])]


def moved_random_states(act: Callable[[], Any]) -> list[str]:
    """Return which global random states an action moves when it is done again; they are put back.

    The first time it may import libraries that draw when they are imported.
    """
    with guard_random_states():
        act()
    with guard_random_states():
        _scatter_states()
        with guard_random_states() as moved:
            act()
    return moved


def untouched_random_state(prepare: Callable[[Subject], Callable[[], Any]], summary: str) -> Check:
    """Return the check that what is prepared of a subject moves no global random state when it is called."""

    def see(subject: Subject) -> Seen:
        moved = moved_random_states(prepare(subject))
        return f"the global state of {', '.join(moved)} moved" if moved else None

    return Check("global_random_state_untouched", summary, see)


def _scatter_states() -> None:
    """Bring each state where no fixed seed leads, so that seeding shows as well as drawing."""
    fresh = np.random.default_rng()
    random.seed(int(fresh.integers(2**62)))
    np.random.seed(int(fresh.integers(2**32)))
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_rng_state(torch.Generator().manual_seed(int(fresh.integers(2**62))).get_state())
