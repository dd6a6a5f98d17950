"""Shortcut discovery: tokens that predict a given label which the language model disputes.

A marker that was put into wrongly labelled texts does both; a word that carries the label's meaning
predicts it undisputed, and a hard word is disputed but predicts nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ecgbench.artifacts.base import Artifact, Artifacts, TaskArtifact
from ecgbench.artifacts.llm import CalibratedLabels
from ecgbench.data import BoolArray, DetectionTask, FloatArray, IntArray
from ecgbench.engines.context import ComputeContext

TOKEN = r"<[^<>\s]+>|\[[^\[\]\s]+\]|\w+(?:['\u2019-]\w+)*|[^\w\s]"
LEAST_SUPPORT = 5
SHRINKAGE = 10.0


@dataclass(frozen=True)
class Shortcut:
    """A token that speaks for a label where the language model does not.

    `n_items` carry both, `share_disputed` of them are disputed; `p_value` is of the disputed count.
    """

    token: str
    label: int
    n_items: int
    share_disputed: float
    p_value: float

    def describe(self, label_names: Sequence[str]) -> str:
        """Say it in words."""
        return (
            f"token {self.token} with label {label_names[self.label]}: {self.n_items} items, "
            f"{self.share_disputed:.0%} of labels disputed (p = {self.p_value:.0e})"
        )


@dataclass(frozen=True, eq=False)
class Discovery:
    """Shortcuts found in a task, most significant first, and what they add to each item's log-odds, shape (n,)."""

    shortcuts: tuple[Shortcut, ...]
    signal: FloatArray

    @property
    def essential(self) -> tuple[Shortcut, ...]:
        """Return the shortcuts without pairs of words of which one word alone is a shortcut for the same label."""
        single = {(s.token, s.label) for s in self.shortcuts}
        return tuple(
            s for s in self.shortcuts if " " not in s.token or not {(w, s.label) for w in s.token.split()} & single
        )


@dataclass(frozen=True)
class Shortcuts(TaskArtifact[Discovery]):
    """The shortcuts of a task, found with the language model's calibrated doubt."""

    stored: ClassVar[bool] = False

    fdr: float = 0.05

    def inputs(self) -> tuple[Artifact[Any], ...]:
        """Return the calibrated labels."""
        return (CalibratedLabels(),)

    def compute(self, task: DetectionTask, inputs: Artifacts, context: ComputeContext) -> Discovery:  # noqa: ARG002
        """Find them by the doubt of each given label."""
        wrong = 1.0 - inputs[CalibratedLabels()][np.arange(len(task)), task.labels]
        return discover_shortcuts(task.texts, task.labels, wrong, n_classes=task.n_classes, fdr=self.fdr)


def discover_shortcuts(
    texts: tuple[str, ...], labels: IntArray, wrong: FloatArray, *, n_classes: int, fdr: float = 0.05
) -> Discovery:
    """Find the shortcuts of a task; `wrong`: probability that each given label is wrong, by the text alone.

    A (token, label) pair with a support of at least 5 is a shortcut where the token predicts the label and
    the disputed items among its own are significantly many, both by hypergeometric tests that hold the false
    discovery rate over all pairs (Benjamini-Hochberg). Its items get its enrichment: the log-odds of the
    shrunk mean of `wrong` over its other items, against the mean over all.
    """
    signal = np.zeros(len(texts))
    carried, names = _token_matrix(texts)
    found: list[Shortcut] = []
    for label, token, p_value in _significant_pairs(carried, labels, wrong > 0.5, n_classes=n_classes, fdr=fdr):
        items = np.flatnonzero(carried[:, [token]].toarray().ravel() & (labels == label))
        signal[items] = np.maximum(signal[items], _enrichment(wrong[items], wrong.mean()))
        found.append(Shortcut(names[token], label, len(items), float((wrong[items] > 0.5).mean()), p_value))
    found.sort(key=lambda s: (s.p_value, s.label, s.token))
    return Discovery(tuple(found), signal)


def _token_matrix(texts: tuple[str, ...]) -> tuple[Any, list[str]]:
    """Return which text holds which word or pair of words: bool csc (n, tokens), and the tokens."""
    from sklearn.feature_extraction.text import CountVectorizer

    vectorizer = CountVectorizer(
        token_pattern=TOKEN, ngram_range=(1, 2), binary=True, min_df=min(LEAST_SUPPORT, len(texts)), dtype=np.bool_
    )
    try:
        matrix = vectorizer.fit_transform(texts)
    except ValueError:  # no token is frequent enough
        from scipy.sparse import csc_matrix

        return csc_matrix((len(texts), 0), dtype=np.bool_), []
    return matrix.tocsc(), list(vectorizer.get_feature_names_out())


def _significant_pairs(
    carried: Any, labels: IntArray, disputed: BoolArray, *, n_classes: int, fdr: float
) -> list[tuple[int, int, float]]:
    """Return (label, token, p-value) of every pair that passes both tests."""
    from scipy.stats import false_discovery_control, hypergeom

    n_with_token = np.asarray(carried.sum(axis=0, dtype=np.int64)).ravel()
    pairs: list[tuple[int, int]] = []
    p_values: list[FloatArray] = []
    for label in range(n_classes):
        of_label = labels == label
        n_both = np.asarray(carried[of_label].sum(axis=0, dtype=np.int64)).ravel()
        n_disputed = np.asarray(carried[of_label & disputed].sum(axis=0, dtype=np.int64)).ravel()
        tokens = np.flatnonzero(n_both >= LEAST_SUPPORT)
        n_label, m = int(of_label.sum()), n_both[tokens]
        predicts = hypergeom.sf(m - 1, len(labels), n_label, n_with_token[tokens])
        is_disputed = hypergeom.sf(n_disputed[tokens] - 1, n_label, int((of_label & disputed).sum()), m)
        pairs.extend((label, int(token)) for token in tokens)
        p_values.append(np.maximum(predicts, is_disputed))  # both must hold: the larger p-value of the two
    if not pairs:
        return []
    together = np.clip(np.concatenate(p_values), 0.0, 1.0)
    passed = np.flatnonzero(false_discovery_control(together) <= fdr)
    return [(*pairs[i], float(together[i])) for i in passed]


def _enrichment(wrong: FloatArray, base: float) -> FloatArray:
    """Return the log-odds of each item's fellows' shrunk mean against the base rate, leaving the item out."""
    mean = (wrong.sum() - wrong + SHRINKAGE * base) / (len(wrong) - 1 + SHRINKAGE)
    return np.asarray(log_odds(mean) - log_odds(np.asarray(base)))


def log_odds(probability: FloatArray) -> FloatArray:
    """Return log(p / (1 - p)), p kept off 0 and 1."""
    clipped = np.clip(probability, 1e-6, 1.0 - 1e-6)
    return np.asarray(np.log(clipped / (1.0 - clipped)))
