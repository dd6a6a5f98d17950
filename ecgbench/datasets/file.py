"""A user's own file of texts and labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ecgbench.data import LabeledTexts, TaskDescription
from ecgbench.datasets._shots import load_shots
from ecgbench.datasets._tables import load_columns
from ecgbench.errors import DataError, UsageError
from ecgbench.specs import Dataset, DatasetContext

MAX_CLASSES = 200


@dataclass(frozen=True)
class FileDataset(Dataset):
    """Load a .csv, .tsv, .jsonl or .parquet file.

    `label_column` holds the given labels; with `true_label_column` they may be wrong, without it
    they count as true. `task` completes "The ... is <label>."; `shots` is a TOML file of examples.
    """

    argument: ClassVar[str | None] = "path"
    default_n: ClassVar[int | None] = None

    path: str = ""
    text_column: str = "text"
    label_column: str = "label"
    true_label_column: str | None = None
    task: str = "label of the text"
    shots: str | None = None

    def load(self, context: DatasetContext) -> LabeledTexts:  # noqa: ARG002
        """Return the rows in file order, label names sorted; DataError in one line for all that is wrong."""
        if not self.path:
            raise UsageError("dataset file needs a path: write it as file:PATH, for instance file:reviews.csv")
        path = Path(self.path).expanduser()
        label_columns = [self.label_column, *([self.true_label_column] if self.true_label_column else [])]
        columns = load_columns(path, list(dict.fromkeys([self.text_column, *label_columns])))
        texts = _to_texts(path, self.text_column, columns[self.text_column])
        labels = {name: _to_names(path, name, columns[name]) for name in label_columns}
        names = _collect_names(path, label_columns, labels)
        index = {name: i for i, name in enumerate(names)}
        given, true = ([index[cell] for cell in labels[name]] for name in (label_columns[0], label_columns[-1]))
        return LabeledTexts(
            name=f"file:{path.name}",
            texts=texts,
            labels=np.array(true, dtype=np.int64),
            given_labels=np.array(given, dtype=np.int64),
            description=TaskDescription(
                noun=self.task,
                label_names=names,
                shots=load_shots(Path(self.shots).expanduser(), names) if self.shots else (),
            ),
        )


def _to_texts(path: Path, column: str, cells: Sequence[Any]) -> tuple[str, ...]:
    """Return the texts; an empty string is a text, a null is not."""
    _refuse_rows(path, column, "no text", [i for i, cell in enumerate(cells, 1) if cell is None])
    other = next((cell for cell in cells if not isinstance(cell, str)), None)
    if other is not None:
        raise DataError(
            f"column {column!r} of {path} holds {type(other).__name__}, not text; choose another text column"
        )
    return tuple(cells)


def _to_names(path: Path, column: str, cells: Sequence[Any]) -> list[str]:
    """Return label names: strings without outer white space, whole numbers without a decimal point."""
    names = [_to_name(cell) for cell in cells]
    _refuse_rows(path, column, "no label", [i for i, name in enumerate(names, 1) if not name])
    return names


def _to_name(cell: Any) -> str:
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip()


def _refuse_rows(path: Path, column: str, what: str, rows: list[int]) -> None:
    if rows:
        first = ", ".join(map(str, rows[:5])) + (", ..." if len(rows) > 5 else "")
        noun = "row has" if len(rows) == 1 else "rows have"
        raise DataError(f"{len(rows)} {noun} {what} in column {column!r} of {path} (row {first}): fill or remove them")


def _collect_names(path: Path, columns: Sequence[str], labels: dict[str, list[str]]) -> tuple[str, ...]:
    names = tuple(sorted({name for column in columns for name in labels[column]}))
    where = " and ".join(repr(column) for column in columns)
    if len(names) == 1:
        raise DataError(f"{path} has one class only, {names[0]!r}, in column {where}: no label can be wrong; need two")
    if len(names) > MAX_CLASSES:
        raise DataError(
            f"{path} has {len(names)} different labels in column {where}, at most {MAX_CLASSES} are read: "
            "is it a number to predict or an id? Name another with --label-column"
        )
    return names
