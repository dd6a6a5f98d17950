"""What a classifier trained on a cleaned task makes of other texts."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ecgbench.artifacts.base import Artifacts, Cost, TaskArtifact
from ecgbench.data import DetectionTask, IntArray
from ecgbench.engines.classifier import load_classifier
from ecgbench.engines.context import ComputeContext
from ecgbench.profiles import ClassifierSettings
from ecgbench.seeds import derive_int


@dataclass(frozen=True)
class RetrainedPredictions(TaskArtifact[IntArray]):
    """The class that a classifier trained on the task's items gives each of `texts`: int64, shape (m,).

    `pool` holds the texts that tasks are drawn from: all are prepared together, so that the frozen layers run once
    for all trainings. Tasks of the same items and labels share a value, whoever chose the items.
    """

    uses_seed: ClassVar[bool] = True
    cost: ClassVar[Cost] = Cost(seconds=0.025, memory=700)

    pool: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    classifier: ClassifierSettings | None = None

    def compute(self, task: DetectionTask, inputs: Artifacts, context: ComputeContext) -> IntArray:  # noqa: ARG002
        """Train as for TrainingDynamics and predict; the trained model is not kept."""
        assert self.classifier is not None
        classifier = context.load(load_classifier, self.classifier)
        examples = classifier.prepare([*self.pool, *self.texts])
        place = {text: position for position, text in enumerate(self.pool)}
        trained = classifier.train(
            [examples[place[text]] for text in task.texts],
            labels=task.labels,
            n_classes=task.n_classes,
            seed=derive_int(context.seed, "training"),
            checkpoint=context.checkpoints,
        )
        predicted = trained.predict(examples[len(self.pool) :]).argmax(axis=1)
        context.progress.advance(len(task))
        if context.checkpoints:  # of no use any more, and large: a model a training
            shutil.rmtree(context.checkpoints, ignore_errors=True)
        return np.asarray(predicted, dtype=np.int64)
