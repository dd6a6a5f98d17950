"""Trust: weights learned from the given labels, and a classifier that a shortcut fooled is not believed."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import check_grad

from ecgbench.data import BoolArray, FloatArray, IntArray
from ecgbench_detectors.ecg import trust
from ecgbench_detectors.ecg.shortcuts import Discovery, Shortcut, log_odds
from ecgbench_detectors.ecg.trust import judge_classifier, learn_weights, pooled_doubt

N = 1500


def draw_labels(rng: np.random.Generator, n_classes: int = 2, noise: float = 0.1) -> tuple[IntArray, IntArray]:
    """Return true and given labels."""
    truth = rng.integers(n_classes, size=N)
    is_wrong = rng.random(N) < noise
    return truth, np.where(is_wrong, (truth + 1) % n_classes, truth)


def draw_source(rng: np.random.Generator, truth: IntArray, skill: float, n_classes: int = 2) -> FloatArray:
    """Return probabilities of a source whose log-odds lean towards the truth by `skill`, calibrated for two classes."""
    logits = rng.normal(scale=np.sqrt(skill), size=(N, n_classes))
    logits[np.arange(N), truth] += skill
    weights = np.exp(logits)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def nothing_found() -> Discovery:
    return Discovery((), (), np.zeros(N), np.zeros(N, dtype=np.bool_))


def found_on(carries: BoolArray) -> Discovery:
    shortcut = Shortcut("<mark>", 1, int(carries.sum()), 0.9, 1e-9, 1e-4)
    return Discovery((shortcut,), (shortcut,), carries.astype(float), carries)


@pytest.mark.parametrize("n_classes", [2, 4])
def test_a_source_that_knows_nothing_weighs_nothing(n_classes: int) -> None:
    rng = np.random.default_rng(0)
    truth, given = draw_labels(rng, n_classes)
    sources = [draw_source(rng, truth, 4.0, n_classes), rng.dirichlet(np.ones(n_classes), size=N)]
    weights = learn_weights(sources, given)
    assert weights[0] == 1.0
    assert weights[1] < 0.1


def test_a_source_that_boasts_weighs_less_than_one_that_knows() -> None:
    rng = np.random.default_rng(1)
    truth, given = draw_labels(rng)
    first = draw_source(rng, truth, 4.0)
    boastful = draw_source(rng, truth, 0.5) ** 5
    boastful /= boastful.sum(axis=1, keepdims=True)
    assert learn_weights([first, boastful], given)[1] < 0.4
    assert learn_weights([first, draw_source(rng, truth, 4.0)], given)[1] > 0.6


def test_a_source_given_twice_shares_its_weight() -> None:
    rng = np.random.default_rng(2)
    truth, given = draw_labels(rng)
    first, second = draw_source(rng, truth, 3.0), draw_source(rng, truth, 2.0)
    alone, twice = learn_weights([first, second], given), learn_weights([first, second, second], given)
    assert twice[1] + twice[2] == pytest.approx(alone[1], abs=0.05)


def test_weights_do_not_depend_on_the_order_of_the_items() -> None:
    rng = np.random.default_rng(3)
    truth, given = draw_labels(rng, 3)
    sources, order = [draw_source(rng, truth, s, 3) for s in (3.0, 1.0)], rng.permutation(N)
    moved = learn_weights([source[order] for source in sources], given[order])
    np.testing.assert_allclose(moved, learn_weights(sources, given), atol=1e-3)


def test_a_first_source_without_knowledge_hands_over_to_the_second() -> None:
    rng = np.random.default_rng(4)
    truth, given = draw_labels(rng)
    assert learn_weights([rng.dirichlet([1.0, 1.0], size=N), draw_source(rng, truth, 4.0)], given)[1] > 5


def test_the_gradient_is_that_of_the_loss() -> None:
    rng = np.random.default_rng(5)
    truth, given = draw_labels(rng, 3)
    logs = np.stack([np.log(draw_source(rng, truth, s, 3)) for s in (2.0, 0.5)])
    for theta in (np.array([0.5, 0.5, 0.1]), np.array([1.7, 0.0, 0.4])):
        error = check_grad(lambda t: trust._loss(t, logs, given)[0], lambda t: trust._loss(t, logs, given)[1], theta)
        assert error < 1e-5


def test_pooling_two_classes_adds_log_odds() -> None:
    rng = np.random.default_rng(6)
    truth, given = draw_labels(rng)
    sources = [draw_source(rng, truth, s) for s in (2.0, 1.0)]
    rows = np.arange(N)
    expected = sum(w * log_odds(1.0 - s[rows, given]) for w, s in zip((1.0, 0.3), sources, strict=True))
    np.testing.assert_allclose(pooled_doubt(sources, np.array([1.0, 0.3]), given), expected, atol=1e-6)


def test_pooling_more_classes_is_the_log_odds_of_the_product() -> None:
    rng = np.random.default_rng(7)
    truth, given = draw_labels(rng, 4)
    sources = [draw_source(rng, truth, s, 4) for s in (2.0, 1.0)]
    product = sources[0] * sources[1] ** 0.5
    product /= product.sum(axis=1, keepdims=True)
    expected = log_odds(1.0 - product[np.arange(N), given])
    np.testing.assert_allclose(pooled_doubt(sources, np.array([1.0, 0.5]), given), expected, atol=1e-4)


def test_a_classifier_that_errs_on_its_own_is_believed() -> None:
    rng = np.random.default_rng(8)
    truth, given = draw_labels(rng)
    disputed = (given != truth) ^ (rng.random(N) < 0.1)
    judgement = judge_classifier(draw_source(rng, truth, 2.0), disputed, given, nothing_found())
    assert judgement.is_trusted
    assert "of the disputed labels and" in judgement.reason


def test_a_classifier_that_confirms_what_is_disputed_is_not_believed() -> None:
    rng = np.random.default_rng(9)
    _, given = draw_labels(rng)
    disputed = rng.random(N) < 0.2
    confirmed = np.where(disputed | (rng.random(N) < 0.7), given, 1 - given)
    judgement = judge_classifier(np.eye(2)[confirmed], disputed, given, nothing_found())
    assert not judgement.is_trusted
    assert judgement.reason.startswith("it confirms 100% of the disputed labels")


def test_shortcuts_on_the_disputed_items_end_the_trust_and_rare_ones_do_not() -> None:
    rng = np.random.default_rng(10)
    truth, given = draw_labels(rng)
    disputed, source = given != truth, draw_source(rng, truth, 4.0)
    assert not judge_classifier(source, disputed, given, found_on(disputed)).is_trusted
    few = np.zeros(N, dtype=np.bool_)
    few[np.flatnonzero(disputed)[:2]] = True
    assert judge_classifier(source, disputed, given, found_on(few)).is_trusted


def test_nothing_disputed_is_nothing_against_the_classifier() -> None:
    rng = np.random.default_rng(11)
    truth, given = draw_labels(rng, noise=0.0)
    assert judge_classifier(draw_source(rng, truth, 4.0), given != truth, given, nothing_found()).is_trusted
