"""Whom to trust: how much the graph and the trained classifier weigh beside the language model, and when not at all.

The language model never saw a given label; graph and classifier were made from them. What they know shows in
how well they predict the given labels; that a shortcut taught the classifier the errors shows where it confirms
just those labels that the language model disputes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ecgbench.data import BoolArray, FloatArray, IntArray
from ecgbench_detectors.ecg.shortcuts import Discovery

SIGNIFICANCE = 0.01
LEAST_COVERAGE = 0.05
"""Shortcuts on fewer of the disputed items say nothing about the others."""
_LEAST_WEIGHT, _LARGEST_WEIGHT = 1e-2, 4.0
_LARGEST_NOISE = 0.9


@dataclass(frozen=True)
class Trust:
    """Whether the classifier is believed, and why, in words."""

    is_trusted: bool
    reason: str

    @property
    def verdict(self) -> str:
        """Say it in a word or two."""
        return "trusted" if self.is_trusted else "not trusted"


def judge_classifier(probabilities: FloatArray, disputed: BoolArray, labels: IntArray, found: Discovery) -> Trust:
    """Say whether to believe a classifier by its out-of-fold probabilities, shape (n, C).

    It is not believed where discovered shortcuts cover a share of the disputed items, or where it
    confirms the disputed given labels significantly more often than the others (Fisher's exact test): errors that
    it made on its own would be the rarer, the surer the language model is that a label is wrong.
    """
    covered = float(found.carries[disputed].mean()) if disputed.any() else 0.0
    if found.shortcuts and covered >= LEAST_COVERAGE:
        return Trust(False, f"shortcuts cover {covered:.0%} of the disputed labels")
    confirms = probabilities.argmax(axis=1) == labels
    shares = [float(confirms[part].mean()) if part.any() else 0.0 for part in (disputed, ~disputed)]
    said = f"it confirms {shares[0]:.0%} of the disputed labels and {shares[1]:.0%} of the others"
    return Trust(not _is_fooled(confirms, disputed), said)


def _is_fooled(confirms: BoolArray, disputed: BoolArray) -> bool:
    from scipy.stats import fisher_exact

    table = [[int((part & c).sum()) for c in (confirms, ~confirms)] for part in (disputed, ~disputed)]
    return bool(fisher_exact(table, alternative="greater").pvalue < SIGNIFICANCE)


def learn_weights(sources: Sequence[FloatArray], labels: IntArray) -> FloatArray:
    """Return how much each source of class probabilities, shape (n, C), weighs in log-odds; the first weighs 1.

    The weights w of p(y | x) ~ product of p_s(y | x)^w_s are those under which the given labels are likeliest, a
    share of them being noise: logarithmic pooling, fitted by maximum likelihood with all weights at least 0.
    """
    from scipy.optimize import minimize

    if not len(labels):
        return np.asarray(np.eye(1, len(sources))[0])
    logs = np.stack([_log(source) for source in sources])
    start = np.append(np.full(len(logs), 0.5), 0.1)
    bounds = [(0.0, _LARGEST_WEIGHT)] * len(logs) + [(0.0, _LARGEST_NOISE)]
    exact = {"ftol": 1e-15, "gtol": 1e-9, "maxiter": 1000}  # the order of the items must not show in the weights
    fitted = minimize(_loss, start, (logs, labels), jac=True, bounds=bounds, method="L-BFGS-B", options=exact).x[:-1]
    weights: FloatArray = fitted / max(fitted[0], _LEAST_WEIGHT)
    weights[0] = 1.0
    return weights


def pooled_doubt(sources: Sequence[FloatArray], weights: FloatArray, labels: IntArray) -> FloatArray:
    """Return the log-odds, shape (n,), that the given label is wrong under the pooled probabilities."""
    from scipy.special import logsumexp

    pooled = np.tensordot(weights, np.stack([_log(source) for source in sources]), axes=1)
    rows = np.arange(len(labels))
    given = pooled[rows, labels]
    pooled[rows, labels] = -np.inf
    return np.asarray(logsumexp(pooled, axis=1) - given)


def _loss(theta: FloatArray, logs: FloatArray, labels: IntArray) -> tuple[float, FloatArray]:
    """Return the mean negative log-likelihood of the given labels and its gradient."""
    from scipy.special import softmax

    weights, noise = theta[:-1], theta[-1]
    rows, n_classes = np.arange(len(labels)), logs.shape[2]
    probabilities = softmax(np.tensordot(weights, logs, axes=1), axis=1)
    given = probabilities[rows, labels]
    mixed = (1.0 - noise) * given + noise / n_classes
    slopes = given * (logs[:, rows, labels] - np.einsum("snc,nc->sn", logs, probabilities))
    by_weight = -((1.0 - noise) * slopes / mixed).mean(axis=1)
    by_noise = -((1.0 / n_classes - given) / mixed).mean()
    return float(-np.log(mixed).mean()), np.append(by_weight, by_noise)


def _log(probabilities: FloatArray) -> FloatArray:
    """Return log-probabilities, kept off 0 so that no single answer outweighs everything."""
    return np.asarray(np.log(np.clip(probabilities, 1e-6, None)))
