"""The cache folder: its schema, its absence, its refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ecgbench.errors import StoreError
from ecgbench.store.cache import Cache, default_cache_folder


def test_opening_without_create_makes_nothing_and_reads_as_empty(tmp_path: Path) -> None:
    cache = Cache.open(tmp_path / "cache", create=False)
    assert cache.rows.get_many(["a"]) == {}
    assert cache.objects.get("ab" * 20) is None
    assert cache.verify() == []
    assert cache.prune() == 0
    assert list(tmp_path.iterdir()) == []


def test_what_was_put_is_there_after_opening_again(tmp_path: Path) -> None:
    cache = Cache.open(tmp_path / "cache")
    cache.rows.put_many("llm", {"a": b"1"}, seconds=1.0)
    cache.objects.put("ab" * 20, {"x": np.ones(2)}, kind="oof", seconds=1.0)
    for create in (True, False):
        again = Cache.open(tmp_path / "cache", create=create)
        assert again.rows.get_many(["a"])["a"].value == b"1"
        assert again.objects.has("ab" * 20)
        assert again.models.is_dir()
        assert again.datasets.is_dir()
    assert again.prune() == 2


def test_pruning_takes_old_checkpoints_too_and_leaves_models(tmp_path: Path) -> None:
    cache = Cache.open(tmp_path / "cache")
    (cache.checkpoints / "abc" / "epoch-1").mkdir(parents=True)
    (cache.models / "kept").mkdir()
    assert cache.prune(older_than_days=1) == 0
    assert cache.prune() == 1
    assert not (cache.checkpoints / "abc").exists()
    assert (cache.models / "kept").is_dir()


@pytest.mark.parametrize("create", [True, False])
@pytest.mark.parametrize("content", ["2\n", "", "garbage"])
def test_another_schema_is_refused_with_the_fix(tmp_path: Path, create: bool, content: str) -> None:
    (tmp_path / "CACHE_SCHEMA").write_text(content)
    with pytest.raises(StoreError, match=r"was written by schema .*, this version reads 1: use --cache DIR"):
        Cache.open(tmp_path, create=create)


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("")
    with pytest.raises(StoreError, match="cannot be used"):
        Cache.open(tmp_path / "cache")


def test_an_unwritable_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(StoreError, match="Permission denied: use --cache DIR"):
        Cache.open(tmp_path / "cache")


def test_the_environment_names_the_default_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECGBENCH_CACHE", str(tmp_path))
    assert default_cache_folder() == tmp_path
    monkeypatch.delenv("ECGBENCH_CACHE")
    assert default_cache_folder().name == "ecgbench"
