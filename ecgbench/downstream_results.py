"""Downstream results: one JSON line a way of cleaning a task, in files of their own beside the cells' records."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from ecgbench.errors import EcgbenchError
from ecgbench.results import Status, keep_latest
from ecgbench.store.keys import canonical_json
from ecgbench.strict_json import parse_json

DOWNSTREAM_SCHEMA = 1
DOWNSTREAM_FOLDER = "downstream"
NOTHING = "none"
"""The control that changes nothing, and its action."""


@dataclass(frozen=True, kw_only=True)
class DownstreamRecord:
    """What training on a task cleaned in one way brought; the schema says what each key means.

    `cleaner` is a detector or a control. `n_hits`, `n_repaired` and the values of `accuracy` stand in the order of
    `training_seeds`.
    """

    run: str
    dataset: str
    data_key: str
    n: int
    profile: str
    noise: str
    rate: float
    seed: int
    cleaner: str
    action: str
    share: float
    training_seeds: Sequence[int]
    status: Status
    n_wrong: int
    n_validation: int
    validation_key: str
    created_at: str
    noise_params: Mapping[str, Any] = field(default_factory=dict)
    cleaner_params: Mapping[str, Any] = field(default_factory=dict)
    control: bool = False
    reason: str | None = None
    n_changed: int = 0
    n_hits: Sequence[int] = ()
    n_repaired: Sequence[int] = ()
    held_back: Mapping[str, int] = field(default_factory=dict)
    accuracy: Mapping[str, Sequence[float]] = field(default_factory=dict)
    scores: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    schema: int = DOWNSTREAM_SCHEMA

    def __post_init__(self) -> None:
        object.__setattr__(self, "status", Status(self.status))

    @property
    def identity(self) -> tuple[str | int | float, ...]:
        """Return what tells one way of cleaning a task from another."""
        params = (canonical_json(self.noise_params), canonical_json(self.cleaner_params))
        task = (self.dataset, self.n, self.profile, self.data_key, self.noise, self.rate, self.seed)
        seeds = canonical_json(list(self.training_seeds))
        return (*task, *params, self.cleaner, self.control, self.action, self.share, seeds, self.validation_key)

    def to_json_line(self) -> str:
        """Render the record as canonical JSON on one line, with its newline."""
        return canonical_json({f.name: getattr(self, f.name) for f in dataclasses.fields(self)}) + "\n"

    @classmethod
    def from_json_line(cls, line: str) -> DownstreamRecord:
        """Read one line; raise EcgbenchError naming the fault where it breaks the schema."""
        try:
            values = parse_json(line)
        except ValueError as error:
            raise EcgbenchError(f"not JSON of a downstream record: {str(error)[:200]}") from error
        for fault in _validator()(values):
            where = "/".join(str(step) for step in fault.absolute_path)
            raise EcgbenchError(f"{where or 'record'}: {fault.message[:200]}")
        return cls(**values)


def read_downstream_records(path: Path) -> list[DownstreamRecord]:
    """Read a file; a torn last line is left out, any other bad line raises EcgbenchError."""
    try:
        lines = path.read_bytes().rpartition(b"\n")[0].split(b"\n")
    except OSError as error:
        raise EcgbenchError(f"cannot read downstream results {path}: {error.strerror or error}") from error
    return [_read_line(path, number, line) for number, line in enumerate(lines, 1) if line.strip()]


def read_downstream_folder(folder: Path) -> list[DownstreamRecord]:
    """Read every *.jsonl of a folder, in order of file name; an absent folder holds none."""
    return [record for path in sorted(folder.glob("*.jsonl")) for record in read_downstream_records(path)]


def latest_downstream(records: Iterable[DownstreamRecord]) -> list[DownstreamRecord]:
    """Keep the last record of each identity by `created_at`, in order of identity, whatever their order was."""
    return keep_latest(records, _age)


def _age(record: DownstreamRecord) -> tuple[str, str]:
    return (record.created_at, record.to_json_line())


def _read_line(path: Path, number: int, line: bytes) -> DownstreamRecord:
    try:
        return DownstreamRecord.from_json_line(line.decode("utf-8"))
    except (EcgbenchError, UnicodeDecodeError) as error:
        raise EcgbenchError(f"{path}, line {number}: {error}: mend or delete the line") from error


@functools.cache
def _validator() -> Callable[[Any], Iterator[Any]]:
    from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

    schema = json.loads(files("ecgbench.schemas").joinpath("downstream.schema.json").read_text(encoding="utf-8"))
    errors: Callable[[Any], Iterator[Any]] = Draft202012Validator(schema).iter_errors
    return errors
