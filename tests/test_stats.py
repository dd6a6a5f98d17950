"""The statistics against independent references: scipy, loops from the formulas, published examples, simulation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import bootstrap, rankdata, ttest_1samp, ttest_rel
from sklearn.metrics import average_precision_score, roc_auc_score

from ecgbench.data import BoolArray, FloatArray
from ecgbench.grid.replicates import N_REPLICATES, resample_metrics
from ecgbench.stats import (
    FEWEST_TASKS,
    Difference,
    adjust_holm,
    average_ranks,
    bootstrap_interval,
    compare_over_tasks,
    compare_paired,
    find_worst,
    summarize,
)

values = st.lists(st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.4]), min_size=3, max_size=3), min_size=1, max_size=6)


def make_task(rng: np.random.Generator, n: int = 200) -> BoolArray:
    return np.asarray(rng.permutation(n) < n // 10)


def score(is_noisy: BoolArray, rng: np.random.Generator, *, signal: float = 1.0) -> FloatArray:
    return rng.normal(size=len(is_noisy)) + signal * is_noisy


# Replicates


def test_a_replicate_is_the_metric_of_the_resampled_items_with_ties() -> None:
    rng = np.random.default_rng(0)
    is_noisy = make_task(rng, 60)
    scores = np.round(score(is_noisy, rng))
    items = np.arange(60.0)
    found = resample_metrics(is_noisy, scores)
    # Which items were drawn is read off detectors that mark a single item: AUROC is .5 + half its share among its kind.
    counts = np.zeros((N_REPLICATES, 60), dtype=int)
    for item in range(60):
        single = np.array(resample_metrics(is_noisy, (items == item).astype(float))["auroc"])
        kind = np.count_nonzero(is_noisy == is_noisy[item])
        counts[:, item] = np.rint(np.abs(single - 0.5) * 2 * kind)
    assert (counts[:, is_noisy].sum(axis=1) == is_noisy.sum()).all()
    assert (counts[:, ~is_noisy].sum(axis=1) == (~is_noisy).sum()).all()
    for r in range(N_REPLICATES):
        truth, drawn = np.repeat(is_noisy, counts[r]), np.repeat(scores, counts[r])
        assert found["auroc"][r] == pytest.approx(roc_auc_score(truth, drawn), abs=6e-5)
        assert found["auprc"][r] == pytest.approx(average_precision_score(truth, drawn), abs=6e-5)


def test_replicates_follow_from_the_task_alone() -> None:
    rng = np.random.default_rng(1)
    is_noisy, other = make_task(rng), make_task(rng)
    scores = score(is_noisy, rng)
    assert resample_metrics(is_noisy, scores) == resample_metrics(is_noisy.copy(), 3 * scores + 1)
    assert resample_metrics(is_noisy, scores) != resample_metrics(other, scores)


def test_the_draws_stay_as_they_are() -> None:
    """Committed records of two versions are paired: other draws would unpair them silently."""
    is_noisy = np.arange(10) < 3
    assert resample_metrics(is_noisy, np.arange(10.0) % 7)["auroc"][:5] == [0.0952, 0.119, 0.2143, 0.0238, 0.2381]


def test_replicates_spread_as_the_metric_does_over_fresh_items() -> None:
    rng = np.random.default_rng(2)
    is_noisy = make_task(rng, 400)
    fresh = [roc_auc_score(is_noisy, score(is_noisy, rng)) for _ in range(300)]
    spread = [np.std(resample_metrics(is_noisy, score(is_noisy, rng))["auroc"]) for _ in range(20)]
    assert np.mean(spread) == pytest.approx(np.std(fresh), rel=0.15)


@pytest.mark.parametrize("value", [True, False])
def test_a_task_of_one_kind_of_items_has_no_replicates(value: bool) -> None:
    assert resample_metrics(np.full(5, value), np.arange(5.0)) == {}


# Means and intervals


def test_a_mean_with_a_missing_value_is_none() -> None:
    found = summarize([0.7, 0.8, 0.9])
    assert found is not None
    assert (found.mean, found.sd, found.n) == (pytest.approx(0.8), pytest.approx(0.1), 3)
    assert str(found) == "0.800 ± 0.100"
    assert str(summarize([0.5])) == "0.500"
    assert summarize([0.7, None]) is None
    assert summarize([]) is None
    assert find_worst([0.7, 0.3]) == 0.3
    assert find_worst([0.7, None]) is None
    assert find_worst([]) is None


def test_the_interval_of_one_seed_is_the_percentiles_of_its_replicates() -> None:
    replicates = np.random.default_rng(3).normal(0.8, 0.02, size=(1, 2000))
    found = bootstrap_interval(replicates)
    assert found.lower == pytest.approx(np.quantile(replicates, 0.025), abs=2e-3)
    assert found.upper == pytest.approx(np.quantile(replicates, 0.975), abs=2e-3)


def test_the_interval_of_several_seeds_draws_seeds_and_then_items() -> None:
    rng = np.random.default_rng(4)
    replicates = rng.normal(0.8, 0.02, size=(4, 200)) + rng.normal(0, 0.05, size=(4, 1))
    means = [np.mean([replicates[seed, rng.integers(200)] for seed in rng.integers(4, size=4)]) for _ in range(20_000)]
    found = bootstrap_interval(replicates)
    assert found.lower == pytest.approx(np.quantile(means, 0.025), abs=2e-3)
    assert found.upper == pytest.approx(np.quantile(means, 0.975), abs=2e-3)


def test_with_seeds_alone_the_interval_is_scipys_bootstrap() -> None:
    seeds = np.random.default_rng(5).normal(0.8, 0.05, size=8)
    found = bootstrap_interval(np.repeat(seeds[:, None], 10, axis=1))
    reference = bootstrap((seeds,), np.mean, method="percentile", random_state=0).confidence_interval
    assert (found.lower, found.upper) == pytest.approx(reference, abs=2e-3)


# Paired comparisons


def compare_known(differences: list[float], spread: FloatArray) -> Difference:
    """Compare values that differ so, with replicates that spread so around them, shape (seeds, resamples)."""
    first = np.array(differences)
    return compare_paired(first, np.zeros(len(first)), (first[:, None] + spread, np.zeros_like(spread)))


def test_where_seeds_differ_more_than_items_the_test_is_the_paired_t_test() -> None:
    differences = [0.1, -0.05, 0.2, 0.08]
    found = compare_known(differences, np.tile([-1e-3, 1e-3], (4, 50)))
    assert found.p == pytest.approx(ttest_rel(differences, np.zeros(4)).pvalue)
    reference = ttest_1samp(differences, 0).confidence_interval(0.95)
    assert (found.interval.lower, found.interval.upper) == pytest.approx(tuple(reference))


def test_where_items_move_more_than_seeds_their_variance_counts() -> None:
    spread = np.random.default_rng(6).normal(0, 0.05, size=(3, 200))
    found = compare_known([0.05, 0.06, 0.04], spread)
    error = math.sqrt(np.mean([np.var(own, ddof=1) for own in spread]) / 3)
    assert found.mean == pytest.approx(0.05)
    assert found.interval.upper - found.interval.lower == pytest.approx(2 * 1.964 * error, rel=1e-3)
    assert (found.p < 0.05) == (found.interval.lower > 0)


def test_one_seed_is_compared_by_its_items() -> None:
    spread = np.random.default_rng(7).normal(0, 0.01, size=(1, 200))
    assert compare_known([0.03], spread).p < 0.01 < compare_known([0.015], spread).p
    assert compare_known([0.0], spread).p == 1.0


def test_what_is_always_equal_or_always_apart_is_so() -> None:
    still = np.zeros((2, 50))
    assert compare_known([0.0, 0.0], still).p == 1.0
    assert compare_known([0.5, 0.5], still).p < 1e-9
    assert compare_known([4e-5, 4e-5], still).p > 0.05  # less than a replicate is rounded by


def test_a_comparison_turned_round_is_the_same_with_the_other_sign() -> None:
    rng = np.random.default_rng(8)
    a, b, ra, rb = rng.random(3), rng.random(3), rng.random((3, 50)), rng.random((3, 50))
    one, other = compare_paired(a, b, (ra, rb)), compare_paired(b, a, (rb, ra))
    assert one.p == pytest.approx(other.p)
    assert one.mean == pytest.approx(-other.mean)
    assert one.interval.lower == pytest.approx(-other.interval.upper)


@pytest.mark.parametrize(
    ("n_seeds", "seed_spread", "least", "most"),
    [(1, 0.0, 0.04, 0.06), (3, 0.0, 0.025, 0.05), (3, 1.0, 0.04, 0.08), (3, 8.0, 0.04, 0.06), (5, 1.0, 0.04, 0.06)],
)
def test_equal_detectors_are_told_apart_in_about_five_of_a_hundred_comparisons(
    n_seeds: int, seed_spread: float, least: float, most: float
) -> None:
    """Two detectors that differ by their items, and by so many times that from seed to seed, but not in the mean."""
    rng = np.random.default_rng(9)
    spread = rng.normal(0, 0.01, size=(n_seeds, 200))
    scale = 0.01 * math.sqrt(1 + seed_spread**2)
    claims = [compare_known(list(rng.normal(0, scale, n_seeds)), spread).p < 0.05 for _ in range(4000)]
    assert least <= np.mean(claims) <= most


@pytest.mark.slow
def test_detectors_of_equal_worth_are_seldom_told_apart_by_their_rankings() -> None:
    rng = np.random.default_rng(10)
    claims = []
    for _ in range(60):
        tasks = [make_task(rng, 100) for _ in range(3)]
        pair = []
        for _ in range(2):
            scores = [score(task, rng) for task in tasks]
            aurocs = np.array([roc_auc_score(t, s) for t, s in zip(tasks, scores, strict=True)])
            replicates = [resample_metrics(t, s)["auroc"] for t, s in zip(tasks, scores, strict=True)]
            pair.append((aurocs, np.array(replicates)))
        (first, ra), (second, rb) = pair
        claims.append(compare_paired(first, second, (ra, rb)).p < 0.05)
    assert np.mean(claims) <= 0.1


def test_a_better_detector_is_found() -> None:
    rng = np.random.default_rng(11)
    task = make_task(rng, 1000)
    found = [resample_metrics(task, score(task, rng, signal=signal))["auroc"] for signal in (2.0, 1.0)]
    first, second = (np.array([own]) for own in found)
    assert compare_paired(first.mean(axis=1), second.mean(axis=1), (first, second)).p < 1e-3


# Several comparisons


def test_holm_on_a_published_example() -> None:
    """The worked example of the method on Wikipedia: the first and the last are rejected, the others are not."""
    assert adjust_holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_rejects_what_the_step_down_procedure_rejects(p_values: list[float]) -> None:
    adjusted = adjust_holm(p_values)
    rejected: set[int] = set()
    for step, at in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        if p_values[at] * (len(p_values) - step) >= 0.05:
            break
        rejected.add(at)
    assert {at for at, p in enumerate(adjusted) if p < 0.05} == rejected
    assert all(p <= q <= 1 for p, q in zip(p_values, adjusted, strict=True))


def test_holm_keeps_all_claims_right_nineteen_times_of_twenty() -> None:
    rng = np.random.default_rng(12)
    wrong = [min(adjust_holm(list(rng.random(10)))) < 0.05 for _ in range(2000)]
    assert np.mean(wrong) == pytest.approx(0.05, abs=0.015)


# Ranks and tasks


@given(values)
def test_ranks_are_scipys_with_ties_averaged(table: list[list[float]]) -> None:
    reference = rankdata(-np.array(table), method="average", axis=0).mean(axis=1)
    assert average_ranks(table) == pytest.approx(list(reference))


def test_a_row_with_a_missing_value_has_no_rank_and_moves_no_other() -> None:
    table = [[0.9, 0.8], [0.95, None], [0.7, 0.8], []]
    assert average_ranks(table) == [1.25, None, 1.75, None]
    assert average_ranks([]) == []


def flip_all(differences: list[float]) -> float:
    """Return the share of all sign patterns whose mean is at least as far from 0."""
    size = np.abs(differences)
    sums = [
        abs(sum(s * d for s, d in zip(signs, size, strict=True)))
        for signs in itertools.product((-1, 1), repeat=len(size))
    ]
    return float(np.mean(np.array(sums) >= abs(sum(differences)) - 1e-12))


@given(st.lists(st.integers(-5, 5).map(lambda x: x / 100), min_size=2, max_size=8))
def test_the_test_over_tasks_flips_every_sign(differences: list[float]) -> None:
    assert compare_over_tasks(differences) == pytest.approx(flip_all(differences))


def test_too_few_tasks_are_never_significant_and_enough_can_be() -> None:
    assert compare_over_tasks([0.1] * (FEWEST_TASKS - 1)) > 0.05
    assert compare_over_tasks([0.1] * FEWEST_TASKS) < 0.05
    assert compare_over_tasks([0.1]) == 1.0


def test_many_tasks_give_one_answer_every_time() -> None:
    differences = list(np.random.default_rng(13).normal(0.05, 0.1, size=30))
    assert compare_over_tasks(differences) == compare_over_tasks(differences)
    assert compare_over_tasks(differences) == pytest.approx(ttest_1samp(differences, 0).pvalue, abs=0.02)
