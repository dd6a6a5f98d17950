"""From the columns of a table to labelled texts: what every dataset that is a table shares."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ecgbench.data import IntArray, LabeledTexts, TaskDescription
from ecgbench.datasets._shots import load_shots
from ecgbench.errors import DataError
from ecgbench.specs import Dataset

MAX_CLASSES = 200


@dataclass(frozen=True)
class ColumnDataset(Dataset):
    """Say which columns of a table are texts and labels.

    `label_column` holds the given labels; with `true_label_column` they may be wrong, without it
    they count as true. With `second_text_column` a text is a pair, see `join_pairs`. `task` completes
    "The ... is <label>."; `shots` is a TOML file of examples.
    """

    text_column: str = "text"
    second_text_column: str | None = None
    label_column: str = "label"
    true_label_column: str | None = None
    task: str = "label of the text"
    shots: str | None = None

    @property
    def columns(self) -> list[str]:
        """Return the columns to read, each once."""
        chosen = (self.text_column, self.second_text_column, self.label_column, self.true_label_column)
        return list(dict.fromkeys(name for name in chosen if name is not None))

    def build(self, name: str, where: str | Path, columns: Mapping[str, Sequence[Any]]) -> LabeledTexts:
        """Return the rows in their order, label names sorted; DataError in one line for all that is wrong."""
        texts = to_texts(where, self.text_column, columns[self.text_column])
        if self.second_text_column is not None:
            second = to_texts(where, self.second_text_column, columns[self.second_text_column])
            texts = join_pairs((self.text_column, texts), (self.second_text_column, second))
        label_columns = [self.label_column, *([self.true_label_column] if self.true_label_column else [])]
        labels = [to_names(where, column, columns[column]) for column in label_columns]
        names = collect_names(where, label_columns, labels, limit=MAX_CLASSES)
        given, *true = (to_indices(cells, names) for cells in labels)
        return LabeledTexts(
            name=name,
            texts=texts,
            labels=true[0] if true else given,
            given_labels=given,
            description=TaskDescription(
                noun=self.task,
                label_names=names,
                shots=load_shots(Path(self.shots).expanduser(), names) if self.shots else (),
            ),
        )


def render_name(name: str, **params: str | int | None) -> str:
    """Return `name[parameter=value,...]` of the parameters that are not None, as records write it."""
    given = [f"{key}={value}" for key, value in params.items() if value is not None]
    return f"{name}[{','.join(given)}]" if given else name


def to_texts(where: str | Path, column: str, cells: Sequence[Any]) -> tuple[str, ...]:
    """Return the texts; an empty string is a text, a null is not."""
    _refuse_rows(where, column, "no text", [i for i, cell in enumerate(cells, 1) if cell is None])
    other = next((cell for cell in cells if not isinstance(cell, str)), None)
    if other is not None:
        raise DataError(
            f"column {column!r} of {where} holds {type(other).__name__}, not text; choose another text column"
        )
    return tuple(cells)


def join_pairs(first: tuple[str, Sequence[str]], second: tuple[str, Sequence[str]]) -> tuple[str, ...]:
    """Make one text of each pair, under headings of the columns' names: `Premise: ...`, line end, `Hypothesis: ...`.

    One text, because all that reads an item (a noise model, a prompt, an encoder) reads its text.
    """
    one, other = (name.replace("_", " ").capitalize() for name, _ in (first, second))
    return tuple(f"{one}: {a}\n{other}: {b}" for a, b in zip(first[1], second[1], strict=True))


def to_names(where: str | Path, column: str, cells: Sequence[Any]) -> list[str]:
    """Return label names: strings without outer white space, whole numbers without a decimal point."""
    names = [to_name(cell) for cell in cells]
    _refuse_rows(where, column, "no label", [i for i, name in enumerate(names, 1) if not name])
    return names


def to_known_labels(where: str | Path, column: str, cells: Sequence[Any], names: Sequence[str]) -> IntArray:
    """Return labels by name or number, -1 where a row has none: int64, shape (n,); DataError for any other."""
    known = {"": -1, "-1": -1}
    for i, name in enumerate(names):
        known[name] = known[str(i)] = i
    found = [to_name(cell) for cell in cells]
    other = next((name for name in found if name not in known), None)
    if other is not None:
        raise DataError(f"column {column!r} of {where} holds the label {other!r}; it may hold: {', '.join(names)}")
    labels = np.array([known[name] for name in found], dtype=np.int64)
    if not (labels >= 0).any():
        raise DataError(f"column {column!r} of {where} has no labels, as published test splits have: choose another")
    return labels


def collect_names(
    where: str | Path, columns: Sequence[str], labels: Sequence[Sequence[str]], *, limit: int | None = None
) -> tuple[str, ...]:
    """Return the sorted distinct labels of all columns; DataError for a single one and for more than `limit`."""
    names = tuple(sorted({name for cells in labels for name in cells}))
    shown = " and ".join(map(repr, columns))
    if len(names) == 1:
        raise DataError(f"{where} has one class only, {names[0]!r}, in column {shown}: no label can be wrong; need two")
    if limit is not None and len(names) > limit:
        raise DataError(
            f"{where} has {len(names)} different labels in column {shown}, at most {limit} are read: "
            "is it a number to predict or an id? Name another with --label-column"
        )
    return names


def to_indices(cells: Sequence[str], names: Sequence[str]) -> IntArray:
    """Return each label's place among the names: int64, shape (n,)."""
    index = {name: i for i, name in enumerate(names)}
    return np.array([index[cell] for cell in cells], dtype=np.int64)


def to_name(cell: Any) -> str:
    """Return a label's name, "" where there is none."""
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip()


def _refuse_rows(where: str | Path, column: str, what: str, rows: list[int]) -> None:
    if rows:
        first = ", ".join(map(str, rows[:5])) + (", ..." if len(rows) > 5 else "")
        noun = "row has" if len(rows) == 1 else "rows have"
        raise DataError(f"{len(rows)} {noun} {what} in column {column!r} of {where} (row {first}): fill or remove them")
