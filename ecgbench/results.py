"""Results: one JSON line a cell, appended by one writer, read back against a shipped JSON schema."""

from __future__ import annotations

import dataclasses
import functools
import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.resources import files
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from ecgbench.errors import EcgbenchError, UsageError
from ecgbench.store.keys import canonical_json, digest
from ecgbench.strict_json import parse_json

logger = logging.getLogger(__name__)

RECORD_SCHEMA = 1
SELF_REPORTED = "self-reported"
ArtifactCost = Mapping[str, float | None]
MetricValue = float | None | Mapping[str, float | None]


class Status(StrEnum):
    """How a cell ended; all but OK carry a reason."""

    OK = "ok"
    FAILED = "failed"
    INVALID = "invalid"
    SKIPPED = "skipped"
    TIMEOUT = "timeout"


@dataclass(frozen=True, kw_only=True)
class CellRecord:
    """What is known about one cell: dataset x noise x rate x seed x detector.

    `data_key` is the digest of the dataset's content and description, before the noise.
    `transition`: items by true class (rows) and given label (columns); None for more than 20 classes.
    `metrics`: values by name, or by name and cut-off; None where undefined, with `metric_reasons`.
    `replicates`: AUROC and AUPRC under resamples of the items; empty where undefined, None where not recorded.
    `curves`: ROC, precision-recall and P@k at fixed places; empty where undefined, None where not recorded.
    `scores` and `ranking` are digests of the raw scores and of their tie-averaged ranks.
    `seconds` is the time of `score` alone, `artifact_seconds` what its artifacts took when computed.
    `failed_attempts` counts model replies that never became valid, over all artifacts of the cell.
    `findings` are the detector's own words.
    `redundant`: Spearman's correlation with each detector of the task, known when this one ended, where it is
    above .99 either way. Of a pair the later record holds it.
    `artifact_facts`: what its artifacts say of themselves, such as the recall of an approximate index.
    `artifacts`: what each artifact it read took when it was computed, by title: `seconds`, `llm_calls`,
    `prompt_tokens`, `reply_tokens` and `peak_memory` in MiB, None where not known; None as a whole in older records.
    `peak_memory`: by how many MiB the process's memory rose while the detector scored, None where not known.
    `origin`: None for the board's own records, else SELF_REPORTED.
    `expected`: the suite's range of a metric, by the metric's name or name@cut-off, lower and upper end.
    `created_at` is ISO 8601 in UTC.
    """

    run: str
    dataset: str
    n: int
    profile: str
    noise: str
    rate: float
    seed: int
    detector: str
    status: Status
    created_at: str
    data_key: str = ""
    n_classes: int | None = None
    noise_params: Mapping[str, Any] = field(default_factory=dict)
    realised_rate: float | None = None
    transition: Sequence[Sequence[int]] | None = None
    detector_params: Mapping[str, Any] = field(default_factory=dict)
    sanity: bool = False
    reason: str | None = None
    metrics: Mapping[str, MetricValue] = field(default_factory=dict)
    metric_reasons: Mapping[str, str] = field(default_factory=dict)
    replicates: Mapping[str, Sequence[float]] | None = None
    curves: Mapping[str, Sequence[float]] | None = None
    scores: str | None = None
    ranking: str | None = None
    seconds: float = 0.0
    artifact_seconds: float = 0.0
    failed_attempts: int = 0
    findings: Sequence[str] = ()
    redundant: Mapping[str, float] = field(default_factory=dict)
    artifact_facts: Mapping[str, float] = field(default_factory=dict)
    artifacts: Mapping[str, ArtifactCost] | None = None
    peak_memory: float | None = None
    origin: str | None = None
    expected: Mapping[str, Sequence[float]] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    schema: int = RECORD_SCHEMA

    def __post_init__(self) -> None:
        # 0 and 0.0 are one rate, but two texts in JSON and so two keys.
        object.__setattr__(self, "rate", float(self.rate))
        object.__setattr__(self, "status", Status(self.status))
        object.__setattr__(self, "findings", tuple(self.findings))
        if self.transition is not None:
            object.__setattr__(self, "transition", tuple(tuple(row) for row in self.transition))

    @property
    def group(self) -> tuple[str, int, str, str, str, float, str]:
        """Return what a board's table is about: dataset, n, profile, noise, its parameters, rate, data."""
        params = canonical_json(self.noise_params)
        return (self.dataset, self.n, self.profile, self.noise, params, self.rate, self.data_key)

    @property
    def identity(self) -> tuple[str | int | float, ...]:
        """Return what tells one cell from another: the group, seed, detector and its parameters."""
        return (*self.group, self.seed, self.detector, canonical_json(self.detector_params))

    @functools.cached_property
    def cell_key(self) -> str:
        """Return the digest of the identity: equal for two records of one cell."""
        return digest("cell/1", self.identity)

    def to_json_line(self) -> str:
        """Render the record as canonical JSON on one line, with its newline."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        try:
            return canonical_json(values) + "\n"
        except (TypeError, ValueError) as error:
            raise EcgbenchError(f"the record of {self.detector} on {self.dataset} is not JSON: {error}") from error

    @classmethod
    def from_json_line(cls, line: str) -> CellRecord:
        """Read one line; raise EcgbenchError naming the fault where it breaks the schema."""
        return cls(**_parse(line))


def read_records(path: Path) -> list[CellRecord]:
    """Read a results file; a torn last line is left out, any other bad line raises EcgbenchError."""
    try:
        whole, _, torn = path.read_bytes().rpartition(b"\n")
    except OSError as error:
        raise EcgbenchError(f"cannot read results file {path}: {error.strerror or error}") from error
    if torn:
        logger.warning("the last line of %s has no end (a run was killed while writing it): left out", path)
    lines = enumerate(whole.split(b"\n") if whole else [], start=1)
    return [read_record_line(path, number, line) for number, line in lines if line.strip()]


def read_results_folder(folder: Path) -> list[CellRecord]:
    """Read every *.jsonl of a folder, in order of file name; an absent folder holds none."""
    return [record for path in sorted(folder.glob("*.jsonl")) for record in read_records(path)]


def read_known(path: Path) -> dict[str, CellRecord]:
    """Return what need not be computed again, a file's latest own records by cell key; an absent file holds none."""
    records = latest(read_records(path)) if path.exists() else []
    return {record.cell_key: record for record in records if record.origin is None}


