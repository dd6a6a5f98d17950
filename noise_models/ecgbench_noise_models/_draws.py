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


def draw_items(data: LabeledTexts, rate: float, rng: np.random.Generator) -> IntArray:
    """Return exactly round(rate * n) items, without replacement; DataError where no label can be wrong."""
    require_two_classes(data)
    return draw_share(np.ones(len(data), dtype=np.bool_), rate, rng)


def require_two_classes(data: LabeledTexts) -> None:
    """Raise DataError where the data has a single class."""
    if data.description.n_classes < 2:
        raise DataError(f"dataset {data.name!r} has one class only: no label can be wrong; use data with two or more")


def flip_uniformly(
    data: LabeledTexts, rate: float, *, items: np.random.Generator, classes: np.random.Generator
) -> tuple[IntArray, IntArray]:
    """Flip round(rate * n) labels, each to a uniformly drawn other class; return (flipped, labels).

    The other class is drawn for all n items, so that it does not depend on the rate.
    """
    flipped = draw_items(data, rate, items)
    n_classes = data.description.n_classes
    offsets = classes.integers(1, n_classes, size=len(data))
    labels = data.labels.copy()
    labels[flipped] = (labels[flipped] + offsets[flipped]) % n_classes
    return flipped, labels
