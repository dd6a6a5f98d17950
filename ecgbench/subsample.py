"""The part of a dataset a run uses: stratified, and the same for every seed of a run."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np

from ecgbench.data import FloatArray, IntArray, LabeledTexts
from ecgbench.errors import DataError


def subsample(data: LabeledTexts, n: int | None, *, seed: int = 0) -> LabeledTexts:
    """Return n items (None: all) in a fixed shuffled order, every class by its share.

    The sample depends on the dataset's name, its size, n and the sample's own seed; one of another seed than 0
    is named by it: `sst2[sample_seed=3]`. A smaller sample is part of every
    larger one: the classes fill up by the Sainte-Lague rule, so each is within one item of its share
    for two classes and close to it for more. DataError for n outside 1..len(data).
    """
    size = len(data)
    wanted = size if n is None else n
    if not 1 <= wanted <= size:
        raise DataError(f"n is {wanted}, but dataset {data.name!r} has {size} items; give an n from 1 to {size}")
    sample = _take_turns(data, slice(wanted), seed)
    return dataclasses.replace(sample, name=_name_sample(data.name, seed)) if seed else sample


def subsample_rest(data: LabeledTexts, n: int, *, limit: int, seed: int = 0) -> LabeledTexts:
    """Return up to `limit` of the items that `subsample` with this n and seed leaves, every class by its share."""
    return _take_turns(data, slice(n, n + limit), seed)


def _take_turns(data: LabeledTexts, turns: slice, seed: int) -> LabeledTexts:
    """Return the items whose turn it is, in the fixed shuffled order."""
    size = len(data)
    key = f"subsample/{data.name}/{size}" + (f"/{seed}" if seed else "")
    order = _fixed_rng(key).permutation(size)
    return data.take(order[np.sort(np.argsort(_turns(data.labels[order]), kind="stable")[turns])])


def _turns(labels: IntArray) -> FloatArray:
    """Return when each item is drawn, in (0, 1): item i of the m of its class at (i + 0.5) / m."""
    by_class = np.argsort(labels, kind="stable")
    _, first, sizes = np.unique(labels[by_class], return_index=True, return_counts=True)
    turns = np.empty(len(labels))
    turns[by_class] = (np.arange(len(labels)) - np.repeat(first, sizes) + 0.5) / np.repeat(sizes, sizes)
    return turns


def _name_sample(name: str, seed: int) -> str:
    """Add the seed to the parameters in a name, as a record writes them."""
    head, params = (name[:-1], ",") if name.endswith("]") else (name, "[")
    return f"{head}{params}sample_seed={seed}]"


def _fixed_rng(name: str) -> np.random.Generator:
    """Return the generator of a name: no seed of a run is part of it."""
    return np.random.default_rng([0, int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")])
