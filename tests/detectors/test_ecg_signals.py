"""The five signals against loops from their formulas."""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import Any

import numpy as np
import pytest
from ecg_inputs import Inputs, draw_inputs, permute
from hypothesis import given, settings
from hypothesis import strategies as st

from ecgbench.artifacts.classifier import Dynamics as TrainingRecord
from ecgbench.artifacts.classifier import TrainingDynamics, area_under_margin
from ecgbench.artifacts.graph import KnnGraph
from ecgbench.artifacts.llm import Explanations, ReliabilityScores
from ecgbench.artifacts.nli import NliScores
from ecgbench.data import FloatArray
from ecgbench.errors import UsageError
from ecgbench_detectors.ecg import signals as module
from ecgbench_detectors.ecg.graph import ExplanationGraph, neighbourhood_surprise
from ecgbench_detectors.ecg.signals import (
    ArtifactFocus,
    Contradiction,
    Dynamics,
    Instability,
    Neighborhood,
    Signal,
    SignalSource,
)
from ecgbench_detectors.ecg.tokens import TOKEN

KNOWN = ("<LBL_POS>", "plot")
SOURCES: tuple[SignalSource, ...] = (
    Neighborhood(),
    Contradiction(),
    ArtifactFocus(),
    ArtifactFocus(KNOWN),
    Instability(),
    Dynamics(),
)
SEEDS = st.integers(0, 10_000)
CLASSES = st.sampled_from([2, 4])


def tokens_of(inputs: Inputs) -> list[list[str]]:
    explanations = inputs.artifacts[Explanations()]
    return [[t for span in e.evidence for t in re.findall(TOKEN, span.lower())] if e else [] for e in explanations]


def filled(values: Any, inputs: Inputs) -> FloatArray:
    """Give the items without an explanation the median of the others."""
    array = np.array(values, dtype=np.float64)
    array[~inputs.is_valid] = np.median(array[inputs.is_valid])
    return array


def focus_by_loop(inputs: Inputs, n_classes: int) -> list[float]:
    """Write the mean positive PMI out, token by token."""
    found, labels = tokens_of(inputs), inputs.task.labels
    n = sum(map(bool, found))
    with_label = Counter(int(y) for y, tokens in zip(labels, found, strict=True) if tokens)
    with_token = Counter(t for tokens in found for t in set(tokens))
    both = Counter((t, int(y)) for y, tokens in zip(labels, found, strict=True) for t in set(tokens))
    pmi: dict[tuple[str, int], float] = {}
    for label in range(n_classes):
        listed = {t: m for (t, y), m in both.items() if y == label and m >= 5}
        values = {t: max(0.0, math.log(m * n / (with_token[t] * with_label[label]))) for t, m in listed.items()}
        top = sorted(values, key=lambda t: (-round(values[t], 9), -listed[t], t))[: module.TOP_TOKENS]
        pmi |= {(t, label): values[t] for t in top}
    sums = [sum(pmi.get((t, int(y)), 0.0) for t in tokens) for y, tokens in zip(labels, found, strict=True)]
    return [total / len(tokens) if tokens else 0.0 for total, tokens in zip(sums, found, strict=True)]


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, n_classes=CLASSES, top=st.sampled_from([2, 200]))
def test_artifact_focus_equals_the_mean_positive_pmi_written_as_a_loop(seed: int, n_classes: int, top: int) -> None:
    inputs = draw_inputs(seed, n_classes=n_classes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "TOP_TOKENS", top)
        found = ArtifactFocus().measure(inputs.task, inputs.artifacts)
        expected = filled(focus_by_loop(inputs, n_classes), inputs)
    np.testing.assert_allclose(found.values, expected, atol=1e-12)
    np.testing.assert_array_equal(found.confidence, inputs.is_valid)


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS)
def test_known_artifacts_count_by_their_share_of_the_evidence(seed: int) -> None:
    inputs = draw_inputs(seed)
    known = {token.lower() for token in KNOWN}
    shares = [sum(t in known for t in tokens) / max(len(tokens), 1) for tokens in tokens_of(inputs)]
    found = ArtifactFocus(KNOWN).measure(inputs.task, inputs.artifacts)
    np.testing.assert_allclose(found.values, filled(shares, inputs))
    np.testing.assert_array_equal(found.confidence, inputs.is_valid)


@pytest.mark.parametrize("token", ["two words", "", " x", "<lbl_pos> "])
def test_a_known_artifact_that_is_no_single_token_is_refused(token: str) -> None:
    with pytest.raises(UsageError, match=r"ecg\.known_artifacts holds"):
        ArtifactFocus((token,))


def test_neighborhood_is_the_surprise_trusted_by_the_nearest_neighbour() -> None:
    inputs = draw_inputs(1, n_classes=3)
    graph, found = ExplanationGraph(), Neighborhood().measure(inputs.task, inputs.artifacts)
    surprise = neighbourhood_surprise(graph.posterior(inputs.task, inputs.artifacts), inputs.task.labels)
    np.testing.assert_allclose(found.values, filled(surprise, inputs))
    nearest = inputs.artifacts[graph.neighbours].similarities[:, 0].clip(0, 1)
    np.testing.assert_allclose(found.confidence, np.where(inputs.is_valid, nearest, 0))


