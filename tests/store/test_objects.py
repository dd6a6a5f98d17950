"""The object store gives back what was put, whole and checked, or nothing."""

from __future__ import annotations

import errno
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ecgbench.errors import StoreError
from ecgbench.store.objects import MANIFEST, ObjectStore

KEY = "ab" + "0" * 38
WRITER = """
import sys
from pathlib import Path
import numpy as np
from ecgbench.store.objects import ObjectStore
store = ObjectStore(Path(sys.argv[1]))
for number in range(100_000):
    arrays = {name: np.full(5000, number) for name in ("one", "two", "three")}
    store.put(f"{sys.argv[2]}{number:038x}", arrays, kind="test", seconds=1.0)
    if number == 2:
        print("writing", flush=True)
"""


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return ObjectStore(tmp_path / "objects")


@pytest.fixture
def entry(store: ObjectStore) -> Path:
    store.put(KEY, {"probs": np.arange(6.0).reshape(2, 3), "fold": np.arange(2)}, kind="oof", seconds=1.5)
    return store.folder / "ab" / KEY


DTYPES = st.sampled_from(["<f8", "<f4", "<i8", "|b1", "<U5"]).map(np.dtype)


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(st.sampled_from("abc"), DTYPES.flatmap(lambda d: hnp.arrays(d, hnp.array_shapes(min_dims=0)))))
def test_arrays_come_back_as_they_were_put(arrays: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = ObjectStore(Path(folder))
        store.put(KEY, arrays, kind="test", seconds=1.0)
        found = store.get(KEY)
        assert found is not None
        assert found.keys() == arrays.keys()
        for name, array in arrays.items():
            np.testing.assert_array_equal(found[name], array)
            assert found[name].dtype == array.dtype


def test_an_absent_entry_is_none_and_makes_no_folder(store: ObjectStore) -> None:
    assert (store.get(KEY), store.has(KEY), store.seconds(KEY)) == (None, False, None)
    assert (store.info(), store.verify(), store.prune()) == ({}, [], 0)
    assert not store.folder.exists()


def test_facts_of_an_entry_are_kept(store: ObjectStore, entry: Path) -> None:
    assert store.has(KEY)
    assert store.seconds(KEY) == 1.5
    manifest = json.loads((entry / MANIFEST).read_text())
    assert manifest["kind"] == "oof"
    assert manifest["arrays"]["probs"]["shape"] == [2, 3]
    counts = store.info()["oof"]
    assert (counts.entries, counts.seconds) == (1, 1.5)
    assert counts.bytes == sum(path.stat().st_size for path in entry.iterdir())


def test_arrays_are_read_only(store: ObjectStore, entry: Path) -> None:
    assert entry.exists()
    found = store.get(KEY)
    assert found is not None
    with pytest.raises(ValueError, match="read-only"):
        found["probs"][0, 0] = 1.0


def test_an_entry_is_immutable(store: ObjectStore, entry: Path) -> None:
    store.put(KEY, {"probs": np.zeros(1)}, kind="other", seconds=9.0)
    assert store.seconds(KEY) == 1.5
    assert list((store.folder / "tmp").iterdir()) == []
    assert entry.exists()


def flip_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        lambda entry: flip_byte(entry / "probs.npy"),
        lambda entry: (entry / "probs.npy").write_bytes(b""),
        lambda entry: (entry / "fold.npy").unlink(),
        lambda entry: (entry / MANIFEST).unlink(),
        lambda entry: (entry / MANIFEST).write_text("[]"),
        lambda entry: (entry / MANIFEST).write_bytes(b"\xff\xfe"),
        lambda entry: (entry / MANIFEST).write_text((entry / MANIFEST).read_text().replace("1.5", "0.5")),
    ],
)
def test_a_corrupted_entry_is_reported_logged_removed_and_can_be_put_again(
    store: ObjectStore, entry: Path, damage: Callable[[Path], Any], caplog: pytest.LogCaptureFixture
) -> None:
    damage(entry)
    assert len(store.verify()) == 1
    with caplog.at_level(logging.WARNING):
        assert store.get(KEY) is None
    assert KEY in caplog.text
    assert not entry.exists()
    store.put(KEY, {"probs": np.zeros(1)}, kind="oof", seconds=1.0)
    assert store.get(KEY) is not None
    assert store.verify() == []


def test_a_pickled_array_is_never_loaded(store: ObjectStore) -> None:
    with pytest.raises(StoreError, match="dtype object cannot be cached"):
        store.put(KEY, {"probs": np.array([{}])}, kind="oof", seconds=1.0)
    assert not store.has(KEY)


def test_a_name_cannot_leave_the_entry(store: ObjectStore) -> None:
    with pytest.raises(StoreError, match="identifiers"):
        store.put(KEY, {"../evil": np.zeros(1)}, kind="oof", seconds=1.0)


def test_a_full_disk_is_one_line_and_leaves_nothing(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"No space left on device: free disk space.*--cache DIR") as raised:
        store.put(KEY, {"probs": np.zeros(9)}, kind="oof", seconds=1.0)
    assert "\n" not in str(raised.value)
    assert not store.has(KEY)
    assert list((store.folder / "tmp").iterdir()) == []


def test_old_leftovers_go_on_open_and_fresh_ones_stay(store: ObjectStore, entry: Path) -> None:
    old, fresh = store.folder / "tmp" / "old", store.folder / "tmp" / "fresh"
    old.mkdir()
    fresh.mkdir()
    os.utime(old, (0, 0))
    ObjectStore(store.folder)
    assert (old.exists(), fresh.exists(), entry.exists()) == (False, True, True)


def test_prune_removes_old_entries_only(store: ObjectStore, entry: Path) -> None:
    other = "cd" + "0" * 38
    store.put(other, {"probs": np.zeros(1)}, kind="oof", seconds=1.0)
    os.utime(entry, (time.time() - 10 * 86400,) * 2)
    assert store.prune(older_than_days=5) == 1
    assert (store.has(KEY), store.has(other)) == (False, True)
    assert store.prune() == 1
    assert not store.has(other)


def test_a_killed_writer_leaves_whole_entries(store: ObjectStore) -> None:
    for prefix, delay in (("a1", 0.0), ("b2", 0.02), ("c3", 0.05)):
        command = [sys.executable, "-P", "-c", WRITER, str(store.folder), prefix]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"writing\n"
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        assert store.info()["test"].entries >= 3
        assert store.verify() == []
