"""Speed of the classifier: cross-validation on cached activations against plain fine-tuning of every layer."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecgbench.artifacts.classifier import OutOfFoldProbs
from ecgbench.data import DetectionTask, TaskDescription
from ecgbench.engines.context import ComputeContext, EnginePool
from ecgbench.engines.models import model_folder
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


def fine_tune_all_layers(task: DetectionTask, folder: Path) -> None:
    """Train one epoch as a plain script does: every layer, same batch size, batches in random order."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model: Any = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=2)
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-5)
    labels = torch.tensor(task.labels)
    model.train()
    for batch in np.array_split(np.random.default_rng(0).permutation(len(task)), len(task) // SETTINGS.batch_size):
        texts = [task.texts[i] for i in batch]
        inputs = tokenizer(texts, padding=True, truncation=True, max_length=SETTINGS.max_tokens, return_tensors="pt")
        loss = model(**inputs, labels=labels[torch.tensor(batch)]).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@pytest.mark.slow
def test_cached_classifier_is_three_times_as_fast_as_plain_fine_tuning(benchmark: Any) -> None:
    """Compare seconds a training example; the cached side pays for its lower layers and its predictions too."""
    task, context = build_task(), ComputeContext(EnginePool(Path()))
    artifact: Any = OutOfFoldProbs(SETTINGS, folds=FOLDS)

    started = time.perf_counter()
    fine_tune_all_layers(task, model_folder(SETTINGS.model, Path()))
    plain = (time.perf_counter() - started) / len(task)

    inputs: Any = {}
    benchmark.pedantic(artifact.compute, args=(task, inputs, context), rounds=1)
    cached = benchmark.stats.stats.mean / (len(task) * (FOLDS - 1) * SETTINGS.epochs)
    benchmark.extra_info.update(plain_examples_per_s=1 / plain, cached_examples_per_s=1 / cached, ratio=plain / cached)
    assert plain / cached >= 3
