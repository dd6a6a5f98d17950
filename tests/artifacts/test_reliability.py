"""Reliability: how far the samples of a text agree."""

from __future__ import annotations

import numpy as np
import pytest

from ecgbench.artifacts.llm.reliability import Reliability, measure_reliability
from ecgbench.prompts import Explanation


def explained(label: str, *evidence: str) -> Explanation:
    return Explanation(label, evidence, "some reason")


def vectors(*angles: float) -> np.ndarray:
    return np.array([[np.cos(a), np.sin(a)] for a in angles], dtype=np.float32)


def test_equal_samples_are_fully_reliable():
    samples = [(explained("wet", "it rained"),)] * 3
    found = measure_reliability(samples, [vectors(0.3)] * 3)
    assert found.rho == pytest.approx([1.0])


def test_each_part_is_a_mean_over_pairs():
    samples = [
        (explained("wet", "it rained"),),
        (explained("wet", "It poured"),),
        (explained("dry", "it rained"),),
    ]
    found = measure_reliability(samples, [vectors(0.0), vectors(np.pi / 3), vectors(np.pi / 2)])
    assert found.label_agreement == pytest.approx([1 / 3])
    assert found.evidence_jaccard == pytest.approx([(1 / 3 + 1 + 1 / 3) / 3]), "case aside"
    assert found.rationale_cosine == pytest.approx([(0.5 + 0.0 + np.cos(np.pi / 6)) / 3], abs=1e-6)
    assert found.rho[0] == pytest.approx(
        (found.label_agreement[0] + found.evidence_jaccard[0] + found.rationale_cosine[0]) / 3
    )


def test_rationales_that_point_apart_count_as_no_agreement():
    samples = [(explained("wet", "rain"),)] * 2
    assert measure_reliability(samples, [vectors(0.0), vectors(np.pi)]).rationale_cosine[0] == 0.0


def test_pairs_with_an_invalid_sample_do_not_count():
    good, other = explained("wet", "rain"), explained("dry", "sun")
    samples = [(good, good, None), (good, None, None), (None, other, other)]
    found = measure_reliability(samples, [vectors(0.0, 0.0, 0.0)] * 3)
    assert found.label_agreement[:2] == pytest.approx([1.0, 0.0])
    assert found.is_known.tolist() == [True, True, False]
    assert np.isnan(found.rho[2])
    assert found.filled == pytest.approx([*found.rho[:2], found.rho[:2].mean()])


def test_a_single_sample_tells_nothing_and_weighs_as_one():
    found = measure_reliability([(explained("wet", "rain"), None)], [vectors(0.0, 0.0)])
    assert not found.is_known.any()
    assert found.filled.tolist() == [1.0, 1.0]


def test_values_stay_between_none_and_complete():
    rng = np.random.default_rng(0)
    pool = [explained(label, word) for label in ("a", "b") for word in ("x", "y z", "z")] + [None]
    samples = [tuple(pool[i] for i in rng.integers(len(pool), size=50)) for _ in range(4)]
    found = measure_reliability(samples, [vectors(*rng.uniform(0, 6, 50)) for _ in range(4)])
    assert isinstance(found, Reliability)
    assert ((found.filled >= 0) & (found.filled <= 1)).all()
