"""The row store keeps answers, counts failures, and says in one line what is wrong with its file."""

from __future__ import annotations

import logging
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecgbench.errors import StoreError
from ecgbench.store.rows import RowCounts, RowStore

WRITER = """
import sys
from pathlib import Path
from ecgbench.store.rows import RowStore
store = RowStore(Path(sys.argv[1]))
for batch in range(100_000):
    store.put_many("llm", {f"{batch}-{item}": b"x" * 200 for item in range(20)}, seconds=1.0)
    if batch == 5:
        print("writing", flush=True)
"""


@pytest.fixture
def store(tmp_path: Path) -> RowStore:
    return RowStore(tmp_path / "rows.sqlite")


def change(store: RowStore, sql: str) -> None:
    store.close()
    connection = sqlite3.connect(store.path)
    with connection:
        connection.execute(sql)
    connection.close()


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(st.text("0123456789abcdef", min_size=1), st.none() | st.binary(), max_size=30))
def test_rows_come_back_as_they_were_put(rows: dict[str, bytes | None]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = RowStore(Path(folder) / "rows.sqlite")
        store.put_many("kind", rows, seconds=2.0)
        found = store.get_many(list(rows))
        assert {key: row.value for key, row in found.items()} == rows
        assert sum(row.seconds for row in found.values()) == pytest.approx(2.0 if rows else 0.0)
        store.close()


def test_reading_an_absent_store_finds_nothing_and_makes_no_file(store: RowStore) -> None:
    assert store.get_many(["a"]) == {}
    assert store.missing(["b", "a", "b"]) == ["b", "a"]
    assert (store.counts(), store.verify(), store.prune()) == ({}, [], 0)
    assert not store.path.exists()


def test_more_keys_than_sqlite_takes_variables_are_found(store: RowStore) -> None:
    keys = [f"{number:05x}" for number in range(40_000)]
    store.put_many("kind", dict.fromkeys(keys[::2], b"1"), seconds=1.0)
    assert set(store.get_many(keys)) == set(keys[::2])
    assert store.missing(keys) == keys[1::2]


def test_a_failed_attempt_is_counted_and_never_replaces_an_answer(store: RowStore) -> None:
    store.put_many("llm", {"a": b"answer", "b": None}, seconds=1.0)
    store.put_many("llm", {"a": None}, seconds=5.0)
    assert store.get_many(["a"])["a"].value == b"answer"
    assert store.counts() == {"llm": RowCounts(answers=1, failed=1, bytes=6, seconds=1.0)}


def test_an_empty_answer_is_not_a_failed_attempt(store: RowStore) -> None:
    store.put_many("llm", {"a": b""}, seconds=1.0)
    assert store.get_many(["a"])["a"].value == b""
    assert store.missing(["a"], retry_failed=True) == []


def test_failures_are_missing_where_they_are_tried_again(store: RowStore) -> None:
    store.put_many("llm", {"a": b"answer", "b": None}, seconds=1.0)
    assert store.missing(["c", "b", "a"]) == ["c"]
    assert store.missing(["c", "b", "a"], retry_failed=True) == ["c", "b"]


def test_a_retried_failure_becomes_an_answer(store: RowStore) -> None:
    store.put_many("llm", {"a": None}, seconds=1.0)
    store.put_many("llm", {"a": b"answer"}, seconds=1.0)
    assert store.get_many(["a"])["a"].value == b"answer"


def test_iter_rows_yields_one_kind_in_order(store: RowStore) -> None:
    store.put_many("llm", {"b": b"2", "a": b"1"}, seconds=1.0)
    store.put_many("nli", {"c": b"3"}, seconds=1.0)
    assert [(key, row.value) for key, row in store.iter_rows("llm")] == [("a", b"1"), ("b", b"2")]


@pytest.mark.parametrize("damage", ["value = X'00'", "value = NULL", "kind = 'other'", "checksum = X'00'"])
def test_a_corrupted_row_is_missing_logged_and_reported(
    store: RowStore, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    store.put_many("llm", {"a": b"answer", "b": b"sound"}, seconds=1.0)
    change(store, f"UPDATE rows SET {damage} WHERE key = 'a'")
    with caplog.at_level(logging.WARNING):
        assert set(store.get_many(["a", "b"])) == {"b"}
    assert "row a" in caplog.text
    assert [fault for fault in store.verify() if "row a" in fault] == store.verify() != []
    store.put_many("llm", {"a": b"answer"}, seconds=1.0)
    assert store.verify() == []


def test_prune_removes_old_rows_only(store: RowStore) -> None:
    store.put_many("llm", {"old": b"1", "new": b"2"}, seconds=1.0)
    change(store, f"UPDATE rows SET created = {time.time() - 10 * 86400} WHERE key = 'old'")
    assert store.prune(older_than_days=5) == 1
    assert store.missing(["old", "new"]) == ["old"]
    assert store.prune() == 1


def test_a_file_that_is_no_database_is_named_with_the_fix(store: RowStore) -> None:
    store.path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(StoreError, match=r"rows\.sqlite is damaged: delete it .* or use --cache DIR") as raised:
        store.get_many(["a"])
    assert "\n" not in str(raised.value)


def test_overwritten_pages_are_reported_as_damage(store: RowStore) -> None:
    store.put_many("llm", {f"{number:040x}": os.urandom(500) for number in range(2000)}, seconds=1.0)
    store.close()
    with store.path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 200_000)
    with pytest.raises(StoreError, match="is damaged"):
        store.get_many([f"{number:040x}" for number in range(2000)])


def test_a_locked_file_is_reported(store: RowStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ecgbench.store.rows._BUSY_SECONDS", 0.05)
    store.put_many("llm", {"a": b"1"}, seconds=1.0)
    store.close()
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="is in use by another run"):
        store.put_many("llm", {"b": b"2"}, seconds=1.0)
    other.execute("ROLLBACK")
    other.close()
    store.put_many("llm", {"b": b"2"}, seconds=1.0)


def test_a_full_disk_is_reported_and_whole_batches_stay(store: RowStore) -> None:
    store.put_many("llm", {"a": b"1"}, seconds=1.0)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limits[1]))
    try:
        with pytest.raises(StoreError, match="free"):
            store.put_many("llm", {f"b{number}": b"x" * 10_000 for number in range(100)}, seconds=1.0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    store.close()
    assert store.counts() == {"llm": RowCounts(answers=1, failed=0, bytes=1, seconds=1.0)}
    assert store.verify() == []


def test_an_interrupted_batch_leaves_nothing_of_itself(store: RowStore) -> None:
    store.put_many("llm", {"a": b"1"}, seconds=1.0)
    with pytest.raises(OverflowError):
        store.put_many("llm", {"b": b"2", 2**70: b"3"}, seconds=1.0)  # type: ignore[dict-item]
    assert store.missing(["a", "b"]) == ["b"]
    store.put_many("llm", {"b": b"2"}, seconds=1.0)
    assert store.missing(["a", "b"]) == []


def test_a_killed_writer_leaves_whole_batches(store: RowStore) -> None:
    for delay in (0.0, 0.03, 0.11):
        process = subprocess.Popen([sys.executable, "-P", "-c", WRITER, str(store.path)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"writing\n"
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        counts = store.counts()["llm"]
        assert counts.answers >= 6 * 20
        assert counts.answers % 20 == 0
        assert store.verify() == []
        store.close()
