"""Rows: one answer a request, in one SQLite file (WAL), whatever task asked for it.

A row whose value is NULL is a failed attempt: counted, never an answer. The file appears with the
first write; until then every read finds nothing. One process writes, the driver; others may read.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ecgbench.errors import StoreError
from ecgbench.store.spending import Spending

logger = logging.getLogger(__name__)

# Under SQLITE_MAX_VARIABLE_NUMBER of every SQLite since 2006 (999).
_CHUNK = 900
_BUSY_SECONDS = 30.0
_DAY = 86400.0
_TABLE = """CREATE TABLE IF NOT EXISTS rows (
    key TEXT PRIMARY KEY, kind TEXT NOT NULL, value BLOB, checksum BLOB NOT NULL, seconds REAL NOT NULL,
    created REAL NOT NULL) WITHOUT ROWID"""
# An answer is never replaced by a failed attempt.
_PUT = """INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET kind = excluded.kind,
    value = excluded.value, checksum = excluded.checksum, seconds = excluded.seconds, created = excluded.created
    WHERE excluded.value IS NOT NULL OR rows.value IS NULL"""
# A table of its own: an older version, which may share the file, inserts into `rows` by position. `created` tells
# whether it speaks of the attempt that `rows` holds.
_SPENDINGS = """CREATE TABLE IF NOT EXISTS spendings (
    key TEXT PRIMARY KEY, created REAL NOT NULL, llm_calls REAL, prompt_tokens REAL, reply_tokens REAL,
    peak_memory REAL) WITHOUT ROWID"""
_PUT_SPENDING = """INSERT OR REPLACE INTO spendings
    SELECT key, created, ?, ?, ?, ? FROM rows WHERE key = ? AND created = ?"""
_FIXES = {
    "malformed": "is damaged: delete it (its rows are computed again) or use --cache DIR",
    "not a database": "is damaged: delete it (its rows are computed again) or use --cache DIR",
    "no such": "is damaged: delete it (its rows are computed again) or use --cache DIR",
    "full": "cannot grow: free disk space or use --cache DIR, then run again (finished batches are kept)",
    "disk i/o": "cannot be written: check the disk and its free space, or use --cache DIR",
    "locked": "is in use by another run: wait for it to end or use --cache DIR",
    "readonly": "is not writable: mend its permissions or use --cache DIR",
    "unable to open": "cannot be opened: mend its permissions or use --cache DIR",
}


class Row(NamedTuple):
    """One stored attempt: the answer (None where it failed) and the seconds it took."""

    value: bytes | None
    seconds: float


@dataclass(frozen=True)
class RowCounts:
    """How many rows of one kind hold answers, how many failed, the bytes of the answers, and what all took."""

    answers: int
    failed: int
    bytes: int
    seconds: float


class RowStore:
    """Keep rows by key in one SQLite file; every method raises StoreError where the file cannot be used."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: sqlite3.Connection | None = None

    def get_many(self, keys: Sequence[str]) -> dict[str, Row]:
        """Return the stored rows among `keys`; a corrupted row counts as missing and is logged."""
        found: dict[str, Row] = {}
        ordered = sorted(keys)  # Neighbours share pages of the file: half the time of an unsorted lookup.
        for start in range(0, len(ordered), _CHUNK):
            chunk = ordered[start : start + _CHUNK]
            marks = ",".join("?" * len(chunk))
            sql = f"SELECT key, kind, value, checksum, seconds FROM rows WHERE key IN ({marks})"
            for key, kind, value, checksum, seconds in self._read(sql, chunk):
                if checksum == _checksum(key, kind, value):
                    found[key] = Row(value, seconds)
                else:
                    logger.warning("row %s (%s) in %s is corrupted: it is computed again", key, kind, self.path)
        return found

    def missing(self, keys: Sequence[str], *, retry_failed: bool = False) -> list[str]:
        """Return the distinct keys without a row, in order of appearance; `retry_failed`: failed attempts too."""
        found = self.get_many(keys)
        done = {key for key, row in found.items() if not retry_failed or row.value is not None}
        return [key for key in dict.fromkeys(keys) if key not in done]

    def spendings(self, keys: Sequence[str]) -> dict[str, Spending]:
        """Return what the stored attempts took beside time, where that was noted of them."""
        if not self._has_spendings():
            return {}
        found: dict[str, Spending] = {}
        ordered = sorted(keys)
        for start in range(0, len(ordered), _CHUNK):
            chunk = ordered[start : start + _CHUNK]
            marks = ",".join("?" * len(chunk))
            sql = f"""SELECT key, llm_calls, prompt_tokens, reply_tokens, peak_memory
                FROM rows JOIN spendings USING (key, created) WHERE key IN ({marks})"""
            found |= {key: Spending(*numbers) for key, *numbers in self._read(sql, chunk)}
        return found

    def put_many(
        self, kind: str, rows: Mapping[str, bytes | None], *, seconds: float, spending: Spending | None = None
    ) -> None:
        """Store a batch in one transaction; seconds and counts of the whole batch are spread evenly over its rows."""
        if not rows:
            return
        share, now = seconds / len(rows), time.time()
        values = [(key, kind, value, _checksum(key, kind, value), share, now) for key, value in rows.items()]
        with self._write() as connection:
            connection.executemany(_PUT, values)
            if spending is not None:
                own = dataclasses.astuple(spending.share(len(rows)))
                connection.execute(_SPENDINGS)
                connection.executemany(_PUT_SPENDING, [(*own, key, now) for key in rows])

    def counts(self) -> dict[str, RowCounts]:
        """Count answers, failed attempts, bytes and seconds by kind, in order of kind."""
        sql = """SELECT kind, COUNT(value), COUNT(*) - COUNT(value), COALESCE(SUM(LENGTH(value)), 0), SUM(seconds)
            FROM rows GROUP BY kind ORDER BY kind"""
        return {kind: RowCounts(*numbers) for kind, *numbers in self._read(sql)}

    def iter_rows(self, kind: str) -> Iterator[tuple[str, Row]]:
        """Yield the rows of one kind in order of key, a page at a time; a corrupted row is logged and left out."""
        sql = "SELECT key, value, checksum, seconds FROM rows WHERE kind = ? AND key > ? ORDER BY key LIMIT ?"
        last = ""
        while page := self._read(sql, [kind, last, _CHUNK]):
            for key, value, checksum, seconds in page:
                if checksum == _checksum(key, kind, value):
                    yield key, Row(value, seconds)
                else:
                    logger.warning("row %s (%s) in %s is corrupted: left out", key, kind, self.path)
            last = page[-1][0]

    def verify(self) -> list[str]:
        """Return one line for each fault of the file and each row whose checksum differs; empty when sound."""
        faults = [f"{self.path}: {line}" for (line,) in self._read("PRAGMA quick_check") if line != "ok"]
        sql = "SELECT key, kind, value, checksum FROM rows ORDER BY key"
        bad = (row for row in self._read(sql) if row[3] != _checksum(*row[:3]))
        return faults + [f"{self.path}: row {key} ({kind}): checksum differs" for key, kind, *_ in bad]

    def prune(self, *, older_than_days: float = 0.0) -> int:
        """Delete rows at least so old (0: all), give the space back and return how many went."""
        removed = self._delete("created <= ?", [time.time() - older_than_days * _DAY])
        if removed:
            if self._has_spendings():
                with self._write() as connection:
                    connection.execute("DELETE FROM spendings WHERE key NOT IN (SELECT key FROM rows)")
            with _told(self.path):
                self._open().execute("VACUUM")
        return removed

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _has_spendings(self) -> bool:
        return bool(self._read("SELECT 1 FROM sqlite_master WHERE name = 'spendings'"))

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            # The driver may compute in one thread and read in another; SQLite itself serialises the calls.
            connection = sqlite3.connect(
                self.path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = NORMAL")
                connection.execute(_TABLE)
            except sqlite3.Error:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _read(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        if self._connection is None and not self.path.exists():
            return []
        with _told(self.path):
            return self._open().execute(sql, parameters).fetchall()

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with _told(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = self._open()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def _delete(self, condition: str, parameters: Sequence[Any]) -> int:
        if not self.path.exists():
            return 0
        with self._write() as connection:
            return connection.execute(f"DELETE FROM rows WHERE {condition}", parameters).rowcount


def _checksum(key: str, kind: str, value: bytes | None) -> bytes:
    head = f"{key}\0{kind}\0{'' if value is None else 'answer'}\0".encode()
    return hashlib.blake2b(head + (value or b""), digest_size=8).digest()


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn SQLite's and the system's errors into one line with the path and the fix."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        reason = str(error)
        fix = next((fix for sign, fix in _FIXES.items() if sign in reason.lower()), "cannot be used: try --cache DIR")
        raise StoreError(f"cache file {path} {fix} [{reason}]") from error
