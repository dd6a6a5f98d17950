"""Checks of noise models, on made-up data."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np

from ecgbench.data import Corruption, LabeledTexts
from ecgbench.errors import DataError, InvalidCorruptionError, NotApplicableError
from ecgbench.grid.cells import validate_corruption
from ecgbench.seeds import derive_rng
from ecgbench.testing.base import Seen, Subject, check
from ecgbench.testing.looking import differing_fields, snapshot, untouched_random_state
from ecgbench.testing.tasks import draw_data

RATE = 0.3
RATES = (0.0, 0.05, 0.1, 0.25, 0.5)
ODD = 101
UNFIT = (NotApplicableError, DataError)
"""What a noise model raises that is not made for data with this number of classes."""


def _corrupt(subject: Subject, data: LabeledTexts, *, rate: float = RATE, seed: int = 0) -> Corruption:
    used = rate if subject.instance.uses_rate else 0.0  # as the harness does
    found: Corruption = subject.instance.corrupt(data, used, derive_rng(seed, "noise"))
    return found


def _draw_fitting(subject: Subject, n: int = 40) -> LabeledTexts:
    """Return data of two classes, of three where the noise model does not take two."""
    try:
        _corrupt(subject, draw_data(n))
    except UNFIT:
        return draw_data(n, n_classes=3)
    return draw_data(n)


def _unless_rated(subject: Subject) -> str | None:
    return None if subject.instance.uses_rate else "it takes no rate"


@check()
def labels_valid(subject: Subject) -> Seen:
    """It gives n texts and n whole labels of the data's two, or three, classes; one of them may not fit it."""
    refused = []
    for n_classes in (2, 3):
        data = draw_data(n_classes=n_classes)
        try:
            validate_corruption(_corrupt(subject, data), data)
        except InvalidCorruptionError as error:
            return f"of {n_classes} classes: {error}"
        except UNFIT as error:
            refused.append(error)
    if len(refused) == 2:
        raise refused[0]
    return None


@check(skip=_unless_rated)
def exact_rate(subject: Subject) -> Seen:
    """Exactly round(rate * n) labels become wrong, also at rate 0 and where n is odd."""
    for n in (10, ODD):
        data = _draw_fitting(subject, n)
        for rate in RATES:
            found = int((np.asarray(_corrupt(subject, data, rate=rate).labels) != data.labels).sum())
            if found != round(rate * n):
                return f"{found} of {n} labels are wrong at rate {rate}, {round(rate * n)} are asked"
    return None


@check()
def deterministic(subject: Subject) -> Seen:
    """The same seed gives the same texts, labels and markers."""
    data = _draw_fitting(subject, ODD)
    first, second = (_corrupt(subject, data) for _ in range(2))
    differing = differing_fields(first, second)
    return f"{' and '.join(differing)} differ between two calls" if differing else None


@check()
def another_seed_differs(subject: Subject) -> Seen:
    """Another seed makes other labels wrong."""
    data = _draw_fitting(subject, ODD)
    drawn = {np.asarray(_corrupt(subject, data, seed=seed).labels).tobytes() for seed in range(3)}
    return "three seeds gave the same labels" if len(drawn) == 1 else None


@check()
def text_changes_declared(subject: Subject) -> Seen:
    """Texts, of right and of wrong labels, change by the corruption's markers and decoys alone."""
    data = _draw_fitting(subject, ODD)
    found = _corrupt(subject, data)
    tokens = [*found.markers, *found.decoys]
    for i, (old, new) in enumerate(zip(data.texts, found.texts, strict=True)):
        if _without(old, tokens) != _without(new, tokens):
            return f"the text of item {i} became {new!r} from {old!r}"
    return None


def _without(text: str, tokens: Sequence[str]) -> str:
    """Return a text without some tokens and without white space."""
    pattern = "|".join(map(re.escape, sorted(filter(None, tokens), key=len, reverse=True)))
    return "".join((re.sub(pattern, "", text) if pattern else text).split())


@check()
def inputs_untouched(subject: Subject) -> Seen:
    """corrupt() leaves the data as it is; its arrays are read-only, copy them."""
    data = _draw_fitting(subject)
    before = snapshot(data)
    _corrupt(subject, data)
    return "the data was changed" if snapshot(data) != before else None


def _prepare_corrupt(subject: Subject) -> Callable[[], Corruption]:
    data = _draw_fitting(subject)
    return lambda: _corrupt(subject, data)


global_random_state_untouched = untouched_random_state(
    _prepare_corrupt,
    "corrupt() draws from the generator it is given: the global states of random, numpy and torch do not move",
)


CHECKS = (
    labels_valid,
    exact_rate,
    deterministic,
    another_seed_differs,
    text_changes_declared,
    inputs_untouched,
    global_random_state_untouched,
)
