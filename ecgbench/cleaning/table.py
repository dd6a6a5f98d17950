"""A file of labelled rows that is written again with some of them dropped or relabelled, all others as they were."""

from __future__ import annotations

import csv
import io
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ecgbench.datasets._columns import to_name
from ecgbench.datasets._tables import DELIMITERS, find_delimiter, load_columns
from ecgbench.errors import DataError

Changes = Mapping[int, str | None]
"""New label by row, None where the row is dropped; the first data row is row 1."""
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, eq=False)
class LabelTable(ABC):
    """The rows of a file; `labels` are their names as the file dataset reads them, empty where a row has none."""

    path: Path
    label_column: str
    labels: Sequence[str]

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def cells(self) -> dict[str, Any]:
        """Return how the file itself writes each label, by its name."""
        pairs = zip(self.labels, self._iter_cells(), strict=True)
        return dict(reversed([(label, cell) for label, cell in pairs if label]))

    def validate_rows(self) -> None:
        """Raise DataError where rows do not stand one by one, so that a change would strike others."""
        n = sum(1 for _ in self._iter_cells())
        if n != len(self):
            raise DataError(f"{self.path} has {len(self)} rows, but {n} lines that hold one: write one row a line")

    @abstractmethod
    def render(self, changes: Changes) -> bytes:
        """Return the file's bytes with the changes; a row without one is the same, byte for byte where it is text."""

    @abstractmethod
    def iter_rows(self) -> Iterator[Sequence[Any]]:
        """Yield the cells of each row as the file holds them."""

    @abstractmethod
    def _iter_cells(self) -> Iterator[Any]:
        """Yield each row's label as the file holds it."""


@dataclass(frozen=True, eq=False)
class SeparatedTable(LabelTable):
    """A .csv or .tsv file; untouched rows keep their very quotes and line ends."""

    @cached_property
    def _records(self) -> list[tuple[str, list[str]]]:
        """Return each record as it stands and as fields; a blank line is a record without fields."""
        text = self.path.read_bytes().decode("utf-8-sig")
        taken: list[str] = []

        def lines() -> Iterator[str]:
            for line in io.StringIO(text, newline=""):
                taken.append(line)
                yield line

        records = []
        limit = csv.field_size_limit(2**31 - 1)
        try:
            for fields in csv.reader(lines(), delimiter=self._delimiter):
                records.append(("".join(taken), fields))
                taken.clear()
        finally:
            csv.field_size_limit(limit)
        return records

    @cached_property
    def _delimiter(self) -> str:
        return find_delimiter(self.path, self.path.suffix.lower())

    @property
    def _place(self) -> int:
        return self._records[0][1].index(self.label_column)

    def iter_rows(self) -> Iterator[Sequence[str]]:
        """Yield the fields of each row; blank lines are none."""
        return (fields for _, fields in self._records[1:] if fields)

    def _iter_cells(self) -> Iterator[str]:
        return (fields[self._place] for fields in self.iter_rows())

    def render(self, changes: Changes) -> bytes:
        """Return the rows, a changed one written anew."""
        parts, row = [self._records[0][0]], 0
        for raw, fields in self._records[1:]:
            row += bool(fields)
            if not fields or row not in changes:
                parts.append(raw)
            elif (label := changes[row]) is not None:
                parts.append(self._write(raw, fields, self.cells[label]))
        start = _BOM if self.path.read_bytes().startswith(_BOM) else b""
        return start + "".join(parts).encode("utf-8")

    def _write(self, raw: str, fields: Sequence[str], cell: str) -> str:
        at, end = self._place, raw[len(raw.rstrip("\r\n")) :]
        line = io.StringIO(newline="")
        writer = csv.writer(line, delimiter=self._delimiter, lineterminator=end)
        writer.writerow([*fields[:at], cell, *fields[at + 1 :]])
        return line.getvalue()


@dataclass(frozen=True, eq=False)
class JsonTable(LabelTable):
    """A .jsonl file; untouched lines stay as they are."""

    @cached_property
    def _lines(self) -> list[bytes]:
        return self.path.read_bytes().splitlines(keepends=True)

    def iter_rows(self) -> Iterator[Sequence[Any]]:
        """Yield the values of each line's object."""
        return (list(values.values()) for values in self._iter_objects())

    def _iter_cells(self) -> Iterator[Any]:
        return (values.get(self.label_column) for values in self._iter_objects())

    def _iter_objects(self) -> Iterator[dict[str, Any]]:
        return (self._parse(line, number) for number, line in enumerate(self._lines, 1) if line.strip())

    def _parse(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            values = json.loads(line.removeprefix(_BOM))
        except ValueError:
            values = None
        if not isinstance(values, dict):
            raise DataError(f"{self.path}, line {number} is not one JSON object: write one row a line")
        return values

    def render(self, changes: Changes) -> bytes:
        """Return the lines, the label in a changed one replaced."""
        parts, row = [], 0
        for line in self._lines:
            row += bool(line.strip())
            if not line.strip() or row not in changes:
                parts.append(line)
            elif (label := changes[row]) is not None:
                parts.append(self._write(line, self.cells[label]))
        return b"".join(parts)

    def _write(self, line: bytes, cell: Any) -> bytes:
        values = json.loads(line.removeprefix(_BOM)) | {self.label_column: cell}
        return json.dumps(values, ensure_ascii=line.isascii()).encode() + line[len(line.rstrip()) :]


@dataclass(frozen=True, eq=False)
class ParquetTable(LabelTable):
    """A .parquet file; types and metadata stay."""

    @cached_property
    def _table(self) -> Any:
        from pyarrow import parquet

        return parquet.read_table(self.path, partitioning=None)

    def iter_rows(self) -> Iterator[Sequence[Any]]:
        """Yield the cells of each row."""
        return (list(row.values()) for row in self._table.to_pylist())

    def _iter_cells(self) -> Iterator[Any]:
        return iter(self._table[self.label_column].to_pylist())

    def render(self, changes: Changes) -> bytes:
        """Return the remaining rows."""
        import pyarrow
        from pyarrow import parquet

        table, place = self._table, self._table.column_names.index(self.label_column)
        new = {row: self.cells[label] for row, label in changes.items() if label is not None}
        column = [new.get(row, cell) for row, cell in enumerate(self._iter_cells(), 1)]
        field = table.schema.field(place)
        table = table.set_column(place, field, pyarrow.array(column, type=field.type))
        dropped = {row for row, label in changes.items() if label is None}
        table = table.filter(pyarrow.array([row not in dropped for row in range(1, len(self) + 1)]))
        out = io.BytesIO()
        parquet.write_table(table, out)
        return out.getvalue()


def load_table(path: Path, label_column: str) -> LabelTable:
    """Read a file as the file dataset does; raises DataError where that could not."""
    labels = [to_name(cell) for cell in load_columns(path, [label_column])[label_column]]
    suffix = path.suffix.lower()
    kind = SeparatedTable if suffix in DELIMITERS else JsonTable if suffix == ".jsonl" else ParquetTable
    table = kind(path, label_column, labels)
    table.validate_rows()
    return table
