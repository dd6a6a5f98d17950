"""Take in records that were made elsewhere: checked line by line, marked as self-reported, own ones never replaced."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from ecgbench.errors import EcgbenchError, UsageError
from ecgbench.leaderboard.markdown import RESULTS_FOLDER
from ecgbench.results import SELF_REPORTED, CellRecord, latest, read_record_line, read_records, read_results_folder
from ecgbench.whole_files import write_whole

_NAME = re.compile(r"\w[\w.-]*\.jsonl", re.ASCII)


class Fate(StrEnum):
    """What becomes of a cell or a line that comes in, in words behind their number."""

    NEW = "new cells"
    REPLACED = "cells whose self-reported record was older"
    OWN = "cells left out, which have an own record"
    NEWER = "cells left out, which have a self-reported record as new"
    OTHER_SEED = "cells left out, of a seed that the own records of their table lack"
    REPEATED = "lines left out, whose cell has a later line"


@dataclass(frozen=True)
class Merged:
    """What came of one file: where its records are, and how many cells or lines had which fate."""

    path: Path
    counts: Mapping[Fate, int]


def merge_files(files: Sequence[Path], folder: Path) -> list[Merged]:
    """Add each file's records to `folder`/results/FILE, marked as self-reported; all files are checked before.

    Raises UsageError for a file that lies there already, or whose name is that of a file with own records;
    EcgbenchError names file and line of a record that breaks the schema.
    """
    results = folder / RESULTS_FOLDER
    incoming = {file: _read_whole(file) for file in files}
    for file in files:
        _validate_place(file, results)
    return [_merge(file, records, results) for file, records in incoming.items()]


def _merge(file: Path, records: Sequence[CellRecord], results: Path) -> Merged:
    """Write the records of a file that are news beside those that came under its name before."""
    judge = _Judge(latest(read_results_folder(results)))
    reported = latest(replace(record, origin=SELF_REPORTED) for record in records)
    fates = [judge.find_fate(record) for record in reported]
    taken = [r for r, fate in zip(reported, fates, strict=True) if fate in (Fate.NEW, Fate.REPLACED)]
    target = results / file.name
    if taken:
        before = read_records(target) if target.exists() else []
        lines = [record.to_json_line() for record in latest([*before, *taken])]
        write_whole(target, "".join(lines).encode("utf-8", "backslashreplace"))
    return Merged(target, Counter(fates) + Counter({Fate.REPEATED: len(records) - len(reported)}))


class _Judge:
    """Say what becomes of records, given those that are there."""

    def __init__(self, known: Iterable[CellRecord]) -> None:
        self.known: dict[str, CellRecord] = {}
        self.own_seeds: dict[tuple[object, ...], set[int]] = {}
        for record in known:
            self.known[record.cell_key] = record
            if record.origin is None:
                self.own_seeds.setdefault(record.group, set()).add(record.seed)

    def find_fate(self, record: CellRecord) -> Fate:
        """Return the fate of a self-reported record.

        A seed more in one row would be a missing cell in every other row of its table.
        """
        there = self.known.get(record.cell_key)
        if there is not None and there.origin is None:
            return Fate.OWN
        if record.seed not in self.own_seeds.get(record.group, {record.seed}):
            return Fate.OTHER_SEED
        if there is None:
            return Fate.NEW
        return Fate.NEWER if latest([there, record]) == [there] else Fate.REPLACED


def _read_whole(file: Path) -> list[CellRecord]:
    """Read every line of a file; unlike what a killed run left, a last line without its end must be whole, too."""
    try:
        lines = file.read_bytes().split(b"\n")
    except OSError as error:
        raise EcgbenchError(f"cannot read {file}: {error.strerror or error}") from error
    records = [read_record_line(file, number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    if not records:
        raise UsageError(f"{file} holds no records; give a results/*.jsonl of a run")
    return records


def _validate_place(file: Path, results: Path) -> None:
    target = results / file.name
    if not _NAME.fullmatch(file.name):
        raise UsageError(f"{file.name!r} is no name for records; rename it, such as to alice.jsonl")
    if target.exists() and target.samefile(file):
        raise UsageError(f"{file} lies among the results already, where its records count as own; move it out first")
    if target.exists() and any(record.origin is None for record in read_records(target)):
        raise UsageError(f"{target} holds own records; rename {file}, such as to {file.stem}-reported.jsonl")
