"""How the checks look: what moved, what was written, what differs."""

from __future__ import annotations

import dataclasses
import pickle
import random
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np


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


def moved_random_states(act: Callable[[], Any]) -> list[str]:
    """Return which global random states an action moves when it is done again; they are put back.

    The first time it may import libraries that draw when they are imported. Each state starts where no fixed seed
    leads, so that seeding shows as well as drawing.
    """
    with _fresh_states():
        act()
    with _fresh_states() as read:
        before = read()
        act()
        after = read()
        return [name for name, state in before.items() if snapshot(state) != snapshot(after[name])]


@contextmanager
def _fresh_states() -> Iterator[Callable[[], dict[str, Any]]]:
    torch = sys.modules.get("torch")

    def read() -> dict[str, Any]:
        states = {"random": random.getstate(), "numpy.random": np.random.get_state()}
        return states | ({"torch": torch.get_rng_state().numpy().copy()} if torch else {})

    kept = read()
    fresh = np.random.default_rng()
    random.seed(int(fresh.integers(2**62)))
    np.random.seed(int(fresh.integers(2**32)))
    if torch:
        torch.set_rng_state(torch.Generator().manual_seed(int(fresh.integers(2**62))).get_state())
    try:
        yield read
    finally:
        random.setstate(kept["random"])
        np.random.set_state(kept["numpy.random"])
        if torch:
            torch.set_rng_state(torch.from_numpy(kept["torch"]))
