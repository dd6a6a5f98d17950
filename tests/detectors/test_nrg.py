"""Neural Relation Graph against a literal loop over the formula."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ecgbench.artifacts.classifier import ClassifierStates, OutOfFoldProbs
from ecgbench.data import DetectionTask, FloatArray, IntArray, TaskDescription
from ecgbench.errors import UsageError
from ecgbench.metrics.curves import Auroc
from ecgbench_detectors import nrg
from ecgbench_detectors.nrg import Nrg

Inputs = tuple[NDArray[np.float32], FloatArray, IntArray]


def draw(n: int, n_classes: int = 3, d: int = 6, seed: int = 0) -> Inputs:
    rng = np.random.default_rng(seed)
    labels = rng.integers(n_classes, size=n)
    states = (rng.normal(size=(n, d)) + 1.5 * np.eye(n_classes, d)[labels]).astype(np.float32)
    states /= np.linalg.norm(states, axis=1, keepdims=True)
    wrong = rng.permutation(n)[: n // 10]
    labels[wrong] = (labels[wrong] + 1) % n_classes
    return states, rng.dirichlet(np.ones(n_classes), size=n), labels


def score(detector: Nrg, inputs: Inputs) -> FloatArray:
    states, probs, labels = inputs
    names = tuple(f"class {c}" for c in range(probs.shape[1]))
    task = DetectionTask(("text",) * len(labels), labels, TaskDescription("kind of the text", names))
    artifacts: Any = {ClassifierStates(): states, OutOfFoldProbs(): probs}
    return detector.score(task, artifacts, np.random.default_rng(0))


def by_the_letter(inputs: Inputs, *, power: int, cutoff: float, suspect: float, rounds: int) -> FloatArray:
    states, probs, labels = inputs
    n = len(labels)
    relation = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            sign = 1 if labels[i] == labels[j] else -1
            r = sign * max(0.0, float(states[i] @ states[j])) * float(probs[i] @ probs[j])
            relation[i, j] = np.sign(r) * abs(r) ** power if abs(r) > cutoff else 0.0
    support = relation.sum(axis=1)
    for _ in range(1, rounds):
        wrong = [j for j in range(n) if support[j] / abs(support).max() < -suspect]
        support = relation.sum(axis=1) - 2 * sum((relation[:, j] for j in wrong), np.zeros(n))
    return np.asarray(-support / abs(support).max())


@pytest.mark.parametrize(
    "settings",
    [
        {"power": 4, "cutoff": 0.03, "suspect": 0.05, "rounds": 2},
        {"power": 1, "cutoff": 0.03, "suspect": 0.05, "rounds": 1},
        {"power": 2, "cutoff": 0.3, "suspect": 0.0, "rounds": 4},
    ],
)
def test_score_is_the_published_sum(settings: dict[str, Any]) -> None:
    inputs = draw(30)
    found = score(Nrg(**settings), inputs)
    np.testing.assert_allclose(found, by_the_letter(inputs, **settings), atol=2e-6)
    assert np.abs(found).max() == 1.0


def test_defaults_are_the_authors() -> None:
    assert Nrg() == Nrg(power=4, cutoff=0.03, suspect=0.05, rounds=2)


def test_each_parameter_changes_the_scores() -> None:
    inputs = draw(60)
    for other in (Nrg(power=2), Nrg(cutoff=0.4), Nrg(suspect=0.5), Nrg(rounds=1)):
        assert not np.array_equal(score(other, inputs), score(Nrg(), inputs)), other


def test_an_item_among_items_of_another_label_is_most_suspicious() -> None:
    states = np.repeat(np.eye(2, dtype=np.float32), 10, axis=0)
    labels = np.repeat([0, 1], 10)
    labels[3] = 1
    probs = np.repeat([[0.9, 0.1], [0.1, 0.9]], 10, axis=0)
    found = score(Nrg(), (states, probs, labels))
    assert found.argmax() == 3
    assert (np.delete(found, 3) < 0).all()


def test_wrong_labels_of_separated_classes_are_found() -> None:
    states, probs, labels = draw(400, d=8)
    truth = (states[:, :3]).argmax(axis=1)
    probs = 0.9 * np.eye(3)[truth] + 0.1 / 3
    is_wrong = labels != truth
    assert Auroc().compute(is_wrong, score(Nrg(), (states, probs, labels))) > 0.95


@pytest.mark.parametrize("labels", [[0] * 12, [0, 1] * 6])
def test_items_all_alike_have_equal_scores(labels: list[int]) -> None:
    states = np.full((12, 4), 0.5, dtype=np.float32)
    found = score(Nrg(), (states, np.full((12, 2), 0.5), np.array(labels)))
    assert len(set(found.tolist())) == 1


def test_without_any_relation_all_scores_are_0() -> None:
    states = np.zeros((5, 3), dtype=np.float32)  # states of length 0 are like nothing
    np.testing.assert_array_equal(score(Nrg(), (states, np.full((5, 2), 0.5), np.array([0, 1, 0, 1, 1]))), 0.0)


def test_order_of_the_items_does_not_matter() -> None:
    states, probs, labels = draw(100)
    order = np.random.default_rng(5).permutation(100)
    found = score(Nrg(), (states[order], probs[order], labels[order]))
    np.testing.assert_allclose(found, score(Nrg(), (states, probs, labels))[order], atol=2e-6)


@pytest.mark.parametrize("block", [1, 7, 64, 100, 1_000])
def test_blocks_of_any_size_give_the_same(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = draw(100)
    expected = score(Nrg(), inputs)
    monkeypatch.setattr(nrg, "BLOCK", block)
    np.testing.assert_allclose(score(Nrg(), inputs), expected, atol=2e-6)


def test_no_matrix_of_all_pairs_is_ever_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nrg, "BLOCK", 512)
    inputs = draw(5_000, n_classes=2)
    score(Nrg(), draw(10))  # what the first call imports is not measured
    tracemalloc.start()
    score(Nrg(), inputs)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000 * 5_000 * 4 / 20


def test_shared_inputs_stay_as_they_are() -> None:
    inputs = draw(40)
    before = [array.copy() for array in inputs]
    score(Nrg(), inputs)
    for array, copy in zip(inputs, before, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("wrong", [{"power": 0}, {"rounds": 0}, {"cutoff": -0.1}, {"suspect": 1.0}])
def test_impossible_parameters_are_an_error(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=f"nrg.{next(iter(wrong))} is"):
        Nrg(**wrong)
