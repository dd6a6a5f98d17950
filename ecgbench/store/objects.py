"""Objects: immutable sets of named arrays, one folder each, with a manifest of checksums.

Layout: `<folder>/ab/<key>/{name}.npy` + `manifest.json`. An entry is written under `<folder>/tmp`
and renamed into place, so it is either whole or absent.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecgbench.errors import StoreError, UnstorableError
from ecgbench.store.keys import DIGEST_BYTES, canonical_json, digest
from ecgbench.store.spending import Spending

logger = logging.getLogger(__name__)

MANIFEST = "manifest.json"
MANIFEST_SCHEMA = 1
_KEY = re.compile(rf"[0-9a-f]{{{DIGEST_BYTES * 2}}}")
# Writing one entry takes seconds: what is older was left by a killed run.
_LEFTOVER_SECONDS = 3600.0
_DAY = 86400.0


@dataclass(frozen=True)
class ObjectCounts:
    """How many entries of one kind there are, their bytes and the seconds they took to compute."""

    entries: int
    bytes: int
    seconds: float


class _CorruptedEntryError(Exception):
    """Say what is wrong with an entry on disk."""


class ObjectStore:
    """Keep immutable sets of arrays by key; created with the first `put`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._clean_leftovers()

    def put(
        self,
        key: str,
        arrays: Mapping[str, NDArray[Any]],
        *,
        kind: str,
        seconds: float,
        spending: Spending | None = None,
    ) -> None:
        """Store named arrays (no object dtype) under a key; an entry already there stays as it is.

        Raises StoreError where an array cannot be stored or the disk cannot take it.
        """
        temporary = self._temporary(key)
        with _told(self._entry(key)):
            try:
                temporary.mkdir(parents=True)
                files = {name: _write_array(temporary, name, array) for name, array in arrays.items()}
                spent = {} if spending is None else {"spending": asdict(spending)}
                _write_manifest(temporary, {"kind": kind, "seconds": float(seconds), "arrays": files, **spent})
                self._publish(temporary, key)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)

    def get(self, key: str) -> dict[str, NDArray[Any]] | None:
        """Return read-only arrays, or None; a corrupted entry is logged, removed and reported as absent."""
        entry = self._entry(key)
        if not entry.exists():
            return None
        try:
            return _read_arrays(entry)
        except (_CorruptedEntryError, OSError, ValueError) as error:
            logger.warning("cache entry %s is corrupted (%s): it is computed again", entry, error)
            self._discard(entry)
            return None

    def has(self, key: str) -> bool:
        """Say whether an entry of this key is there, without checking its arrays."""
        return (self._entry(key) / MANIFEST).exists()

    def seconds(self, key: str) -> float | None:
        """Return how long the entry took to compute, or None where it is absent."""
        manifest = _manifest_or_none(self._entry(key))
        return None if manifest is None else float(manifest["seconds"])

    def spending(self, key: str) -> Spending:
        """Return what computing the entry took beside time, as far as that was noted."""
        manifest = _manifest_or_none(self._entry(key)) or {}
        return Spending(**manifest.get("spending", {}))

    def info(self) -> dict[str, ObjectCounts]:
        """Count entries, bytes and seconds by kind, in order of kind."""
        totals: dict[str, ObjectCounts] = {}
        for entry in self._iter_entries():
            manifest = _manifest_or_none(entry) or {"kind": "(corrupted)", "seconds": 0.0}
            old = totals.get(manifest["kind"], ObjectCounts(0, 0, 0.0))
            size = sum(path.stat().st_size for path in entry.iterdir())
            new = ObjectCounts(old.entries + 1, old.bytes + size, old.seconds + manifest["seconds"])
            totals[manifest["kind"]] = new
        return dict(sorted(totals.items()))

    def verify(self) -> list[str]:
        """Return one line for each corrupted entry; empty when all are sound. Nothing is removed."""
        return [f"{entry}: {fault}" for entry in self._iter_entries() if (fault := _fault(entry))]

    def prune(self, *, older_than_days: float = 0.0) -> int:
        """Remove entries at least so old (0: all) and return how many went."""
        self._clean_leftovers()
        limit = time.time() - older_than_days * _DAY
        old = [entry for entry in self._iter_entries() if entry.stat().st_mtime <= limit]
        for entry in old:
            self._discard(entry)
        return len(old)

    def _entry(self, key: str) -> Path:
        if not _KEY.fullmatch(key):  # a key may come from a file of records, and an entry may be removed
            raise StoreError(f"{key!r} is no key of the cache: a key is {DIGEST_BYTES * 2} hex digits")
        return self.folder / key[:2] / key

    def _temporary(self, key: str) -> Path:
        return self.folder / "tmp" / f"{key}-{uuid.uuid4().hex[:12]}"

    def _iter_entries(self) -> Iterator[Path]:
        yield from sorted(path for path in self.folder.glob("??/*") if path.is_dir())

    def _publish(self, temporary: Path, key: str) -> None:
        entry = self._entry(key)
        entry.parent.mkdir(parents=True, exist_ok=True)
        _sync_folder(temporary)
        try:
            temporary.replace(entry)
        except OSError:
            # A folder is never renamed onto a full one: another run was first, with the same value.
            if not self.has(key):
                raise
        _sync_folder(entry.parent)

    def _discard(self, entry: Path) -> None:
        """Remove an entry; it is moved away first so that a kill leaves no half of it in place."""
        aside = self._temporary(entry.name)
        try:
            aside.parent.mkdir(parents=True, exist_ok=True)
            entry.replace(aside)
        except OSError as error:
            logger.warning("cannot remove %s: %s", entry, error)
        shutil.rmtree(aside, ignore_errors=True)

    def _clean_leftovers(self) -> None:
        limit = time.time() - _LEFTOVER_SECONDS
        for leftover in (self.folder / "tmp").glob("*"):
            try:
                is_old = leftover.stat().st_mtime < limit
            except FileNotFoundError:
                continue
            if is_old:
                shutil.rmtree(leftover, ignore_errors=True)


