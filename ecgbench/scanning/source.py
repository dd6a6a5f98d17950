"""The rows of a file that can be scanned, and which cannot."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ecgbench.data import IntArray, LabeledTexts
from ecgbench.datasets._columns import to_name
from ecgbench.datasets._tables import MissingColumnError, load_columns
from ecgbench.datasets.file import FileDataset
from ecgbench.errors import DataError
from ecgbench.scanning.options import ScanOptions

FEW_ROWS = 5
"""A class of fewer rows is pointed out."""
_SHOWN = 10
_SAMPLE = 1000
_FOREIGN_SHARE = 0.3
_ENGLISH = frozenset({"the", "and", "that", "with", "this", "are", "but", "not", "from", "it", "of"})
"""Common words of English that few other languages share; some 15 % of the words of running text."""
_ENGLISH_SHARE = 0.02
_ENOUGH_WORDS = 200
"""Of fewer words nothing is said. Titles without any such word are pointed out, too: no harm is done."""


@dataclass(frozen=True, eq=False)
class Source:
    """What is scanned: the file's rows with a text and a label.

    `rows`: the number of each in the file, shape (n,), counted from 1 without the header. `key` is the digest of the
    file and of the columns that were read. `notes` are lines for whoever reads the result.
    """

    path: Path
    data: LabeledTexts
    rows: IntArray
    key: str
    notes: tuple[str, ...]


def load_source(path: Path, options: ScanOptions) -> Source:
    """Read a file; raises DataError in one line where it cannot be scanned."""
    dataset = FileDataset(
        path=str(path),
        text_column=options.text_column,
        label_column=options.label_column,
        task=options.task or FileDataset.task,
        shots=None if options.shots is None else str(options.shots),
    )
    columns = _load_columns(path, dataset)
    texts, labels = columns[options.text_column], columns[options.label_column]
    unlabelled = [i for i, cell in enumerate(labels) if to_name(cell).lower() in ("", "nan")]
    silent = [i for i, cell in enumerate(texts) if cell is None or (isinstance(cell, str) and not cell.strip())]
    kept = np.setdiff1d(np.arange(len(texts)), [*unlabelled, *silent]).astype(np.int64)
    if not len(kept):
        raise DataError(f"{path} has no row with both a text and a label: nothing can be scanned")
    cells = {name: [column[i] for i in kept] for name, column in columns.items()}
    data = dataset.build(f"file:{path.name}", path, cells)
    left_out = [
        _describe_left_out(unlabelled, f"without a label in column {options.label_column!r}"),
        _describe_left_out(silent, f"without a text in column {options.text_column!r}"),
    ]
    notes = [*filter(None, left_out), *_iter_notes(data, kept + 1)]
    return Source(path, data, kept + 1, _digest(path, dataset.columns), tuple(notes))


def _load_columns(path: Path, dataset: FileDataset) -> dict[str, list[Any]]:
    try:
        return load_columns(path, dataset.columns)
    except MissingColumnError as error:
        if error.column != dataset.label_column:
            raise DataError(f"{error} Name the column of texts with --text-column.") from error
        raise DataError(
            f"{error} A scan judges labels that are there: name their column with --label-column. "
            "Without any there is nothing to judge, and ecgbench gives texts no labels."
        ) from error


def _digest(path: Path, columns: Sequence[str]) -> str:
    with path.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    return hashlib.sha256("\0".join([content, *columns]).encode()).hexdigest()[:32]


def _describe_left_out(positions: Sequence[int], what: str) -> str:
    return f"{_count(len(positions))} {what}, left out: {list_rows(i + 1 for i in positions)}" if positions else ""


def _iter_notes(data: LabeledTexts, rows: IntArray) -> Iterator[str]:
    """Say what of the data a person should know before trusting a ranking of it."""
    sizes = np.bincount(data.given_labels, minlength=data.description.n_classes)
    if few := [f"{name} ({n})" for name, n in zip(data.description.label_names, sizes, strict=True) if n < FEW_ROWS]:
        yield (
            f"labels with fewer than {FEW_ROWS} rows: {', '.join(few)}; no classifier learns them and worked examples "
            "of them are few, so their rows are ranked by little: look at them yourself"
        )
    if clashing := _find_clashes(data):
        yield f"the same text stands under different labels in {_count(len(clashing))}: {list_rows(rows[clashing])}"
    if strange := _find_foreign(data.texts):
        yield (
            f"{strange}: prompts and their examples are worded in English, the models of profile "
            "embedded know little else, and shortcuts are found among words that blanks set apart"
        )


def _find_clashes(data: LabeledTexts) -> list[int]:
    """Return the positions of texts that stand under more than one label."""
    labels_of: dict[str, set[int]] = {}
    for text, label in zip(data.texts, data.given_labels.tolist(), strict=True):
        labels_of.setdefault(text, set()).add(label)
    return [i for i, text in enumerate(data.texts) if len(labels_of[text]) > 1]


def _find_foreign(texts: Sequence[str]) -> str:
    """Say why the first texts are hardly English, by letters and commonest words; empty where they may be."""
    start = [text[:_SAMPLE] for text in texts[:_SAMPLE]]
    letters = [char for text in start for char in text if char.isalpha()]
    other = sum(not (char.isascii() or unicodedata.name(char, "").startswith("LATIN")) for char in letters)
    if other > _FOREIGN_SHARE * max(len(letters), 1):
        return "most letters are not Latin"
    words = [word for text in start for word in text.lower().split()]
    if len(words) >= _ENOUGH_WORDS and sum(word in _ENGLISH for word in words) < _ENGLISH_SHARE * len(words):
        return "hardly any word is one of the commonest English ones"
    return ""


def list_rows(rows: Any) -> str:
    """Return `row 3` or `rows 3, 8, ...`: the first of them."""
    numbers = [str(row) for row in rows]
    shown = ", ".join(numbers[:_SHOWN]) + (", ..." if len(numbers) > _SHOWN else "")
    return f"row{'s' * (len(numbers) > 1)} {shown}"


def _count(n: int) -> str:
    return "1 row" if n == 1 else f"{n:,} rows"
