"""What keeps an automatic cleaner from harm: which of the most suspicious items it may not touch."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NoReturn

import numpy as np

from ecgbench.data import BoolArray, FloatArray
from ecgbench.errors import UnknownNameError, UsageError

LEAST_CONFIDENCE = 0.7
LEAST_AGREEMENT = 0.8
MOST_OUTLYING = 0.95
MOST_EASE = 0.75


class Action(StrEnum):
    """What is done with a suspicious item."""

    REMOVE = "remove"
    RELABEL = "relabel"

    @classmethod
    def _missing_(cls, value: object) -> NoReturn:
        raise UnknownNameError("action", str(value), list(cls))


class Guard(StrEnum):
    """Why an item is held back."""

    SAME_LABEL = "same label"
    CONFIDENCE = "confidence"
    AGREEMENT = "agreement"
    OUTLIER = "outlier"
    DYNAMICS = "dynamics"

    @property
    def reason(self) -> str:
        """Say in words when it holds an item back."""
        return _REASONS[self]


_REASONS = {
    Guard.SAME_LABEL: "the language model proposes the given label",
    Guard.CONFIDENCE: f"its confidence is below {LEAST_CONFIDENCE}, or not known",
    Guard.AGREEMENT: f"fewer than {LEAST_AGREEMENT:.0%} of the drawn explanations agree, or none was drawn",
    Guard.OUTLIER: f"the explanation is an outlier, further out than {MOST_OUTLYING:.0%} of all",
    Guard.DYNAMICS: f"the classifier learned the given label with more ease than {MOST_EASE:.0%} of all",
}


@dataclass(frozen=True, eq=False)
class Evidence:
    """What the guards go by, one value an item, NaN where it is not known: shape (n,).

    `is_disputed`: the proposed label is not the given one. `confidence` of the language model in its label and
    `agreement` of its drawn explanations with it, 0..1. `outlier`: the share of all items whose explanation lies less
    far out; `ease`: the share of all whose given label a classifier learned with less ease. "All" are the items of the
    file or task, not those alone that are to be cleaned: `share_below`.
    """

    is_disputed: BoolArray
    confidence: FloatArray
    agreement: FloatArray
    outlier: FloatArray
    ease: FloatArray


def find_held_back(evidence: Evidence, action: Action) -> dict[Guard, BoolArray]:
    """Return which items each guard holds back: bool, shape (n,).

    Outliers and the classifier's easy items are spared by both actions; the other guards judge a new label. A
    confidence or an agreement that is not known holds a relabelling back, one of the shares does not.
    """
    spared = {
        Guard.OUTLIER: evidence.outlier > MOST_OUTLYING,
        Guard.DYNAMICS: evidence.ease > MOST_EASE,
    }
    if action is Action.REMOVE:
        return spared
    return {
        Guard.SAME_LABEL: ~evidence.is_disputed,
        Guard.CONFIDENCE: ~(evidence.confidence >= LEAST_CONFIDENCE),
        Guard.AGREEMENT: ~(evidence.agreement >= LEAST_AGREEMENT),
        **spared,
    }


def parse_share(text: str) -> float:
    """Read "5%" as a share above 0 and up to 1; raises UsageError."""
    try:
        share = float(text.strip().removesuffix("%")) / 100
    except ValueError:
        share = 0.0
    if not text.strip().endswith("%") or not 0 < share <= 1:
        raise UsageError(f"cannot read the share {text!r}; give a percentage above 0 and up to 100, such as 5%")
    return share


def count_top(share: float, n: int) -> int:
    """Return how many of n items a share is, at least one; as the metrics at k count them."""
    return max(1, round(share * n))


def share_below(values: FloatArray) -> FloatArray:
    """Return for each value the share of the n - 1 others below it: float64, shape (n,), 0..1, equal for equal ones."""
    below = np.searchsorted(np.sort(values), values)
    return np.asarray(below / max(len(values) - 1, 1), dtype=np.float64)


def find_unjudged(evidence: Evidence) -> tuple[Guard, ...]:
    """Return the guards that know nothing of any item, and so hold none back."""
    shares = {Guard.OUTLIER: evidence.outlier, Guard.DYNAMICS: evidence.ease}
    return tuple(guard for guard, values in shares.items() if np.isnan(values).all())
