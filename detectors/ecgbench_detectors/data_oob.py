"""Data-OOB: how often linear models that did not train on an item predict another label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecgbench.artifacts.base import Artifact, Artifacts
from ecgbench.artifacts.embeddings import TextEmbeddings
from ecgbench.data import DetectionTask, FloatArray, IntArray
from ecgbench.errors import UsageError
from ecgbench.specs import Detector

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class DataOob(Detector):
    """Score the share of out-of-bag models that predict another label (Kwon and Zou, ICML 2023).

    Each of `models` logistic regressions on the text embeddings trains on a bootstrap sample: as many draws, with
    replacement, as there are different texts. Equal texts are drawn together, so that no model judges a text it
    has seen. An item that every sample holds has the share over all items and models.
    """

    models: int = 100

    def __post_init__(self) -> None:
        if self.models < 1:
            raise UsageError(f"data_oob.models is {self.models}; give at least 1")

    def needs(self) -> tuple[Artifact[Any], ...]:
        """Declare the embeddings of the texts."""
        return (TextEmbeddings(),)

    def score(self, task: DetectionTask, artifacts: Artifacts, rng: np.random.Generator) -> FloatArray:
        """Return float64, shape (n,), in [0, 1], higher = more models that never saw the item contradict its label."""
        # In the order of the texts themselves the draws, and each sum inside a fit, are the same whatever the items'.
        order = np.array(sorted(range(len(task)), key=lambda i: (task.texts[i], task.labels[i])))
        numbers = {text: number for number, text in enumerate(sorted(set(task.texts)))}
        text_of = np.array([numbers[task.texts[i]] for i in order])
        vectors, labels = artifacts[TextEmbeddings()][order], task.labels[order]
        n_out, n_wrong = np.zeros(len(task), dtype=np.int64), np.zeros(len(task), dtype=np.int64)
        for _ in range(self.models):
            times = _draw_sample(text_of, rng)
            is_out = times == 0
            n_out += is_out
            n_wrong[is_out] += _predict(vectors, labels, times) != labels[is_out]
        pooled = n_wrong.sum() / max(n_out.sum(), 1)
        scores = np.empty(len(task))
        scores[order] = np.divide(n_wrong, n_out, out=np.full(len(task), pooled), where=n_out > 0)
        return scores


def _draw_sample(text_of: IntArray, rng: np.random.Generator) -> IntArray:
    """Return how many times each item is in a bootstrap sample of the texts, which are numbered from 0: shape (n,)."""
    n_texts = int(text_of.max()) + 1
    return np.bincount(rng.integers(n_texts, size=n_texts), minlength=n_texts)[text_of]


def _predict(vectors: Vectors, labels: IntArray, times: IntArray) -> IntArray:
    """Return the labels of the items with `times` 0, shape (m,), by a model of the others."""
    from sklearn.linear_model import LogisticRegression

    is_in = times > 0
    if len(np.unique(labels[is_in])) == 1:
        return np.full(np.count_nonzero(~is_in), labels[is_in][0])
    if is_in.all():
        return labels[:0]
    model = LogisticRegression().fit(vectors[is_in], labels[is_in], sample_weight=times[is_in])
    return np.asarray(model.predict(vectors[~is_in]))
