import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecgbench.errors import NotApplicableError
from ecgbench.metrics.curves import Auprc, Auroc, TnrAt95
from ecgbench.metrics.cutoffs import CutoffMetric, F1AtK, LiftAtK, PrecisionAtK, RecallAtK
from ecgbench.plugin import ecgbench_metrics

CURVES = [Auroc(), Auprc(), TnrAt95()]
CUTOFFS = [PrecisionAtK(), RecallAtK(), F1AtK(), LiftAtK()]


@st.composite
def rankings(draw, max_size=60, values=6):
    n = draw(st.integers(2, max_size))
    noisy = draw(st.lists(st.booleans(), min_size=n, max_size=n).filter(lambda flags: 0 < sum(flags) < len(flags)))
    scores = draw(st.lists(st.integers(0, values), min_size=n, max_size=n))
    return np.array(noisy), np.array(scores, dtype=np.float64) / values


@settings(deadline=None)
@given(rankings())
def test_auroc_and_auprc_equal_scikit_learn_on_ties(ranking):
    from sklearn.metrics import average_precision_score, roc_auc_score

    assert Auroc().compute(*ranking) == pytest.approx(roc_auc_score(*ranking), abs=1e-12)
    assert Auprc().compute(*ranking) == pytest.approx(average_precision_score(*ranking), abs=1e-12)


@settings(deadline=None)
@given(rankings())
def test_tnr_is_read_at_the_first_threshold_of_scikit_learns_full_roc(ranking):
    from sklearn.metrics import roc_curve

    fpr, tpr, _ = roc_curve(*ranking, drop_intermediate=False)
    assert TnrAt95().compute(*ranking) == pytest.approx(1 - fpr[tpr >= 0.95][0], abs=1e-12)


def test_hand_computed_values():
    is_noisy = np.array([True, False, True, False])
    scores = np.array([0.9, 0.8, 0.7, 0.1])
    assert Auroc().compute(is_noisy, scores) == pytest.approx(3 / 4)
    assert Auprc().compute(is_noisy, scores) == pytest.approx((1 / 1 + 2 / 3) / 2)
    assert TnrAt95().compute(is_noisy, scores) == pytest.approx(1 / 2)
    assert PrecisionAtK().compute(is_noisy, scores)["true"] == pytest.approx(1 / 2)
    assert LiftAtK().compute(is_noisy, scores)["10%"] == pytest.approx(2.0)


def test_tnr_takes_the_threshold_that_finds_exactly_95_percent():
    is_noisy = np.array([True] * 19 + [False] + [True] + [False] * 3)
    assert TnrAt95().compute(is_noisy, -np.arange(24.0)) == 1.0


def test_perfect_reversed_and_constant_rankings():
    is_noisy = np.arange(100) < 10
    for scores, auroc, auprc, tnr, precision in [
        (is_noisy.astype(float), 1.0, 1.0, 1.0, 1.0),
        (-np.arange(100)[::-1].astype(float), 0.0, None, 0.0, 0.0),
        (np.zeros(100), 0.5, 0.1, 0.0, 0.1),
    ]:
        assert Auroc().compute(is_noisy, scores) == pytest.approx(auroc)
        assert TnrAt95().compute(is_noisy, scores) == pytest.approx(tnr)
        assert PrecisionAtK().compute(is_noisy, scores)["true"] == pytest.approx(precision)
        assert auprc is None or Auprc().compute(is_noisy, scores) == pytest.approx(auprc)
    lifts = LiftAtK().compute(is_noisy, np.zeros(100))
    assert lifts == pytest.approx(dict.fromkeys(lifts, 1.0))


def counted_at(metric: CutoffMetric, hits: int, k: int, n_noisy: int, n: int) -> float:
    precision, recall = hits / k, hits / n_noisy
    harmonic = 2 * precision * recall / (precision + recall) if hits else 0.0
    values = {PrecisionAtK: precision, RecallAtK: recall, F1AtK: harmonic, LiftAtK: precision / (n_noisy / n)}
    return values[type(metric)]


@settings(deadline=None)
@given(rankings(max_size=6, values=2), st.sampled_from(CUTOFFS), st.integers(1, 6))
def test_cutoffs_are_the_mean_over_all_ways_of_breaking_ties(ranking, metric, k):
    is_noisy, scores = ranking
    n, k = len(scores), min(k, len(scores))
    orders = [
        o for o in itertools.permutations(range(n)) if all(scores[a] >= scores[b] for a, b in itertools.pairwise(o))
    ]
    brute = math.fsum(counted_at(metric, sum(is_noisy[list(o[:k])]), k, sum(is_noisy), n) for o in orders) / len(orders)
    at_k = type(metric)(shares=(k / n,))
    assert next(iter(at_k.compute(is_noisy, scores).values())) == pytest.approx(brute, abs=1e-12)


@settings(deadline=None)
@given(rankings(), st.randoms(use_true_random=False))
def test_the_order_of_the_items_does_not_matter(ranking, random):
    is_noisy, scores = ranking
    order = list(range(len(scores)))
    random.shuffle(order)
    for metric in [*CURVES, *CUTOFFS]:
        assert metric.compute(is_noisy, scores) == metric.compute(is_noisy[order], scores[order])


def test_cutoff_keys_and_sizes():
    is_noisy = np.arange(1000) < 100
    recall = RecallAtK().compute(is_noisy, -np.arange(1000.0))
    assert recall == pytest.approx({"0.5%": 0.05, "1%": 0.1, "2%": 0.2, "5%": 0.5, "10%": 1.0, "true": 1.0})


def test_a_cutoff_holds_at_least_one_item():
    is_noisy = np.array([True, False, False])
    assert PrecisionAtK().compute(is_noisy, np.array([1.0, 0.0, 0.0]))["0.5%"] == 1.0


@pytest.mark.parametrize("metric", [*CURVES, *CUTOFFS])
@pytest.mark.parametrize(("flag", "word"), [(False, "no item"), (True, "every item")])
def test_metrics_without_both_kinds_of_item_are_not_applicable(metric, flag, word):
    with pytest.raises(NotApplicableError, match=word):
        metric.compute(np.full(5, flag), np.arange(5.0))


def test_the_plugin_registers_exactly_these_metrics():
    targets = {spec.target for spec in ecgbench_metrics()}
    assert targets == {f"{type(m).__module__}:{type(m).__qualname__}" for m in [*CURVES, *CUTOFFS]}
