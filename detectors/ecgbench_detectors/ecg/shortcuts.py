"""Shortcut discovery: tokens that predict a given label which the language model disputes.

A marker that was put into wrongly labelled texts does both; a word that carries the label's meaning
predicts it undisputed, and a hard word is disputed but predicts nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from ecgbench.artifacts.base import Artifact, Artifacts, TaskArtifact
from ecgbench.artifacts.llm import CalibratedLabels
from ecgbench.data import BoolArray, DetectionTask, FloatArray, IntArray
from ecgbench.engines.context import ComputeContext
from ecgbench_detectors.ecg.tokens import TOKEN, find_phrases

LEAST_SUPPORT = 5
FDR = 0.01
"""How often some token is called a shortcut where there is none and the language model errs alike on all words."""
SHRINKAGE = 10.0
SAME_ITEMS = 0.8
"""A shortcut so much of whose items another one has already is that other's shadow."""
SAME_PHRASE = 0.9
"""A word that stands beside a shortcut in so many of its items belongs to it."""
LONGEST_PHRASE = 8


@dataclass(frozen=True)
class Shortcut:
    """A token that speaks for a label where the language model does not.

    `n_items` carry both, `share_disputed` of them are disputed, which has this `p_value`; every p-value up to
    `threshold` is a discovery.
    """

    token: str
    label: int
    n_items: int
    share_disputed: float
    p_value: float
    threshold: float

    def describe(self, label_names: Sequence[str]) -> str:
        """Say it in words."""
        return (
            f"token {self.token} with label {label_names[self.label]}: {self.n_items} items, "
            f"{self.share_disputed:.0%} of labels disputed (p = {self.p_value:.0e}, threshold {self.threshold:.0e})"
        )


@dataclass(frozen=True, eq=False)
class Discovery:
    """Shortcuts found in a task, most significant first, and what they add to each item's log-odds, shape (n,).

    `essential` are those that are no other one's shadow, each as the longest phrase it is part of;
    `carries` says which items hold a shortcut of their given label, shape (n,).
    """

    shortcuts: tuple[Shortcut, ...]
    essential: tuple[Shortcut, ...]
    signal: FloatArray
    carries: BoolArray

    def carried_by(self, text: str, label: int) -> tuple[Shortcut, ...]:
        """Return the essential shortcuts that a text with this given label holds, else the first other one."""
        essential, others = (
            [s for s in found if s.label == label and _holds(text, s.token)]
            for found in (self.essential, self.shortcuts)
        )
        return tuple(essential or others[:1])


@dataclass(frozen=True)
class Shortcuts(TaskArtifact[Discovery]):
    """The shortcuts of a task, found with the language model's calibrated doubt."""

    stored: ClassVar[bool] = False

    fdr: float = FDR

    def inputs(self) -> tuple[Artifact[Any], ...]:
        """Return the calibrated labels."""
        return (CalibratedLabels(),)

    def compute(self, task: DetectionTask, inputs: Artifacts, context: ComputeContext) -> Discovery:  # noqa: ARG002
        """Find them by the doubt of each given label."""
        return discover_shortcuts(task.texts, task.labels, inputs[CalibratedLabels()], fdr=self.fdr)


def discover_shortcuts(
    texts: tuple[str, ...], labels: IntArray, probabilities: FloatArray, *, fdr: float = FDR
) -> Discovery:
    """Find the shortcuts of a task; `probabilities`: of each class by the text alone, shape (n, C).

    A given label is disputed where another one is likelier, and its doubt is 1 - its probability.

    A (token, label) pair with a support of at least 5 is a shortcut where the token predicts the label, and
    among the pairs that do the disputed items of its own are significantly many: two hypergeometric tests, each at
    the false discovery rate (Benjamini-Hochberg). Its items get its enrichment: the log-odds of the
    shrunk mean doubt of its other items, against the mean over all.
    """
    signal, carries = np.zeros(len(texts)), np.zeros(len(texts), dtype=np.bool_)
    wrong, disputed = 1.0 - probabilities[np.arange(len(texts)), labels], is_disputed(probabilities, labels)
    carried, names = find_phrases(texts, least=LEAST_SUPPORT)
    found: list[tuple[Shortcut, IntArray]] = []
    pairs, threshold = _significant_pairs(carried, labels, disputed, n_classes=probabilities.shape[1], fdr=fdr)
    for label, token, p_value in pairs:
        items = np.flatnonzero(carried[:, [token]].toarray().ravel() & (labels == label))
        signal[items] = np.maximum(signal[items], _enrichment(wrong[items], wrong.mean()))
        carries[items] = True
        share = float(disputed[items].mean())
        found.append((Shortcut(names[token], label, len(items), share, p_value, threshold), items))
    found.sort(key=lambda pair: (pair[0].p_value, pair[0].label, -len(pair[0].token.split()), pair[0].token))
    essential = tuple(_iter_essential(found, texts))
    return Discovery(tuple(shortcut for shortcut, _ in found), essential, signal, carries)


def is_disputed(probabilities: FloatArray, labels: IntArray) -> BoolArray:
    """Say where another label is likelier than the given one, shape (n,)."""
    return np.asarray(probabilities.max(axis=1) > probabilities[np.arange(len(labels)), labels])


