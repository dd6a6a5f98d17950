"""ReTag: a label against the likeliest one out of fold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ecgbench.artifacts.classifier import OutOfFoldProbs
from ecgbench.data import DetectionTask, FloatArray, TaskDescription
from ecgbench_detectors.retag import Retag


def score(probs: Any, labels: Any) -> list[float]:
    probs = np.asarray(probs, dtype=np.float64)
    names = tuple(f"class {c}" for c in range(probs.shape[1]))
    task = DetectionTask(("text",) * len(labels), np.asarray(labels), TaskDescription("kind of the text", names))
    artifacts: Any = {OutOfFoldProbs(): probs}
    found: FloatArray = Retag().score(task, artifacts, np.random.default_rng(0))
    assert found.dtype == np.float64
    return found.tolist()


@pytest.mark.parametrize("n_classes", [2, 5])
def test_it_is_1_where_the_prediction_is_another_label(n_classes: int) -> None:
    rng = np.random.default_rng(n_classes)
    probs, labels = rng.dirichlet(np.ones(n_classes), size=60), rng.integers(n_classes, size=60)
    expected = [float(max(range(n_classes), key=lambda c: row[c]) != y) for row, y in zip(probs, labels, strict=True)]
    assert score(probs, labels) == expected
    assert set(expected) == {0.0, 1.0}


def test_how_sure_the_prediction_is_breaks_no_tie() -> None:
    assert score([[0.9, 0.1], [0.51, 0.49], [0.2, 0.8], [0.4, 0.6]], [1, 1, 1, 1]) == [1, 1, 0, 0]


def test_a_label_that_shares_the_highest_probability_is_not_disputed() -> None:
    assert score([[0.5, 0.5], [0.5, 0.5]], [0, 1]) == [0, 0]
    assert score([[0.4, 0.4, 0.2], [0.4, 0.4, 0.2]], [1, 2]) == [0, 1]
