"""Data-OOB against its formula, written as loops over models that are fitted to repeated rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from ecgbench.artifacts.embeddings import TextEmbeddings
from ecgbench.data import DetectionTask, FloatArray, IntArray, TaskDescription
from ecgbench.errors import UsageError
from ecgbench.metrics.curves import Auroc
from ecgbench_detectors import data_oob
from ecgbench_detectors.data_oob import DataOob

Vectors = NDArray[np.float32]


def draw(n: int, n_classes: int) -> tuple[list[str], Vectors, IntArray]:
    """Return different texts in another order than that of their names, with embeddings and labels."""
    rng = np.random.default_rng([n, n_classes])
    labels = rng.integers(n_classes, size=n)
    vectors = rng.normal(size=(n, 5)) + 2 * np.eye(n_classes, 5)[labels]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    wrong = rng.permutation(n)[: n // 5]
    labels[wrong] = (labels[wrong] + 1) % n_classes
    return [f"text {i:03}" for i in rng.permutation(n)], vectors.astype(np.float32), labels


def score(texts: Sequence[str], vectors: Vectors, labels: Any, *, models: int = 10, seed: int = 0) -> FloatArray:
    names = tuple(f"class {c}" for c in range(int(max(labels)) + 2))
    task = DetectionTask(tuple(texts), np.asarray(labels), TaskDescription("kind of the text", names))
    artifacts: Any = {TextEmbeddings(): vectors}
    return DataOob(models=models).score(task, artifacts, np.random.default_rng(seed))


def by_the_letter(texts: Sequence[str], vectors: Vectors, labels: IntArray, *, models: int) -> list[float | None]:
    n, rng = len(texts), np.random.default_rng(0)
    order = sorted(range(n), key=lambda i: texts[i])
    wrong, out = [0] * n, [0] * n
    for _ in range(models):
        sample = [order[place] for place in rng.integers(n, size=n)]
        model = LogisticRegression().fit(vectors[sample], labels[sample])
        for i in set(range(n)) - set(sample):
            out[i] += 1
            wrong[i] += int(model.predict(vectors[i : i + 1])[0] != labels[i])
    return [wrong[i] / out[i] if out[i] else None for i in range(n)]


@pytest.mark.parametrize(("n", "n_classes", "models"), [(60, 2, 10), (60, 4, 10), (12, 2, 30)])
def test_score_is_the_share_of_out_of_bag_models_that_contradict_the_label(n: int, n_classes: int, models: int) -> None:
    texts, vectors, labels = draw(n, n_classes)
    expected = by_the_letter(texts, vectors, labels, models=models)
    found = score(texts, vectors, labels, models=models)
    known = [i for i in range(n) if expected[i] is not None]
    np.testing.assert_allclose(found[known], [expected[i] for i in known])
    assert len(set(found.tolist())) > 2


def test_an_item_never_out_of_bag_has_the_share_over_all_items() -> None:
    texts, vectors, labels = draw(60, 2)
    shares = by_the_letter(texts, vectors, labels, models=1)
    known = [share for share in shares if share is not None]
    found = score(texts, vectors, labels, models=1)
    never = [i for i, share in enumerate(shares) if share is None]
    assert 0 < len(never) < 60
    np.testing.assert_allclose(found[never], np.mean(known))
    assert 0 < np.mean(known) < 1


def test_equal_texts_are_drawn_together(monkeypatch: pytest.MonkeyPatch) -> None:
    texts, vectors, labels = draw(20, 2)
    seen = []

    def note(vectors: Vectors, labels: IntArray, times: IntArray) -> IntArray:
        seen.append((vectors, times))
        return labels[times == 0]

    monkeypatch.setattr(data_oob, "_predict", note)
    score(texts * 3, np.tile(vectors, (3, 1)), [*labels, *(1 - labels), *labels])
    for rows, times in seen:
        drawn = {row.tobytes(): set() for row in rows}
        for row, number in zip(rows, times, strict=True):
            drawn[row.tobytes()].add(int(number))
        assert all(len(numbers) == 1 for numbers in drawn.values())
        assert sum(numbers.pop() for numbers in drawn.values()) == 20


def test_wrong_labels_of_separated_classes_are_found() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(3, size=200)
    vectors = (3 * np.eye(3)[truth] + rng.normal(size=(200, 3))).astype(np.float32)
    is_wrong = np.arange(200) < 20
    found = score([f"text {i}" for i in range(200)], vectors, np.where(is_wrong, (truth + 1) % 3, truth), models=30)
    assert Auroc().compute(is_wrong, found) > 0.95


def test_one_class_is_contradicted_by_no_model() -> None:
    texts, vectors, _ = draw(15, 2)
    assert score(texts, vectors, [0] * 15).tolist() == [0.0] * 15


def test_a_single_text_that_no_model_leaves_out_has_a_score() -> None:
    _, vectors, _ = draw(15, 2)
    assert score(["same"] * 4, vectors[[0] * 4], [0, 1, 0, 1]).tolist() == [0.0] * 4


def test_a_sample_without_a_class_is_no_failure() -> None:
    texts, vectors, _ = draw(10, 2)
    found = score(texts, vectors, [1] + [0] * 9, models=20)
    assert found.argmax() == 0
    assert found[0] == 1.0  # where it is left out there is one class to predict


def test_order_of_the_items_does_not_matter_to_the_last_bit() -> None:
    texts, vectors, labels = draw(80, 3)
    order = np.random.default_rng(5).permutation(80)
    moved = score([texts[i] for i in order], vectors[order], labels[order])
    np.testing.assert_array_equal(moved, score(texts, vectors, labels)[order])


def test_draws_follow_the_generator() -> None:
    inputs = draw(80, 2)
    np.testing.assert_array_equal(score(*inputs, seed=1), score(*inputs, seed=1))
    assert (score(*inputs, seed=1) != score(*inputs, seed=2)).any()


def test_no_model_is_an_error() -> None:
    with pytest.raises(UsageError, match=r"data_oob\.models is 0; give at least 1"):
        DataOob(models=0)