def test_contradiction_is_trusted_by_its_size() -> None:
    inputs = draw_inputs(2)
    scores, found = inputs.artifacts[NliScores()], Contradiction().measure(inputs.task, inputs.artifacts)
    np.testing.assert_allclose(found.values, filled(scores, inputs))
    np.testing.assert_allclose(found.confidence, np.where(inputs.is_valid, np.abs(scores), 0))


def test_instability_is_one_minus_rho_trusted_by_rho() -> None:
    inputs = draw_inputs(3)
    rho, found = inputs.artifacts[ReliabilityScores()].rho, Instability().measure(inputs.task, inputs.artifacts)
    np.testing.assert_allclose(found.values, filled(1 - rho, inputs))
    np.testing.assert_allclose(found.confidence, np.where(inputs.is_valid, rho, 0))


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, n_classes=CLASSES)
def test_dynamics_is_minus_the_mean_margin_over_epochs(seed: int, n_classes: int) -> None:
    inputs = draw_inputs(seed, n_classes=n_classes)
    logits, labels = inputs.artifacts[TrainingDynamics()].logits.astype(np.float64), inputs.task.labels
    before = logits.copy()
    margins = [
        np.mean([epoch[i, y] - max(z for c, z in enumerate(epoch[i]) if c != y) for epoch in logits])
        for i, y in enumerate(labels)
    ]
    found = Dynamics().measure(inputs.task, inputs.artifacts)
    np.testing.assert_allclose(found.values, -np.array(margins))
    np.testing.assert_allclose(found.confidence, np.abs(margins) / np.abs(margins).max())
    np.testing.assert_array_equal(area_under_margin(logits.astype(np.float32), labels), -found.values)
    np.testing.assert_array_equal(logits, before)


def test_margins_of_zero_give_no_confidence_rather_than_a_division() -> None:
    inputs = draw_inputs(4)
    still = TrainingRecord(np.zeros((2, 40, 2), dtype=np.float32), np.zeros((40, 1), dtype=np.float32))
    found = Dynamics().measure(inputs.task, inputs.artifacts | {TrainingDynamics(): still})
    assert not found.values.any()
    assert not found.confidence.any()


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, n_classes=CLASSES)
def test_every_signal_follows_a_permutation_of_the_items(seed: int, n_classes: int) -> None:
    inputs = draw_inputs(seed, n_classes=n_classes)
    order = np.random.default_rng(seed).permutation(40)
    moved = permute(inputs, order)
    for source in SOURCES:
        one, other = source.measure(inputs.task, inputs.artifacts), source.measure(moved.task, moved.artifacts)
        np.testing.assert_allclose(other.values, one.values[order], rtol=1e-12, atol=1e-14)
        np.testing.assert_array_equal(other.confidence, one.confidence[order])


def check_signal(signal: Signal, n: int) -> None:
    for array in (signal.values, signal.confidence):
        assert (array.shape, array.dtype) == ((n,), np.float64)
        assert np.isfinite(array).all()
    assert (signal.confidence >= 0).all()
    assert (signal.confidence <= 1).all()


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("failed", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("n", [16, 40])
def test_signals_are_finite_whatever_failed_also_where_all_others_are_neighbours(
    n: int, failed: float, n_classes: int
) -> None:
    inputs = draw_inputs(5, n=n, n_classes=n_classes, failed=failed)
    for source in SOURCES:
        check_signal(source.measure(inputs.task, inputs.artifacts), n)


def test_an_item_without_an_explanation_is_neutral_wherever_one_is_needed() -> None:
    inputs = draw_inputs(6, failed=0.2)
    gone = ~inputs.is_valid
    assert 0 < gone.sum() < 20
    for source in SOURCES[:-1]:
        signal = source.measure(inputs.task, inputs.artifacts)
        np.testing.assert_array_equal(signal.values[gone], np.median(signal.values[~gone]))
        assert not signal.confidence[gone].any()
    assert Dynamics().measure(inputs.task, inputs.artifacts).confidence[gone].all()


@pytest.mark.parametrize("source", SOURCES)
def test_a_signal_reads_nothing_but_what_it_declares(source: SignalSource) -> None:
    inputs = draw_inputs(7)
    declared: Any = {need: inputs.artifacts[need] for need in source.needs()}
    check_signal(source.measure(inputs.task, declared), 40)


def test_neighbours_that_are_all_far_give_every_item_the_same_surprise() -> None:
    inputs = draw_inputs(8, failed=0.0)
    graph = inputs.artifacts[ExplanationGraph().neighbours]
    far = KnnGraph(graph.indices, np.full_like(graph.similarities, 0.3))
    found = Neighborhood().measure(inputs.task, inputs.artifacts | {ExplanationGraph().neighbours: far})
    assert len(set(found.values.tolist())) == 1
