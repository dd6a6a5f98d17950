"""The harness's own rows: they read what no detector may see, and say what a board's ends look like."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ecgbench.data import FloatArray
from ecgbench.grid.cells import CorruptedTask


def score_oracle(task: CorruptedTask) -> FloatArray:
    """Return 1 for every wrong label: the best there can be."""
    return task.is_noisy.astype(np.float64)


def score_none(task: CorruptedTask) -> FloatArray:
    """Return a constant: knowing nothing."""
    return np.zeros(len(task.task))


def score_marker_probe(task: CorruptedTask) -> FloatArray:
    """Return 1 where the text holds a marker of the noise model: how much the marker alone gives away."""
    return np.array([any(marker in text for marker in task.markers) for text in task.task.texts], dtype=np.float64)


SANITY_ROWS: dict[str, Callable[[CorruptedTask], FloatArray]] = {
    "oracle": score_oracle,
    "marker_probe": score_marker_probe,
    "none": score_none,
}
