"""Speed of the classifier: cross-validation on cached activations against fine-tuning of every layer."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecgbench.artifacts.classifier import OutOfFoldProbs
from ecgbench.data import DetectionTask, TaskDescription
from ecgbench.engines.classifier import load_classifier
from ecgbench.engines.context import ComputeContext, EnginePool
from ecgbench.profiles import EMBEDDED

FOLDS = 5
WORDS = (
    "the",
    "film",
    "plot",
    "and",
    "of",
    "it",
    "was",
    "with",
    "its",
    "story",
    "never",
    "dull",
    "bright",
    "slow",
    "warm",
)
SETTINGS = EMBEDDED.classifier


def build_task(n: int = 160) -> DetectionTask:
    """Sentences of 3 to 45 words, 24 in the mean: the lengths of movie snippets."""
    rng = np.random.default_rng(0)
    texts = tuple(" ".join(rng.choice(WORDS, length)) for length in rng.integers(3, 46, n))
    return DetectionTask(texts, np.arange(n) % 2, TaskDescription("sentiment", ("negative", "positive")))


@pytest.mark.slow
def test_top_layers_on_cached_activations_train_twice_as_fast_as_the_whole_model(benchmark: Any) -> None:
    """Compare seconds a training example; the cached side pays for its lower layers and its predictions too."""
    task, context = build_task(), ComputeContext(EnginePool(Path()))
    artifact: Any = OutOfFoldProbs(SETTINGS, folds=FOLDS)

    whole = load_classifier(dataclasses.replace(SETTINGS, trained_layers=None, epochs=1), Path())
    examples = whole.prepare(task.texts)
    started = time.perf_counter()
    whole.train(examples, labels=task.labels, n_classes=2, seed=0)
    plain = (time.perf_counter() - started) / len(task)

    inputs: Any = {}
    benchmark.pedantic(artifact.compute, args=(task, inputs, context), rounds=1)
    cached = benchmark.stats.stats.mean / (len(task) * (FOLDS - 1) * SETTINGS.epochs)
    benchmark.extra_info.update(whole_examples_per_s=1 / plain, cached_examples_per_s=1 / cached, ratio=plain / cached)
    assert plain / cached >= 2
