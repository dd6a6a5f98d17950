"""Class-conditional noise: a matrix says which class is mistaken for which, and how often."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ecgbench.data import Corruption, FloatArray, IntArray, LabeledTexts
from ecgbench.errors import DataError, UsageError
from ecgbench.specs import NoiseModel
from ecgbench_noise_models._draws import require_two_classes


@dataclass(frozen=True)
class ClassConditionalNoise(NoiseModel):
    """Draw the given label of an item of class z from row z of a matrix, as often as the rate asks.

    `matrix`: one row a class, one column a class, rows that sum to 1; row z says what becomes of z, its
    diagonal what stays. Empty: every class flips equally often, to each other class equally often.
    The matrix sets the proportions of the flips, the rate their number: exactly round(rate * n). At the
    rate that is the matrix's own for the data's classes, row z is what becomes of class z. The counts of
    every class, and of every pair of classes, are exact by largest remainder; only the items are drawn.
    """

    matrix: tuple[tuple[float, ...], ...] = ()

    def __post_init__(self) -> None:
        size, shown = len(self.matrix), "class_conditional.matrix"
        for z, row in enumerate(self.matrix):
            if len(row) != size:
                raise UsageError(f"{shown} has {size} rows, and row {z} has {len(row)} numbers; give one a class")
            if not all(0.0 <= share <= 1.0 for share in row) or abs(sum(row) - 1.0) > 1e-6:
                raise UsageError(f"{shown}: row {z} is {list(row)}; give shares from 0 to 1 that sum to 1")
        if self.matrix and all(row[z] == 1.0 for z, row in enumerate(self.matrix)):
            raise UsageError(f"{shown} keeps every label; give one in which a class turns into another")

    def corrupt(self, data: LabeledTexts, rate: float, rng: np.random.Generator) -> Corruption:
        """Return the texts unchanged and n labels; DataError where the matrix does not fit the data or the rate."""
        counts = self._count_flips(data, rate)
        (items,) = rng.spawn(1)
        order = items.permutation(len(data))
        labels = data.labels.copy()
        for z, targets in enumerate(counts):
            members = order[data.labels[order] == z]
            labels[members[: targets.sum()]] = np.repeat(np.arange(len(counts)), targets)
        return Corruption(texts=data.texts, labels=labels)

    def _count_flips(self, data: LabeledTexts, rate: float) -> IntArray:
        """Return how many items of each class (rows) turn into each other one (columns)."""
        names, total = data.description.label_names, round(rate * len(data))
        sizes = np.bincount(data.labels, minlength=len(names))
        weights = sizes[:, None] * self._flips_for(data)
        if total and not weights.any():
            raise DataError(f"class_conditional.matrix keeps every label of {data.name}; let a class it holds flip")
        of_class = apportion(total, weights.sum(axis=1))
        for name, wanted, size in zip(names, of_class, sizes, strict=True):
            if wanted > size:
                raise DataError(
                    f"class_conditional at rate {rate} makes {wanted} labels of class {name!r} wrong, and {data.name} "
                    f"has {size} of them; lower the rate, or let other rows of the matrix flip more"
                )
        return np.stack([apportion(int(n), row) for n, row in zip(of_class, weights, strict=True)])

    def _flips_for(self, data: LabeledTexts) -> FloatArray:
        """Return the matrix of the data's classes with nothing on its diagonal."""
        require_two_classes(data)
        n_classes, size = data.description.n_classes, len(self.matrix)
        if self.matrix and size != n_classes:
            raise DataError(f"class_conditional.matrix is {size} x {size}; {data.name} has {n_classes} classes")
        matrix = np.array(self.matrix) if self.matrix else np.full((n_classes, n_classes), 1 / n_classes)
        return np.asarray(matrix * (1 - np.eye(n_classes)))


def apportion(total: int, weights: FloatArray) -> IntArray:
    """Split a whole number in proportion to weights by largest remainder; of equal remainders the first wins."""
    if not total:
        return np.zeros(len(weights), dtype=np.int64)
    quotas = total * weights / weights.sum()
    counts = np.floor(quotas + 1e-9).astype(np.int64)
    largest = np.argsort(-np.round(quotas - counts, 9), kind="stable")
    counts[largest[: total - counts.sum()]] += 1
    return np.asarray(counts)
