"""The draws all noise models share, so that equal seeds corrupt the same items in every model."""

from __future__ import annotations

import numpy as np

from ecgbench.data import BoolArray, IntArray, LabeledTexts
from ecgbench.errors import DataError


def draw_share(candidates: BoolArray, share: float, rng: np.random.Generator) -> IntArray:
    """Return exactly round(share * candidates) indices of candidates, without replacement.

    They are the first of one permutation of all items: a smaller share is nested in a larger one.
    """
    order = rng.permutation(len(candidates))
    pool: IntArray = order[candidates[order]]
    return pool[: round(share * len(pool))]


def flip_uniformly(
    data: LabeledTexts, rate: float, *, items: np.random.Generator, classes: np.random.Generator
) -> tuple[IntArray, IntArray]:
    """Flip round(rate * n) labels, each to a uniformly drawn other class; return (flipped, labels).

    The other class is drawn for all n items, so that it does not depend on the rate.
    """
    n_classes = data.description.n_classes
    if n_classes < 2:
        raise DataError(f"dataset {data.name!r} has one class only: no label can be wrong; use data with two or more")
    flipped = draw_share(np.ones(len(data), dtype=np.bool_), rate, items)
    offsets = classes.integers(1, n_classes, size=len(data))
    labels = data.labels.copy()
    labels[flipped] = (labels[flipped] + offsets[flipped]) % n_classes
    return flipped, labels