def latest(records: Iterable[CellRecord]) -> list[CellRecord]:
    """Keep the last record of each cell by `created_at`, in order of identity, whatever their order was.

    A self-reported record never takes the place of one of the board's own.
    """
    return keep_latest(records, _age)


class JsonLine(Protocol):
    """What a results file holds."""

    @property
    def identity(self) -> tuple[Any, ...]:
        """Return what tells it from others."""

    def to_json_line(self) -> str:
        """Render it on one line, with its newline."""


R = TypeVar("R", bound=JsonLine)


def keep_latest(records: Iterable[R], age: Callable[[R], tuple[Any, ...]]) -> list[R]:
    """Keep of each identity the record whose `age`, a key to sort by, is latest; in order of identity."""
    newest: dict[tuple[Any, ...], R] = {}
    for record in records:
        old = newest.get(record.identity)
        if old is None or age(record) > age(old):
            newest[record.identity] = record
    return [newest[identity] for identity in sorted(newest)]


class ResultsWriter:
    """Append records to one file, each flushed to disk; a second writer of the file is refused.

    Opening cuts off a line that a killed run left unfinished. Use as a context manager.
    """

    def __init__(self, path: Path) -> None:
        from filelock import FileLock, Timeout

        self.path = path
        with _told(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(path.with_name(f".{path.name}.lock"))
            try:
                self._lock.acquire(timeout=0)
            except Timeout:
                raise UsageError(f"another run writes {path}: wait for it to end or use --out DIR") from None
            try:
                self._file = _open_whole_lines(path)
            except BaseException:
                self._lock.release()
                raise

    def append(self, record: JsonLine) -> None:
        """Write one record and wait until it is on the disk; a failed write leaves no part of it."""
        line = record.to_json_line().encode("utf-8", "backslashreplace")
        start = self._file.seek(0, os.SEEK_END)
        with _told(self.path):
            try:
                written = 0
                while written < len(line):
                    written += self._file.write(line[written:])
                os.fsync(self._file.fileno())
            except BaseException:
                self._file.truncate(start)
                raise

    def close(self) -> None:
        """Close the file and let other writers in."""
        self._file.close()
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _age(record: CellRecord) -> tuple[bool, str, str]:
    return (record.origin is None, record.created_at, record.to_json_line())


def read_record_line(path: Path, number: int, line: bytes) -> CellRecord:
    """Read one line of a file; raise EcgbenchError naming file, line and fault."""
    try:
        return CellRecord.from_json_line(line.decode("utf-8"))
    except (EcgbenchError, UnicodeDecodeError) as error:
        raise EcgbenchError(f"{path}, line {number}: {error}: mend or delete the line") from error


def _parse(line: str) -> dict[str, Any]:
    try:
        values = parse_json(line)
    except ValueError as error:
        raise EcgbenchError(f"not JSON of a record: {_shorten(str(error))}") from error
    if isinstance(values, dict) and values.get("schema", RECORD_SCHEMA) != RECORD_SCHEMA:
        found = _shorten(str(values["schema"]))
        raise EcgbenchError(f"schema {found} of a record is not known, this version of ecgbench reads {RECORD_SCHEMA}")
    for fault in _validator()(values):
        where = "/".join(str(step) for step in fault.absolute_path)
        raise EcgbenchError(f"{where or 'record'}: {_shorten(fault.message)}")
    return dict(values)


def _shorten(message: str) -> str:
    return message if len(message) <= 200 else f"{message[:120]} ... {message[-70:]}"


@functools.cache
def _validator() -> Callable[[Any], Iterator[Any]]:
    """Build the validator of the shipped schema once: building it costs more than a thousand lines."""
    from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

    schema = json.loads(files("ecgbench.schemas").joinpath("record.schema.json").read_text(encoding="utf-8"))
    errors: Callable[[Any], Iterator[Any]] = Draft202012Validator(schema).iter_errors
    return errors


def _open_whole_lines(path: Path) -> FileIO:
    """Open for appending without a buffer, after cutting off a last line that has no end."""
    file = path.open("ab+", buffering=0)
    file.seek(0)
    whole = file.read().rfind(b"\n") + 1
    file.truncate(whole)
    return file


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except (FileExistsError, NotADirectoryError) as error:
        raise UsageError(
            f"cannot write {path}: {error.filename or path.parent} is a file, where a folder is needed; "
            "give another with --out DIR"
        ) from error
    except OSError as error:
        raise EcgbenchError(
            f"cannot write results file {path}: {error.strerror or error}: free disk space, mend the permissions or "
            "use --out DIR, then run again (what is finished is kept)"
        ) from error
