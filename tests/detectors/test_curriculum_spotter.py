"""Curriculum spotter against the rule, written as loops over epochs and items."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from ecgbench.artifacts.classifier import Dynamics, TrainingDynamics
from ecgbench.data import DetectionTask, FloatArray, IntArray, TaskDescription
from ecgbench_detectors.curriculum_spotter import CurriculumSpotter


def score(logits: Any, labels: Any) -> FloatArray:
    logits = np.asarray(logits, dtype=np.float32)
    names = tuple(f"class {c}" for c in range(logits.shape[2]))
    task = DetectionTask(("text",) * len(labels), np.asarray(labels), TaskDescription("kind of the text", names))
    dynamics = Dynamics(logits, np.zeros((len(labels), 2), dtype=np.float32))
    artifacts: Any = {TrainingDynamics(): dynamics}
    return CurriculumSpotter().score(task, artifacts, np.random.default_rng(0))


def draw(n: int, n_classes: int, epochs: int = 4) -> tuple[FloatArray, IntArray]:
    """Return logits that learn the labels from epoch to epoch, and the labels."""
    rng = np.random.default_rng([n, n_classes])
    labels = rng.integers(n_classes, size=n)
    learned = rng.normal(size=n)[:, None] * np.eye(n_classes)[labels]
    return np.array([rng.normal(size=(n, n_classes)) + t * learned for t in range(epochs)]), labels


def by_the_letter(logits: FloatArray, labels: IntArray) -> list[float]:
    n = len(labels)
    gained, last = [0.0] * n, [0.0] * n
    for of_epoch in logits.astype(np.float32).astype(np.float64):
        losses, right = [], []
        for row, label in zip(of_epoch, labels, strict=True):
            losses.append(math.log(sum(math.exp(x - row[label]) for x in row)))
            right.append(row[label] == max(row))
        learned = [loss for loss, is_right in zip(losses, right, strict=True) if is_right]
        bound = sum(learned) / len(learned) if learned else -1.0
        hard = [i for i in range(n) if losses[i] > bound]
        for i in hard:
            gained[i] += losses[i] + 1 / len(hard)
        last = losses
    return [gained[i] or last[i] for i in range(n)]


@pytest.mark.parametrize(("n", "n_classes", "epochs"), [(40, 2, 4), (10, 4, 3), (25, 3, 1)])
def test_score_is_what_an_item_gains_in_the_epochs_in_which_it_is_hard(n: int, n_classes: int, epochs: int) -> None:
    logits, labels = draw(n, n_classes, epochs)
    np.testing.assert_allclose(score(logits, labels), by_the_letter(logits, labels), rtol=1e-12)


def test_an_item_that_never_was_hard_is_ranked_by_its_last_loss_under_those_that_were() -> None:
    easy, easier, hard = [3.0, 0.0], [4.0, 0.0], [0.0, 1.0]
    found = score([[easy, easier, easier, easier, hard]] * 2, [0, 0, 0, 0, 0])
    # The mean loss of the learned lies between `easy` and `easier`, so that `easy` is hard as well.
    assert found[4] > found[0] > found[1] == found[2] == found[3] == pytest.approx(math.log1p(math.exp(-4)))


def test_where_nothing_is_learned_every_item_is_hard() -> None:
    found = score([[[0.0, 1.0], [0.0, 2.0]]], [0, 0])
    np.testing.assert_allclose(found, [math.log1p(math.e) + 0.5, math.log1p(math.exp(2)) + 0.5])


def test_items_all_alike_have_equal_scores() -> None:
    assert len(set(score(np.ones((3, 10, 2)), [0, 1] * 5).tolist())) == 1


def test_order_of_the_items_does_not_matter_to_the_last_bit() -> None:
    logits, labels = draw(200, 3)
    order = np.random.default_rng(5).permutation(200)
    np.testing.assert_array_equal(score(logits[:, order], labels[order]), score(logits, labels)[order])


def test_a_label_learned_late_is_more_suspicious_than_one_learned_at_once() -> None:
    at_once, late = [[2.0, 0.0]] * 3, [[0.0, 2.0], [0.0, 1.0], [2.0, 0.0]]
    logits = np.stack([at_once, at_once, at_once, late], axis=1)
    assert score(logits, [0, 0, 0, 0]).argmax() == 3
