"""LLM mismatch and input kNN against loops from their formulas."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from ecgbench.artifacts.embeddings import TextEmbeddings
from ecgbench.artifacts.graph import KnnGraph, Neighbours
from ecgbench.artifacts.llm import CalibratedLabels, LabelLogits, calibrate
from ecgbench.data import DetectionTask, FloatArray, TaskDescription
from ecgbench.specs import Detector
from ecgbench_detectors.input_knn import InputKnn
from ecgbench_detectors.llm_mismatch import LlmMismatch

LABELS = np.array([0, 1, 1, 0])
LOGITS = np.log(np.array([[0.5, 0.2], [0.4, 0.1], [0.05, 0.6], [0.3, 0.3]]))


def score(detector: Detector, artifacts: dict[Any, Any]) -> FloatArray:
    task = DetectionTask(("a", "b", "c", "d"), LABELS, TaskDescription("kind", ("no", "yes")))
    return detector.score(task, artifacts, np.random.default_rng(0))  # type: ignore[arg-type]


def test_llm_mismatch_is_one_minus_the_models_probability_of_the_given_label() -> None:
    found = score(LlmMismatch(), {LabelLogits(): LOGITS})
    np.testing.assert_allclose(found, [1 - 5 / 7, 1 - 1 / 5, 1 - 12 / 13, 0.5])


def test_llm_mismatch_calibrated_reads_the_calibrated_probabilities() -> None:
    probs = calibrate(LOGITS)
    found = score(LlmMismatch(calibrated=True), {CalibratedLabels(): probs})
    np.testing.assert_allclose(found, [1 - probs[i, label] for i, label in enumerate(LABELS)])


def test_binary_llm_mismatch_is_the_models_confidence_where_it_disagrees() -> None:
    found = score(LlmMismatch(scoring="binary"), {LabelLogits(): LOGITS})
    np.testing.assert_allclose(found, [0, 4 / 5, 0, 0])


def test_binary_llm_mismatch_is_0_where_the_model_prefers_no_label() -> None:
    failed = np.full((4, 2), 0.5)  # as a failed attempt is, once calibrated
    assert score(LlmMismatch(scoring="binary", calibrated=True), {CalibratedLabels(): failed}).tolist() == [0.0] * 4


def test_calibration_takes_away_a_preference_that_all_texts_share() -> None:
    shifted = calibrate(LOGITS + np.array([3.0, -1.0]))
    np.testing.assert_allclose(shifted, calibrate(LOGITS))
    assert np.log(shifted[:, 0] / shifted[:, 1]).mean() == pytest.approx(0)


GRAPH = KnnGraph(
    np.array([[1, 2], [0, 3], [3, 0], [2, 1]]),
    np.array([[0.9, 0.5], [0.9, -0.2], [0.8, 0.5], [0.8, -0.2]], dtype=np.float32),
)


@pytest.mark.parametrize(
    ("weights", "weigh"),
    [
        ("uniform", lambda _: 1.0),
        ("similarity", lambda s: max(s, 0.0)),
        ("exponential", lambda s: math.exp(s / 0.07)),
    ],
)
def test_input_knn_is_the_weight_share_of_other_labels(weights: Any, weigh: Any) -> None:
    expected = []
    for i, label in enumerate(LABELS):
        w = [weigh(float(s)) for s in GRAPH.similarities[i]]
        agree = sum(wj for wj, j in zip(w, GRAPH.indices[i], strict=True) if LABELS[j] == label)
        expected.append(1 - agree / sum(w))
    found = score(InputKnn(k=2, weights=weights), {Neighbours(TextEmbeddings(), k=2): GRAPH})
    np.testing.assert_allclose(found, expected, atol=1e-6)
