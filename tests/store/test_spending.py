"""What a value took is kept with it, of the very attempt that is stored; where an older version wrote it is unknown."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import numpy as np
import pytest

from ecgbench.store.objects import ObjectStore
from ecgbench.store.rows import RowStore
from ecgbench.store.spending import Spending, sum_spendings

SPENT = Spending(llm_calls=4, prompt_tokens=1000, reply_tokens=60, peak_memory=12.5)
OLD_PUT = "INSERT OR REPLACE INTO rows VALUES (?, ?, ?, ?, ?, ?)"
"""How the version before this inserts: by position, so that the table of rows must keep its columns."""


@pytest.fixture
def store(tmp_path: Path) -> RowStore:
    return RowStore(tmp_path / "rows.sqlite")


def put_as_before(store: RowStore, key: str) -> None:
    with sqlite3.connect(store.path) as connection:
        connection.execute(OLD_PUT, (key, "llm", b"1", b"", 1.0, time.time()))
    connection.close()


def test_the_counts_of_a_batch_are_spread_over_its_rows_and_the_memory_is_not(store: RowStore) -> None:
    store.put_many("llm", {"a": b"1", "b": None}, seconds=1.0, spending=SPENT)
    assert store.spendings(["a", "b", "c"]) == dict.fromkeys("ab", Spending(2, 500, 30, 12.5))
    assert sum_spendings(store.spendings(["a", "b"]).values()) == SPENT


def test_a_sum_with_an_unknown_part_is_unknown() -> None:
    assert sum_spendings([SPENT, Spending()]) == Spending(peak_memory=12.5)
    assert sum_spendings([]) == Spending(0, 0, 0)


def test_rows_of_an_older_version_are_read_beside_new_ones_and_cost_what_nobody_knows(store: RowStore) -> None:
    assert store.spendings(["a"]) == {}
    store.put_many("llm", {"a": b"1"}, seconds=1.0)
    assert store.spendings(["a"]) == {}
    store.put_many("llm", {"b": b"1"}, seconds=1.0, spending=SPENT)
    put_as_before(store, "c")
    assert store.spendings(["a", "b", "c"]) == {"b": SPENT}


def test_what_an_older_version_computed_again_is_not_taken_for_what_was_noted(store: RowStore) -> None:
    store.put_many("llm", {"a": None}, seconds=1.0, spending=SPENT)
    put_as_before(store, "a")
    assert store.spendings(["a"]) == {}


def test_a_failed_attempt_after_an_answer_changes_nothing(store: RowStore) -> None:
    store.put_many("llm", {"a": b"1"}, seconds=1.0, spending=SPENT)
    store.put_many("llm", {"a": None}, seconds=1.0, spending=Spending(9, 9, 9, 9))
    assert store.spendings(["a"]) == {"a": SPENT}


def test_more_keys_than_sqlite_takes_variables_are_found(store: RowStore) -> None:
    keys = [f"{number:05x}" for number in range(5000)]
    store.put_many("llm", dict.fromkeys(keys, b"1"), seconds=1.0, spending=SPENT)
    assert len(store.spendings(keys)) == 5000


def test_prune_removes_what_was_noted_of_the_rows(store: RowStore) -> None:
    store.put_many("llm", {"a": b"1"}, seconds=1.0, spending=SPENT)
    store.prune()
    store.close()
    with sqlite3.connect(store.path) as connection:
        assert connection.execute("SELECT COUNT(*) FROM spendings").fetchone() == (0,)
    connection.close()


def test_an_object_tells_what_it_took_and_one_of_an_older_version_that_it_does_not_know(tmp_path: Path) -> None:
    objects = ObjectStore(tmp_path)
    new, old = "ab" + "0" * 38, "cd" + "0" * 38
    objects.put(new, {"value": np.zeros(1)}, kind="oof", seconds=1.0, spending=SPENT)
    objects.put(old, {"value": np.zeros(1)}, kind="oof", seconds=1.0)
    assert (objects.spending(new), objects.spending(old), objects.spending("ef" + "0" * 38)) == (
        SPENT,
        Spending(),
        Spending(),
    )
    assert objects.verify() == []