def _holds(text: str, phrase: str) -> bool:
    """Tell whether the tokens of a phrase stand in a text side by side, punctuation between them or not."""
    tokens = re.findall(TOKEN, text.lower())
    words = [token for token in tokens if re.search(r"\w", token)]
    return any(f" {phrase} " in f" {' '.join(own)} " for own in (tokens, words))


def _iter_essential(found: Sequence[tuple[Shortcut, IntArray]], texts: Sequence[str]) -> Iterator[Shortcut]:
    """Yield each shortcut most of whose items no more significant one of its label has, as a whole phrase."""
    covered: set[tuple[int, int]] = set()
    for shortcut, items in found:
        own = {(shortcut.label, int(item)) for item in items}
        if len(own & covered) < SAME_ITEMS * len(own):
            covered |= own
            yield replace(shortcut, token=_extend_phrase(shortcut.token, [texts[i] for i in items]))


def _extend_phrase(phrase: str, texts: Sequence[str]) -> str:
    """Return the phrase, without punctuation, with the words that stand beside it in nearly all of these texts."""
    tokens = [re.findall(TOKEN, text.lower()) for text in texts]
    words = phrase.split()
    while len(words) < LONGEST_PHRASE:
        beside: Counter[tuple[int, str]] = Counter()
        for own in tokens:
            beside.update(set(_iter_beside(own, words)))
        (side, word), count = max(beside.items(), key=lambda item: (item[1], item[0]), default=((0, ""), 0))
        if count < SAME_PHRASE * len(texts):
            break
        words = [word, *words] if side < 0 else [*words, word]
    return " ".join(word for word in words if re.search(r"\w", word)) or phrase


def _iter_beside(tokens: Sequence[str], words: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Yield (-1, word before) and (1, word after) of each place where the words stand; punctuation is none."""
    size = len(words)
    for start in range(len(tokens) - size + 1):
        if list(tokens[start : start + size]) == list(words):
            for side, place in ((-1, start - 1), (1, start + size)):
                if 0 <= place < len(tokens) and re.search(r"\w", tokens[place]):
                    yield side, tokens[place]


def _significant_pairs(
    carried: Any, labels: IntArray, disputed: BoolArray, *, n_classes: int, fdr: float
) -> tuple[list[tuple[int, int, float]], float]:
    """Return (label, token, p-value) of every pair that passes both tests, and the largest p-value that does.

    The first test sees only how many items hold token and label, the second is conditional on that: so the
    second needs to be corrected for the pairs alone that pass the first.
    """
    n_with_token = _count_items(carried, np.ones(len(labels), dtype=np.bool_))
    pairs: list[tuple[int, int]] = []
    predicts: list[FloatArray] = []
    disputes: list[FloatArray] = []
    for label in range(n_classes):
        of_label = labels == label
        n_label, n_disputed = int(of_label.sum()), int((of_label & disputed).sum())
        n_both = _count_items(carried, of_label)
        tokens = np.flatnonzero(n_both >= LEAST_SUPPORT)
        both_disputed = _count_items(carried, of_label & disputed)[tokens]
        pairs.extend((label, int(token)) for token in tokens)
        predicts.append(_tail(n_both[tokens], (len(labels), n_label), n_with_token[tokens]))
        disputes.append(_tail(both_disputed, (n_label, n_disputed), n_both[tokens]))
    predicting, _ = _discoveries(np.concatenate(predicts), fdr)
    p_values = np.concatenate(disputes)[predicting]
    passed, threshold = _discoveries(p_values, fdr)
    return [(*pairs[predicting[i]], float(p_values[i])) for i in passed], threshold


def _count_items(carried: Any, chosen: BoolArray) -> IntArray:
    """Return how many of the chosen items hold each token."""
    return np.asarray(carried[chosen].sum(axis=0, dtype=np.int64)).ravel()


def _tail(counts: IntArray, population: tuple[int, int], drawn: IntArray) -> FloatArray:
    """Return P(at least `count` of `drawn` items are special) where so many of a population are: hypergeometric."""
    from scipy.stats import hypergeom

    cases, places = np.unique(np.stack([counts, drawn], axis=1), axis=0, return_inverse=True)  # few differ
    return np.asarray(hypergeom.sf(cases[:, 0] - 1, *population, cases[:, 1])[places.ravel()])


def _discoveries(p_values: FloatArray, fdr: float) -> tuple[IntArray, float]:
    """Return which hypotheses fall at a false discovery rate (Benjamini-Hochberg), and up to which p-value."""
    from scipy.stats import false_discovery_control

    if not len(p_values):
        return np.zeros(0, dtype=np.int64), 0.0
    passed = np.flatnonzero(false_discovery_control(np.clip(p_values, 0.0, 1.0)) <= fdr)
    return passed, fdr * len(passed) / len(p_values)


def _enrichment(wrong: FloatArray, base: float) -> FloatArray:
    """Return the log-odds of each item's fellows' shrunk mean against the base rate, leaving the item out."""
    mean = (wrong.sum() - wrong + SHRINKAGE * base) / (len(wrong) - 1 + SHRINKAGE)
    return np.asarray(log_odds(mean) - log_odds(np.asarray(base)))


def log_odds(probability: FloatArray) -> FloatArray:
    """Return log(p / (1 - p)), p kept off 0 and 1."""
    clipped = np.clip(probability, 1e-6, 1.0 - 1e-6)
    return np.asarray(np.log(clipped / (1.0 - clipped)))
