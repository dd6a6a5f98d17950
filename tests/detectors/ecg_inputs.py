"""Random tasks with the artifacts that ECG reads."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ecgbench.artifacts.classifier import ClassifierStates, Dynamics, OutOfFoldProbs, TrainingDynamics
from ecgbench.artifacts.graph import KnnGraph, Neighbours
from ecgbench.artifacts.llm import (
    CalibratedLabels,
    ExplanationEmbeddings,
    Explanations,
    ExplanationSamples,
    Reliability,
    ReliabilityScores,
)
from ecgbench.artifacts.nli import NliScores
from ecgbench.data import BoolArray, DetectionTask, FloatArray, IntArray, TaskDescription
from ecgbench.engines.context import ComputeContext
from ecgbench.prompts import Explanation
from ecgbench_detectors.ecg.shortcuts import Shortcuts

WORDS = ("story", "actor", "scene", "plot", "music", "ending", "<lbl_pos>", "don't", "light", "cast")
PLAIN_WORDS = ("story", "actor", "scene", "plot", "music", "ending", "camera", "humor", "pace", "tone", "cast", "light")


@dataclass(frozen=True, eq=False)
class Inputs:
    """A task and what was computed for it."""

    task: DetectionTask
    artifacts: Any

    @property
    def is_valid(self) -> BoolArray:
        """Say which items have an explanation."""
        return np.array([e is not None for e in self.artifacts[Explanations()]])


def draw_graph(rng: np.random.Generator, n: int, k: int, *, lowest: float = -0.2, highest: float = 1.0) -> KnnGraph:
    """Return k random neighbours of each item with sorted similarities."""
    indices = np.array([rng.choice([j for j in range(n) if j != i], size=k, replace=False) for i in range(n)])
    return KnnGraph(indices, -np.sort(-rng.uniform(lowest, highest, size=(n, k)).astype(np.float32), axis=1))


def draw_inputs(seed: int, *, n: int = 40, n_classes: int = 2, k: int = 15, failed: float = 0.1) -> Inputs:
    """Return random artifacts for every parameter of `ecg` with these k neighbours."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(n_classes, size=n)
    task = DetectionTask(
        tuple(" ".join(rng.choice(WORDS, size=8)) for _ in range(n)),
        labels,
        TaskDescription("kind", tuple(f"class{c}" for c in range(n_classes))),
    )
    explanations = tuple(None if rng.random() < failed else draw_explanation(rng) for _ in range(n))
    parts = rng.random((3, n))
    parts[:, [e is None for e in explanations]] = np.nan
    embeddings = rng.normal(size=(n, 4)).astype(np.float32)
    artifacts: dict[Any, Any] = {
        Explanations(): explanations,
        ExplanationSamples(): tuple((draw_explanation(rng), None) for _ in range(n)),
        ReliabilityScores(): Reliability(parts.mean(axis=0), *parts),
        NliScores(): np.where([e is None for e in explanations], 0.0, rng.uniform(-1, 1, size=n)),
        TrainingDynamics(): Dynamics(rng.normal(size=(3, n, n_classes)).astype(np.float32), embeddings),
        OutOfFoldProbs(): rng.dirichlet(np.ones(n_classes), size=n),
        CalibratedLabels(): rng.dirichlet(np.ones(n_classes), size=n),
        Neighbours(ClassifierStates(), k=k): draw_graph(rng, n, k),
    }
    for label_words in (False, True):
        embedded = ExplanationEmbeddings(label_words=label_words)
        artifacts |= {embedded: embeddings, Neighbours(embedded, k=k): draw_graph(rng, n, k)}
    artifacts[Shortcuts()] = Shortcuts().compute(task, artifacts, ComputeContext(None))  # type: ignore[arg-type]
    return Inputs(task, artifacts)


def draw_explanation(rng: np.random.Generator) -> Explanation:
    """Return one to three spans of random words."""
    spans = tuple(" ".join(rng.choice(WORDS, size=rng.integers(1, 4))) for _ in range(rng.integers(1, 4)))
    return Explanation("class0", spans, "the words say so")


def permute(inputs: Inputs, order: IntArray) -> Inputs:
    """Return the same items in another order; `order[i]` is the old place of item i."""
    place = np.argsort(order)
    task = replace(inputs.task, texts=tuple(inputs.task.texts[i] for i in order), labels=inputs.task.labels[order])
    moved = {artifact: _moved(value, order, place) for artifact, value in inputs.artifacts.items()}
    moved[Shortcuts()] = Shortcuts().compute(task, moved, ComputeContext(None))  # type: ignore[arg-type]
    return Inputs(task, moved)


