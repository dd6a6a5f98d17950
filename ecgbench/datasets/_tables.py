"""Read columns of a .csv, .tsv, .jsonl or .parquet file through the `datasets` library."""

from __future__ import annotations

import csv
import difflib
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ecgbench.errors import DataError

DELIMITERS = {".csv": ",", ".tsv": "\t"}
SUFFIXES = (*DELIMITERS, ".jsonl", ".parquet")

Columns = dict[str, list[Any]]


class MissingColumnError(DataError):
    """Report a column that a table does not have."""

    def __init__(self, path: Path, column: str, found: Sequence[str]) -> None:
        near = difflib.get_close_matches(column, found, n=1, cutoff=0.5)
        hint = f" Did you mean: {near[0]}?" if near else ""
        super().__init__(f"{path} has no column {column!r}.{hint} Its columns: {', '.join(found) or 'none'}.")
        self.column = column


def load_columns(path: Path, wanted: Sequence[str], *, optional: Sequence[str] = ()) -> Columns:
    """Return the wanted columns, cells as Python values; a class-label column gives its names.

    `optional` columns are returned where they are there. Cells of .csv and .tsv are strings as written
    ("01" and "NA" stay what they are); a .csv without a comma in its header is read by the tabs
    or semicolons that are there.
    DataError where the file or a column cannot be read.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise DataError(f"{path} has the ending {suffix!r}; ecgbench reads {', '.join(SUFFIXES)}")
    if suffix != ".parquet":
        _validate_text(path)
    try:
        if suffix not in DELIMITERS:
            return _read(path, suffix, wanted, optional)
        delimiter = find_delimiter(path, suffix)
        header = _validate_rows(path, delimiter, wanted)
        return _read(path, suffix, [*wanted, *_present(optional, wanted, header)], delimiter=delimiter)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error


def validate_columns(path: Path, wanted: Sequence[str], found: Sequence[str]) -> None:
    """Raise MissingColumnError for the first wanted column that is not among those found."""
    for name in wanted:
        if name not in found:
            raise MissingColumnError(path, name, found)


def _validate_text(path: Path) -> None:
    """Raise DataError for a file that is missing, empty or not UTF-8."""
    try:
        raw = path.read_bytes()
        raw.decode("utf-8")
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        fix = f"convert it, for instance: iconv -f latin1 -t utf-8 {path.name} > utf8-{path.name}"
        raise DataError(f"{path} is not UTF-8 (line {line}, byte {error.start}): {fix}") from error
    if not raw.strip():
        raise DataError(f"{path} is empty")


def _present(optional: Sequence[str], wanted: Sequence[str], found: Sequence[str]) -> list[str]:
    return [name for name in dict.fromkeys(optional) if name in found and name not in wanted]


def find_delimiter(path: Path, suffix: str) -> str:
    """Return what separates the fields of a file with this ending, by its header."""
    with path.open(encoding="utf-8-sig") as file:
        header = file.readline()
    others = [mark for mark in "\t;" if mark in header] if suffix == ".csv" and "," not in header else []
    return others[0] if others else DELIMITERS[suffix]


def _validate_rows(path: Path, delimiter: str, wanted: Sequence[str]) -> list[str]:
    """Return the header; DataError for missing columns and for rows of another length, which would shift them."""
    with path.open(encoding="utf-8-sig", newline="") as file, _any_field_size():
        reader = csv.reader(file, delimiter=delimiter)
        try:
            header = next(reader)
            validate_columns(path, wanted, header)
            for row in filter(None, reader):
                if len(row) != len(header):
                    found = f"line {reader.line_num} of {path} has {len(row)} fields, the header has {len(header)}"
                    raise DataError(f"{found}: put quotes around texts that hold the separator")
        except csv.Error as error:
            raise DataError(f"cannot read line {reader.line_num} of {path}: {error}") from error
    return header


@contextmanager
def _any_field_size() -> Iterator[None]:
    """Let the csv module read cells of any length for a while: its own limit is 131,072 characters."""
    limit = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(limit)


def _read(
    path: Path, suffix: str, wanted: Sequence[str], optional: Sequence[str] = (), *, delimiter: str = ","
) -> Columns:
    from datasets.exceptions import DatasetsError
    from pyarrow import parquet

    from datasets import Dataset, Features, Value

    # Straight to the reader of one format: no hub is asked, and the copy it makes goes with the folder.
    with quiet_datasets(), tempfile.TemporaryDirectory(prefix="ecgbench-") as cache:
        options: dict[str, Any] = {"cache_dir": cache, "keep_in_memory": True}
        try:
            if suffix in DELIMITERS:
                strings = Features({name: Value("string") for name in wanted})
                options |= {"sep": delimiter, "na_filter": False, "features": strings}
                table = Dataset.from_csv(str(path), **options)
            elif suffix == ".jsonl":
                table = Dataset.from_json(str(path), **options)
            else:
                header = parquet.read_schema(path).names
                validate_columns(path, wanted, header)
                options["columns"] = [*wanted, *_present(optional, wanted, header)]
                table = Dataset.from_parquet(str(path), **options)
        except (DatasetsError, ValueError, TypeError) as error:
            # The library has no empty tables and says so in words about its splits.
            if "corresponds to no data" in str(error):
                raise DataError(f"{path} has no rows") from error
            reason = str(error.__cause__ or error).splitlines() or [type(error).__name__]
            raise DataError(f"cannot read {path} as {suffix}: {reason[0]}") from error
        validate_columns(path, wanted, table.column_names)
        found = [*wanted, *_present(optional, wanted, table.column_names)]
        return {name: _cells(table, name) for name in found}


def _cells(table: Any, name: str) -> list[Any]:
    from datasets import ClassLabel

    cells: list[Any] = table.with_format("arrow")[:][name].to_pylist()
    feature = table.features[name]
    if not isinstance(feature, ClassLabel):
        return cells
    # -1 is how published test splits say "no label".
    return [None if cell is None or cell < 0 else feature.names[cell] for cell in cells]


@contextmanager
def quiet_datasets() -> Iterator[None]:
    """Silence the library's progress bars and logs for a while: errors are reported by us, in one line."""
    from datasets.utils import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
        logging,
    )

    bars, verbosity = not are_progress_bars_disabled(), logging.get_verbosity()
    disable_progress_bars()
    logging.set_verbosity(logging.CRITICAL)
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            enable_progress_bars()
