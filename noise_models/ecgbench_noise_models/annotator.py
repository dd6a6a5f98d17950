"""Annotator noise: real human noise, of a single rater."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ecgbench.data import Corruption, FloatArray, LabeledTexts
from ecgbench.errors import DataError, NotApplicableError
from ecgbench.specs import NoiseModel


@dataclass(frozen=True)
class AnnotatorNoise(NoiseModel):
    """Give each item the label of one of its raters, drawn at random; the truth is what all of them make of it.

    How many labels are wrong is up to the raters: it takes no rate. An item without a rater keeps its label.
    """

    uses_rate: ClassVar[bool] = False

    def corrupt(self, data: LabeledTexts, rate: float, rng: np.random.Generator) -> Corruption:  # noqa: ARG002
        """Return the texts unchanged and n labels; NotApplicableError for a dataset without annotations."""
        said = _require_annotations(data)
        heard = np.isfinite(said)
        turns = np.floor(rng.random(len(data)) * heard.sum(axis=1))
        raters = (np.cumsum(heard, axis=1) > turns[:, None]).argmax(axis=1)
        drawn = said[np.arange(len(data)), raters]
        labels = np.where(heard.any(axis=1), drawn, data.labels).astype(np.int64)
        return Corruption(texts=data.texts, labels=labels)


def _require_annotations(data: LabeledTexts) -> FloatArray:
    if data.annotations is None or not np.isfinite(data.annotations).any():
        raise NotApplicableError(
            f"annotator needs the labels of single raters, and {data.name} has none: use a dataset with annotations, "
            "such as movie_snippets"
        )
    known = data.annotations[np.isfinite(data.annotations)]
    if len(known) and not set(np.unique(known).tolist()) <= set(range(data.description.n_classes)):
        raise DataError(
            f"annotator reads annotations as class numbers from 0 to {data.description.n_classes - 1}; "
            f"those of {data.name} go from {known.min():g} to {known.max():g}"
        )
    return data.annotations
