"""Which rankings are almost alike: Spearman's correlation with the cells of the task that were there before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata, spearmanr

from ecgbench.data import FloatArray
from ecgbench.grid.evaluate import digest_array
from ecgbench.grid.redundancy import Redundancy, _centred_ranks, _correlate
from ecgbench.results import CellRecord, Status
from ecgbench.store.objects import ObjectStore

RECORD = CellRecord(
    run="quick",
    dataset="toy",
    n=100,
    profile="embedded",
    noise="uniform",
    rate=0.1,
    seed=0,
    detector="a",
    status=Status.OK,
    created_at="2026-01-02T03:04:05Z",
)
SCORES = np.arange(100.0)
NEAR = np.where(SCORES < 10, 9 - SCORES, SCORES)  # the first ten the other way round: .998
FAR = np.where(SCORES < 30, 29 - SCORES, SCORES)  # .946


class CountingStore(ObjectStore):
    """Count how often an entry is read."""

    reads = 0

    def get(self, key: str) -> Any:
        self.reads += 1
        return super().get(key)


@pytest.fixture
def store(tmp_path: Path) -> CountingStore:
    return CountingStore(tmp_path)


def keep(store: ObjectStore, detector: str, scores: FloatArray, **changes: Any) -> CellRecord:
    """Return a record whose scores are in the store."""
    key = digest_array(scores)
    store.put(key, {"scores": scores}, kind="scores", seconds=0.0)
    return replace(RECORD, **{"detector": detector, "scores": key} | changes)


def test_a_record_names_the_detectors_it_ranks_almost_like(store: CountingStore) -> None:
    known = [
        keep(store, "near", NEAR, detector_params={"weights": {"nli": 0.0}}),
        keep(store, "far", FAR),
        keep(store, "reversed", -SCORES),
        keep(store, "scaled", np.exp(SCORES / 50)),
    ]
    found = Redundancy(store, known).mark(keep(store, "a", SCORES)).redundant
    rho = round(float(spearmanr(SCORES, NEAR).statistic), 6)
    assert 0.99 < rho < 1
    assert found == {"near[weights.nli=0.0]": rho, "reversed": -1.0, "scaled": 1.0}


def test_only_what_was_known_before_is_compared_so_one_of_two_records_holds_the_pair(store: CountingStore) -> None:
    redundancy = Redundancy(store, [])
    marked = [redundancy.mark(keep(store, name, scores)) for name, scores in (("a", SCORES), ("b", NEAR))]
    assert [list(record.redundant) for record in marked] == [[], ["a"]]


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"rate": 0.2},
        {"noise_params": {"x": 1}},
        {"data_key": "0a"},
        {"sanity": True},
        {"status": Status.FAILED},
        {"scores": None},
        {"scores": "00" * 20},  # no longer in the cache
    ],
)
def test_other_tasks_sanity_rows_and_cells_without_scores_are_left_out(
    store: CountingStore, change: dict[str, Any]
) -> None:
    other = replace(keep(store, "other", SCORES), **change)
    assert Redundancy(store, [other]).mark(keep(store, "a", SCORES)).redundant == {}
    assert Redundancy(store, [keep(store, "a", SCORES)]).mark(other).redundant == {}


def test_constant_scores_are_like_no_other(store: CountingStore) -> None:
    known = [keep(store, "constant", np.zeros(100)), keep(store, "a", SCORES)]
    assert Redundancy(store, known).mark(keep(store, "too", np.ones(100))).redundant == {}


def test_a_cell_that_is_computed_again_is_compared_with_the_others_and_not_with_its_old_self(
    store: CountingStore,
) -> None:
    redundancy = Redundancy(store, [keep(store, "a", SCORES), keep(store, "b", NEAR)])
    assert list(redundancy.mark(keep(store, "a", FAR)).redundant) == []
    assert list(redundancy.mark(keep(store, "c", FAR)).redundant) == ["a"]


def test_scores_are_read_once_however_many_cells_are_compared(store: CountingStore) -> None:
    redundancy = Redundancy(store, [keep(store, "old", FAR)])
    rng = np.random.default_rng(0)
    for i in range(10):
        redundancy.mark(keep(store, f"d{i}", rng.random(100)))
    assert store.reads == 11


@settings(deadline=None)  # the first call of scipy may take its time
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=30))
def test_the_correlation_is_spearmans_with_ties(pairs: list[tuple[int, int]]) -> None:
    a, b = np.array(pairs, dtype=np.float64).T
    found = _correlate(_centred_ranks(a), _centred_ranks(b))
    constant = len(set(a)) == 1 or len(set(b)) == 1
    assert found == pytest.approx(0.0 if constant else float(spearmanr(a, b).statistic), abs=1e-12)


def test_the_order_of_adding_cannot_change_a_bit() -> None:
    rng = np.random.default_rng(0)
    a, b = (_centred_ranks(rng.integers(0, 20_000, 25_000).astype(np.float64)) for _ in range(2))
    assert a is not None
    assert b is not None
    order = rng.permutation(len(a))
    assert float(a @ b) == float(a[order] @ b[order]) == sum(int(x) * int(y) for x, y in zip(a, b, strict=True))
    assert np.array_equal(a, 2 * (rankdata(a) - rankdata(a).mean()))
