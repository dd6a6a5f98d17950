"""What a few cells say and how surely: means, intervals, paired comparisons, corrections, ranks. Pure functions.

Values are a metric's, one a seed; replicates are the metric under resamples of a cell's items
(`ecgbench.grid.replicates`): float64, shape (seeds, resamples).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ecgbench.data import FloatArray

LEVEL = 0.05
"""A difference is significant where its p-value, corrected, is below this; intervals hold 1 - LEVEL."""
FEWEST_TASKS = 6
"""Below this many tasks no pattern of signs is as rare as LEVEL."""
_N_DRAWS = 10_000
_ROUNDING = 1e-4
"""Replicates are rounded to this: no spread is known to be smaller."""


@dataclass(frozen=True)
class Estimate:
    """A mean over n values with their sample standard deviation; None for a single one."""

    mean: float
    sd: float | None
    n: int

    def __str__(self) -> str:
        return f"{self.mean:.3f}" if self.sd is None else f"{self.mean:.3f} ± {self.sd:.3f}"


@dataclass(frozen=True)
class Interval:
    """The ends of a 95 % interval."""

    lower: float
    upper: float

    def __str__(self) -> str:
        return f"{self.lower:.3f} to {self.upper:.3f}"


@dataclass(frozen=True)
class Difference:
    """A mean difference of two detectors over the same cells; p is two-sided, of no difference."""

    mean: float
    interval: Interval
    p: float


def summarize(values: Sequence[float | None]) -> Estimate | None:
    """Return mean, deviation and n; None where a value is missing: a mean with a missing cell is no mean."""
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return None
    return Estimate(statistics.fmean(known), statistics.stdev(known) if len(known) > 1 else None, len(known))


def find_worst(values: Sequence[float | None]) -> float | None:
    """Return the smallest value; None where one is missing, since the worst may be that one."""
    known = [value for value in values if value is not None]
    return min(known) if known and len(known) == len(values) else None


def bootstrap_interval(replicates: FloatArray) -> Interval:
    """Return the 95 % percentile interval of a mean over seeds, in two levels: seeds, and items within a seed.

    Each draw takes as many seeds as there are, with replacement, and one replicate of each. That is a
    replicate of all, anywhere in the array (Davison & Hinkley 1997, section 3.8).
    """
    rng = np.random.RandomState(0)  # numpy keeps this kind's draws as they are for good: a board stays as it is
    drawn = rng.choice(replicates.ravel(), size=(_N_DRAWS, len(replicates))).mean(axis=1)
    lower, upper = np.quantile(drawn, [LEVEL / 2, 1 - LEVEL / 2])
    return Interval(float(lower), float(upper))


def compare_paired(first: FloatArray, second: FloatArray, replicates: tuple[FloatArray, FloatArray]) -> Difference:
    """Return the mean of first - second over seeds with its t interval and p-value.

    `first` and `second`: values, shape (seeds,), of the same cells in the same order; `replicates` theirs, of one
    shape. A cell's difference varies with its items: the variance of the paired replicates, with as many degrees of
    freedom as they have. It may vary more from seed to seed: their sample variance, with one degree less than seeds.
    The greater of the two counts, since the second holds the first, but is known from a few seeds only.
    """
    from scipy.special import stdtr, stdtrit

    differences, resampled = first - second, replicates[0] - replicates[1]
    n_seeds, n_replicates = resampled.shape
    of_items = max(float(resampled.var(axis=1, ddof=1).mean()), _ROUNDING**2)
    of_seeds = float(differences.var(ddof=1)) if n_seeds > 1 else 0.0
    freedom = n_seeds - 1 if of_seeds > of_items else n_seeds * (n_replicates - 1)
    error = math.sqrt(max(of_items, of_seeds) / n_seeds)
    mean, reach = float(differences.mean()), error * float(stdtrit(freedom, 1 - LEVEL / 2))
    return Difference(mean, Interval(mean - reach, mean + reach), 2 * float(stdtr(freedom, -abs(mean) / error)))


def compare_over_tasks(differences: Sequence[float]) -> float:
    """Return the two-sided p-value of a mean difference over tasks: its signs flipped in every way.

    The sign-flip permutation test asks about the very mean that is shown, is exact for a handful of tasks, and takes
    zeros as they are (Fisher 1935). It takes tasks as independent. Above 13 tasks 9,999 flips are drawn.
    """
    from scipy.stats import permutation_test

    if len(differences) < 2:  # either sign is as far from 0
        return 1.0
    result = permutation_test(
        (np.asarray(differences, dtype=np.float64),),
        _mean,
        permutation_type="samples",
        vectorized=True,
        random_state=np.random.RandomState(0),
    )
    return float(result.pvalue)


def adjust_holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number, in their order; below LEVEL, all of them hold at once (Holm 1979)."""
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(np.maximum.accumulate(np.asarray(p_values)[order] * factors), 1.0)
    return [float(p) for p in adjusted]


def average_ranks(values: Sequence[Sequence[float | None]]) -> list[float | None]:
    """Return each row's mean rank over the columns, 1 for the greatest value; ties share their mean rank.

    `values`: one row a detector, one column a task. A row with a missing value has no rank, and the others
    are ranked as if it were not there (Friedman 1937, Demsar 2006).
    """
    whole = [at for at, row in enumerate(values) if row and None not in row]
    table = np.array([values[at] for at in whole], dtype=np.float64)
    ranks: list[float | None] = [None] * len(values)
    for at, row in zip(whole, table, strict=True):
        above, level = (table > row).sum(axis=0), (table == row).sum(axis=0)
        ranks[at] = float((above + (level + 1) / 2).mean())
    return ranks


def _mean(values: FloatArray, axis: int) -> Any:
    return np.round(np.mean(values, axis=axis), 12)  # else rounding makes two means of 0 unequal
