"""What a classifier trained on the given labels says: out-of-fold probabilities and training dynamics."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ecgbench.artifacts.base import Arrays, Artifact, Artifacts, Cost, TaskArtifact
from ecgbench.data import DetectionTask, FloatArray, IntArray
from ecgbench.engines.classifier import load_classifier
from ecgbench.engines.context import ComputeContext
from ecgbench.errors import NotApplicableError, UsageError
from ecgbench.profiles import ClassifierSettings
from ecgbench.seeds import derive_int


@dataclass(frozen=True)
class OutOfFoldProbs(TaskArtifact[FloatArray]):
    """Class probabilities of each item by a classifier that was not trained on it: float64, shape (n, C)."""

    uses_seed: ClassVar[bool] = True
    cost: ClassVar[Cost] = Cost(seconds=0.1, memory=700)

    classifier: ClassifierSettings | None = None
    folds: int = 5

    def compute(self, task: DetectionTask, inputs: Artifacts, context: ComputeContext) -> FloatArray:  # noqa: ARG002
        """Train one classifier a fold; raises NotApplicableError where there are fewer texts than folds."""
        assert self.classifier is not None
        fold_of = assign_folds(task.texts, task.labels, folds=self.folds, seed=derive_int(context.seed, "folds"))
        classifier = context.load(load_classifier, self.classifier)
        examples = classifier.prepare(task.texts)
        logits = np.zeros((len(task), task.n_classes))
        for fold in range(self.folds):
            kept, left_out = np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)
            trained = classifier.train(
                [examples[i] for i in kept],
                labels=task.labels[kept],
                n_classes=task.n_classes,
                seed=derive_int(context.seed, f"training/{fold}"),
                checkpoint=context.checkpoints and context.checkpoints / f"fold-{fold}",
            )
            logits[left_out] = trained.predict([examples[i] for i in left_out])
            context.progress.advance(len(left_out))
        if context.checkpoints:  # of no use any more, and large: a model a fold
            shutil.rmtree(context.checkpoints, ignore_errors=True)
        return softmax(logits)


@dataclass(frozen=True, eq=False)
class Dynamics:
    """What training on all items showed.

    `logits`: each item's at each epoch, in train mode: float32, shape (T, n, C); `states`: the hidden state
    that the head reads of each item after the last epoch, without dropout: float32, shape (n, d), not normalised.
    """

    logits: NDArray[np.float32]
    states: NDArray[np.float32]


def area_under_margin(logits: NDArray[np.float32], labels: IntArray) -> FloatArray:
    """Return the mean over epochs of given minus best other logit, shape (n,) (Pleiss et al. 2020, eq. 2).

    `logits`: shape (T, n, C), recorded in train mode.
    """
    rows = np.arange(len(labels))
    others = logits.copy()
    others[:, rows, labels] = -np.inf
    margins = logits[:, rows, labels].astype(np.float64) - others.max(axis=2)
    return np.asarray(margins.mean(axis=0))


@dataclass(frozen=True)
class TrainingDynamics(TaskArtifact[Dynamics]):
    """The logits of every item while a classifier trained on all of them, and its states at the end."""

    version: ClassVar[int] = 2
    uses_seed: ClassVar[bool] = True
    cost: ClassVar[Cost] = Cost(seconds=0.025, memory=700)

    classifier: ClassifierSettings | None = None

    def compute(self, task: DetectionTask, inputs: Artifacts, context: ComputeContext) -> Dynamics:  # noqa: ARG002
        """Train one classifier on all items; one fine-tuned whole stays in the checkpoint folder."""
        assert self.classifier is not None
        classifier = context.load(load_classifier, self.classifier)
        seed = derive_int(context.seed, "training")
        examples = classifier.prepare(task.texts)
        trained = classifier.train(
            examples, labels=task.labels, n_classes=task.n_classes, seed=seed, checkpoint=context.checkpoints
        )
        states = trained.pool(examples)
        context.progress.advance(len(task))
        return Dynamics(trained.train_logits, states)

    def unpack(self, arrays: Arrays) -> Dynamics:
        """Rebuild the dynamics."""
        return Dynamics(**arrays)


@dataclass(frozen=True)
class ClassifierStates(TaskArtifact[NDArray[np.float32]]):
    """Each item's state in the classifier that trained on it: float32, shape (n, d), rows of length 1."""

    stored: ClassVar[bool] = False

    classifier: ClassifierSettings | None = None

    def inputs(self) -> tuple[Artifact[Any], ...]:
        """Return the training that the states are from."""
        return (TrainingDynamics(self.classifier),)

    def compute(
        self,
        task: DetectionTask,  # noqa: ARG002
        inputs: Artifacts,
        context: ComputeContext,  # noqa: ARG002
    ) -> NDArray[np.float32]:
        """Bring the states to length 1; a state of length 0 stays as it is."""
        states = inputs[TrainingDynamics(self.classifier)].states
        lengths = np.linalg.norm(states, axis=1, keepdims=True)
        return np.asarray(np.divide(states, lengths, out=np.zeros_like(states), where=lengths > 0))


def assign_folds(texts: Sequence[str], labels: IntArray, *, folds: int, seed: int) -> IntArray:
    """Return each item's fold: int64, shape (n,); classes are dealt out evenly, equal texts share a fold.

    A duplicate in another fold would show the classifier the very item it is to judge. Raises
    NotApplicableError where there are fewer distinct texts than folds: one fold would be empty.
    """
    if folds < 2:
        raise UsageError(f"folds is {folds}; give at least 2")
    first_of: dict[str, int] = {}
    for position, text in enumerate(texts):
        first_of.setdefault(text, position)
    if len(first_of) < folds:
        raise NotApplicableError(f"{len(first_of)} distinct texts are too few for {folds} folds; give more items")
    shuffled = np.random.default_rng(seed).permutation(np.array(list(first_of.values())))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    fold_of = {texts[position]: rank % folds for rank, position in enumerate(by_class)}
    return np.array([fold_of[text] for text in texts], dtype=np.int64)


def softmax(logits: FloatArray) -> FloatArray:
    """Turn logits into probabilities along the last axis."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)  # type: ignore[no-any-return]