def _write_array(folder: Path, name: str, array: NDArray[Any]) -> dict[str, Any]:
    value = np.asarray(array)
    if value.dtype.hasobject or not name.isidentifier():
        raise UnstorableError(
            f"array {name!r} of dtype {value.dtype} cannot be cached: pack() must give numbers, booleans or "
            "fixed-width strings under names that are identifiers"
        )
    path = folder / f"{name}.npy"
    with path.open("wb") as file:
        np.save(file, value, allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())
    return {"blake2b": _file_digest(path), "shape": list(value.shape), "dtype": value.dtype.str}


def _write_manifest(folder: Path, content: dict[str, Any]) -> None:
    created = datetime.now(UTC).isoformat(timespec="seconds")
    content = {"schema": MANIFEST_SCHEMA, "created_at": created} | content
    with (folder / MANIFEST).open("w", encoding="utf-8") as file:
        file.write(canonical_json(content | {"checksum": digest("manifest/1", content)}))
        file.flush()
        os.fsync(file.fileno())


def _read_manifest(entry: Path) -> dict[str, Any]:
    try:
        content = json.loads((entry / MANIFEST).read_text(encoding="utf-8"))
        checksum = content.pop("checksum")
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise _CorruptedEntryError(f"unreadable {MANIFEST}: {error}") from error
    if checksum != digest("manifest/1", content) or content["schema"] != MANIFEST_SCHEMA:
        raise _CorruptedEntryError(f"{MANIFEST}: checksum or schema differs")
    return dict(content)


def _read_arrays(entry: Path) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {}
    for name, facts in _read_manifest(entry)["arrays"].items():
        path = entry / f"{name}.npy"
        if not name.isidentifier() or not path.exists() or _file_digest(path) != facts["blake2b"]:
            raise _CorruptedEntryError(f"{path.name}: missing or checksum differs")
        array = np.load(path, allow_pickle=False)
        array.flags.writeable = False
        arrays[name] = array
    return arrays


def _manifest_or_none(entry: Path) -> dict[str, Any] | None:
    try:
        return _read_manifest(entry)
    except _CorruptedEntryError:
        return None


def _fault(entry: Path) -> str | None:
    try:
        _read_arrays(entry)
    except (_CorruptedEntryError, OSError, ValueError) as error:
        return str(error)
    return None


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=20)).hexdigest()


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a power cut, where the system lets a folder be opened."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _told(entry: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"cannot write cache entry {entry}: {error.strerror or error}: free disk space, mend the permissions or "
            "use --cache DIR, then run again (what is finished is kept)"
        ) from error
