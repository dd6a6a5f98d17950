"""Duplicate conflict against a loop over all pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ecgbench.artifacts.embeddings import TextEmbeddings
from ecgbench.artifacts.graph import KnnGraph, Neighbours
from ecgbench.data import DetectionTask, FloatArray, TaskDescription
from ecgbench.errors import UsageError
from ecgbench_detectors.duplicate_conflict import DuplicateConflict

Vectors = NDArray[np.float64]
FAR = np.eye(12)


def score(texts: Sequence[str], labels: Any, vectors: Vectors, **settings: Any) -> FloatArray:
    detector = DuplicateConflict(**settings)
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -np.inf)
    nearest = np.argsort(-cosines, axis=1, kind="stable")[:, : min(detector.k, len(texts) - 1)]
    graph = KnnGraph(nearest, np.take_along_axis(cosines, nearest, axis=1).astype(np.float32))
    task = DetectionTask(tuple(texts), np.asarray(labels), TaskDescription("kind", ("a", "b", "c", "d")))
    artifacts: Any = {Neighbours(TextEmbeddings(), k=detector.k): graph}
    return detector.score(task, artifacts, np.random.default_rng(0))


def test_score_is_the_share_of_conflicting_near_duplicates_by_cosine() -> None:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(12, 8))[rng.integers(12, size=60)]
    vectors = centres + 0.35 * rng.normal(size=(60, 8))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    texts = [f"text {i}" for i in rng.integers(40, size=60)]
    for text in set(texts):  # equal texts have equal embeddings
        places = [i for i, other in enumerate(texts) if other == text]
        vectors[places] = vectors[places[0]]
    labels = rng.integers(4, size=60)
    expected = []
    for i in range(60):
        conflict = total = 0.0
        for j in range(60):
            cosine = 1.0 if texts[i] == texts[j] else float(vectors[i] @ vectors[j])
            if i != j and cosine >= 0.8:
                total += cosine
                conflict += cosine * (labels[i] != labels[j])
        expected.append(conflict / total if total else 0.5)
    np.testing.assert_allclose(score(texts, labels, vectors, threshold=0.8, k=59), expected, atol=1e-6)
    assert {0.0, 0.5, 1.0} < set(expected)


def test_without_any_near_duplicate_all_items_score_alike() -> None:
    assert score([f"text {i}" for i in range(12)], [0, 1] * 6, FAR).tolist() == [0.5] * 12


def test_the_odd_label_of_a_text_is_disputed_and_the_others_are_confirmed() -> None:
    found = score(["same"] * 4 + ["other"], [0, 0, 0, 1, 1], np.vstack([FAR[[0] * 4], FAR[1]]))
    np.testing.assert_allclose(found, [1 / 3, 1 / 3, 1 / 3, 1.0, 0.5])


def test_texts_that_differ_in_case_spacing_or_form_of_characters_are_one() -> None:
    texts = ["A fine  film", "a FINE film\n", "a ﬁne film", "Ａ fine film", "a fine film!"]  # noqa: RUF001
    assert score(texts, [0, 0, 0, 1, 1], FAR[:5]).tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3, 1.0, 0.5])


def test_more_equal_texts_than_neighbours_are_all_counted() -> None:
    labels = [0] * 25 + [1] * 5
    found = score(["same"] * 30, labels, FAR[[0] * 30], k=3)
    np.testing.assert_allclose(found, [5 / 29] * 25 + [25 / 29] * 5)


def test_the_threshold_itself_is_near() -> None:
    vectors = np.array([[1.0, 0.0], [0.75, np.sqrt(1 - 0.75**2)]])
    assert score(["x", "y"], [0, 1], vectors, threshold=0.75).tolist() == [1.0, 1.0]
    assert score(["x", "y"], [0, 1], vectors, threshold=0.76).tolist() == [0.5, 0.5]


def test_one_class_is_confirmed_wherever_there_are_near_duplicates() -> None:
    assert score(["x", "x", "y"], [2, 2, 2], FAR[[0, 0, 1]]).tolist() == [0.0, 0.0, 0.5]


@pytest.mark.parametrize("wrong", [{"threshold": 0.0}, {"threshold": 1.1}, {"k": 0}])
def test_impossible_parameters_are_an_error(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=f"duplicate_conflict.{next(iter(wrong))} is"):
        DuplicateConflict(**wrong)
