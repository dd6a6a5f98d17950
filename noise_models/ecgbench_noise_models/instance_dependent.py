"""Instance-dependent noise: what is hard to tell is labelled wrong first."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from ecgbench.data import Corruption, FloatArray, LabeledTexts
from ecgbench.errors import DataError
from ecgbench.specs import NoiseModel
from ecgbench_noise_models._draws import require_two_classes

FOLDS = 5
_LEAST_WEIGHT = 1e-12
"""Of a text that the linear model is sure of: it flips last, and by chance among its like."""


@dataclass(frozen=True)
class InstanceDependentNoise(NoiseModel):
    """Give exactly round(rate * n) items their runner-up class, ambiguous ones first.

    A linear model on words (TF-IDF and logistic regression) fitted on the true labels gives out-of-fold
    probabilities. An item's weight is 1 less the margin between its two likeliest classes; items are drawn
    by weight without replacement (Gumbel top-k, so a smaller rate is nested in a larger one). The runner-up
    is the likeliest class but the true one.
    """

    def corrupt(self, data: LabeledTexts, rate: float, rng: np.random.Generator) -> Corruption:
        """Return the texts unchanged and n labels; DataError for a single class or texts without a word."""
        require_two_classes(data)
        folds, draws = rng.spawn(2)
        probs = predict_out_of_fold(data, folds)
        ascending = np.sort(probs, axis=1)
        weights = 1.0 - (ascending[:, -1] - ascending[:, -2])
        keys = np.log(np.maximum(weights, _LEAST_WEIGHT)) + draws.gumbel(size=len(data))
        flipped = np.argsort(-keys, kind="stable")[: round(rate * len(data))]
        probs[np.arange(len(data)), data.labels] = -1.0
        labels = data.labels.copy()
        labels[flipped] = probs[flipped].argmax(axis=1)
        return Corruption(texts=data.texts, labels=labels)


def predict_out_of_fold(data: LabeledTexts, rng: np.random.Generator) -> FloatArray:
    """Return each item's class probabilities by linear models that were not fitted on it: float64, (n, C).

    Folds are stratified. Where the other folds hold one class only, it has the probability 1.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    if not any(re.search(r"\w", text) for text in data.texts):
        raise DataError(f"instance_dependent needs texts with words; {data.name} has none")
    words = TfidfVectorizer(token_pattern=r"\w+", sublinear_tf=True).fit_transform(data.texts)
    order = rng.permutation(len(data))
    fold_of = np.empty(len(data), dtype=np.int64)
    fold_of[order[np.argsort(data.labels[order], kind="stable")]] = np.arange(len(data)) % FOLDS
    probs = np.zeros((len(data), data.description.n_classes))
    for fold in range(min(FOLDS, len(data))):
        held, known = np.flatnonzero(fold_of == fold), np.flatnonzero(fold_of != fold)
        classes = np.unique(data.labels[known])
        if len(classes) < 2:
            probs[np.ix_(held, classes)] = 1.0
            continue
        model = LogisticRegression(C=10.0, max_iter=1000).fit(words[known], data.labels[known])
        probs[np.ix_(held, classes)] = model.predict_proba(words[held])
    return probs