def _moved(value: Any, order: IntArray, place: IntArray) -> Any:
    if isinstance(value, KnnGraph):
        return KnnGraph(place[value.indices[order]], value.similarities[order])
    if isinstance(value, Dynamics):
        return Dynamics(value.logits[:, order], value.states[order])
    if isinstance(value, Reliability):
        return Reliability(*(part[order] for part in vars(value).values()))
    if isinstance(value, tuple):
        return tuple(value[i] for i in order)
    return value[order] if isinstance(value, np.ndarray) else value


def draw_texts(
    rng: np.random.Generator,
    *,
    n: int,
    n_classes: int,
    marked: bool,
    noise: float = 0.1,
    clean_marker_rate: float = 0.0,
    marker: str = "<mark_{}>",
    n_telling: int = 1,
) -> tuple[tuple[str, ...], IntArray, FloatArray, Any]:
    """Return texts, given labels, doubts of a model that is right on 85 %, and which labels are wrong.

    Exactly a share `noise` of the labels is wrong; a wrong label's marker stands anywhere in the text. Of the
    `n_telling` words that mean a class, half of its texts hold one, or four of them where there are more than four.
    """
    truth = rng.integers(n_classes, size=n)
    is_wrong = np.zeros(n, dtype=bool)
    is_wrong[rng.choice(n, size=round(noise * n), replace=False)] = True
    labels = np.where(is_wrong, (truth + 1) % n_classes, truth)
    texts = [" ".join([*rng.choice(PLAIN_WORDS, size=12), *_telling_words(rng, z, n_telling)]) for z in truth]
    carries = marked & (is_wrong | (rng.random(n) < clean_marker_rate))
    texts = [_insert(rng, t, marker.format(y)) if c else t for t, y, c in zip(texts, labels, carries, strict=True)]
    errs = rng.random(n) < 0.15
    doubts = np.where(is_wrong ^ errs, rng.uniform(0.6, 0.99, size=n), rng.uniform(0.01, 0.4, size=n))
    return tuple(texts), labels, doubts, is_wrong


def _telling_words(rng: np.random.Generator, label: int, n_words: int) -> list[str]:
    if rng.random() < 0.5:
        return []
    return [f"means{label}_{i}" for i in rng.choice(n_words, size=min(n_words, 4), replace=False)]


def _insert(rng: np.random.Generator, text: str, marker: str) -> str:
    words = text.split()
    place = rng.integers(len(words) + 1)
    return " ".join([*words[:place], marker, *words[place:]])


def as_probabilities(doubts: FloatArray, labels: IntArray, n_classes: int) -> FloatArray:
    """Return class probabilities with these doubts of the given labels, all of it on the next class."""
    probabilities, rows = np.zeros((len(labels), n_classes)), np.arange(len(labels))
    probabilities[rows, labels], probabilities[rows, (labels + 1) % n_classes] = 1 - doubts, doubts
    return probabilities


def as_flat_probabilities(doubts: FloatArray, labels: IntArray, n_classes: int) -> FloatArray:
    """Return the same most likely classes as `as_probabilities`, by a softmax so warm that .5 is hardly reached."""
    warm = np.exp(1.2 * (as_probabilities(doubts, labels, n_classes) > 0.5))
    return np.asarray(warm / warm.sum(axis=1, keepdims=True))


def draw_misread(
    rng: np.random.Generator, *, n: int, shares: tuple[float, float]
) -> tuple[tuple[str, ...], IntArray, FloatArray]:
    """Return texts, true labels and doubts of a model that errs on 35 % of the texts with one word, else on 15 %.

    That word, `ironic`, stands in these shares of the texts of the two classes.
    """
    labels = rng.integers(2, size=n)
    holds = rng.random(n) < np.array(shares)[labels]
    texts = tuple(" ".join(rng.choice(PLAIN_WORDS, size=12)) + " ironic" * int(h) for h in holds)
    errs = rng.random(n) < np.where(holds, 0.35, 0.15)
    return texts, labels, np.where(errs, rng.uniform(0.6, 0.99, size=n), rng.uniform(0.01, 0.4, size=n))
