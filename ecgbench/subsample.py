"""The part of a dataset a run uses: stratified, and the same for every seed."""

from __future__ import annotations

import hashlib

import numpy as np

from ecgbench.data import LabeledTexts
from ecgbench.errors import DataError


def subsample(data: LabeledTexts, n: int | None) -> LabeledTexts:
    """Return n items (None: all) in a fixed shuffled order, every class by its share.

    The sample depends on the dataset's name, its size and n only. A smaller sample is part of every
    larger one: the classes fill up by the Sainte-Lague rule, so each is within one item of its share
    for two classes and close to it for more. DataError for n outside 1..len(data).
    """
    size = len(data)
    wanted = size if n is None else n
    if not 1 <= wanted <= size:
        raise DataError(f"n is {wanted}, but dataset {data.name!r} has {size} items; give an n from 1 to {size}")
    order = _fixed_rng(f"subsample/{data.name}/{size}").permutation(size)
    labels = data.labels[order]
    turn = np.empty(size)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        turn[members] = (np.arange(len(members)) + 0.5) / len(members)
    chosen = np.sort(np.argsort(turn, kind="stable")[:wanted])
    return data.take(order[chosen])


def _fixed_rng(name: str) -> np.random.Generator:
    """Return the generator of a name: no seed of a run is part of it."""
    return np.random.default_rng([0, int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")])
