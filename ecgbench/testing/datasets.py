"""Checks of datasets, on what they load: from the cache, fetched where it is not there yet."""

from __future__ import annotations

import functools

import numpy as np

from ecgbench.data import LabeledTexts
from ecgbench.specs import DatasetContext
from ecgbench.store.cache import Cache, default_cache_folder
from ecgbench.testing.base import Seen, Subject, check
from ecgbench.testing.looking import differing_fields, untouched_random_state


def _load(subject: Subject) -> LabeledTexts:
    data: LabeledTexts = subject.instance.load(DatasetContext(Cache.open(default_cache_folder()).datasets))
    return data


@functools.lru_cache(maxsize=1)
def _load_once(subject: Subject) -> LabeledTexts:
    """Return what the first load of a subject gave, for checks that only look at it."""
    return _load(subject)


@check()
def loads_twice_alike(subject: Subject) -> Seen:
    """Loaded again it is the same: texts, labels, raters and description, in the same order."""
    differing = differing_fields(_load_once(subject), _load(subject))
    return f"{' and '.join(differing)} differ between two loads" if differing else None


@check()
def labels_in_range(subject: Subject) -> Seen:
    """Every label, true or given, is a class that the description names, and there is one an item."""
    data = _load_once(subject)
    for name in ("labels", "given_labels"):
        labels = getattr(data, name)
        if labels.shape != (len(data),):
            return f"{name} has shape {labels.shape} for {len(data)} texts"
        if len(data) and (labels.min() < 0 or labels.max() >= data.description.n_classes):
            return f"{name} goes from {labels.min()} to {labels.max()}, {data.description.n_classes} classes are named"
    return None


@check()
def texts_are_strings(subject: Subject) -> Seen:
    """It holds at least two texts, all of them strings."""
    texts = _load_once(subject).texts
    if len(texts) < 2:
        return f"it holds {len(texts)} texts"
    other = next((i for i, text in enumerate(texts) if not isinstance(text, str)), None)
    return None if other is None else f"text {other} is of type {type(texts[other]).__name__}"


@check()
def description_complete(subject: Subject) -> Seen:
    """Data, noun, headings and two classes or more have names, each its own; examples and lines fit the classes."""
    data = _load_once(subject)
    described = data.description
    names = described.label_names
    named = {
        "name": data.name,
        "noun": described.noun,
        "text_heading": described.text_heading,
        "label_heading": described.label_heading,
    }
    if bare := [what for what, text in named.items() if not text.strip()]:
        return f"{' and '.join(bare)} is empty"
    if len(names) < 2 or len(set(names)) < len(names) or not all(name.strip() for name in names):
        return f"label_names is {names}"
    if described.label_lines and len(described.label_lines) != len(names):
        return f"label_lines has {len(described.label_lines)} lines for {len(names)} classes"
    return next((f"a shot has the label {s.label!r}" for s in described.shots if s.label not in names), None)


@check()
def raters_fit(subject: Subject) -> Seen:
    """The labels of raters, where there are any, are one row an item, each the number of a class or NaN."""
    data = _load_once(subject)
    if data.annotations is None:
        return None
    if data.annotations.ndim != 2 or len(data.annotations) != len(data):
        return f"annotations has shape {np.shape(data.annotations)} for {len(data)} texts"
    known = data.annotations[~np.isnan(data.annotations)]
    other = known[~np.isin(known, np.arange(data.description.n_classes))]
    return f"annotations holds {other[0]:g}, {data.description.n_classes} classes are named" if len(other) else None


global_random_state_untouched = untouched_random_state(
    lambda subject: lambda: _load(subject), "load() moves no global state of random, numpy or torch"
)


CHECKS = (
    loads_twice_alike,
    labels_in_range,
    texts_are_strings,
    description_complete,
    raters_fit,
    global_random_state_untouched,
)
