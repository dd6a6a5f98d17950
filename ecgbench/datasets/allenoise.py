"""Clean and noisy labels side by side or in two files, as AlleNoise has them (Rączkowska et al., AISTATS 2025)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ecgbench.data import LabeledTexts, TaskDescription
from ecgbench.datasets._columns import collect_names, render_name, to_indices, to_names, to_texts
from ecgbench.datasets._shots import load_shots
from ecgbench.datasets._tables import Columns, load_columns
from ecgbench.errors import DataError, UsageError
from ecgbench.specs import Dataset, DatasetContext

CATEGORY, CATEGORY_NAME = "category_label", "category_name"


@dataclass(frozen=True)
class AlleNoise(Dataset):
    """Load texts with the gold label as true and the noisy one as given; run it with the noise `none`.

    `noisy`: a second file that holds `noisy_column`; its rows are those of `gold`, in the same order or, with
    `id_column`, in any. `names`: a file of the columns category_label and category_name, for labels that are ids.
    `classes`: keep the rows whose two labels are both among so many most frequent gold labels.
    """

    argument: ClassVar[str | None] = "gold"

    gold: str = ""
    noisy: str | None = None
    text_column: str = "text"
    gold_column: str = "clean_category_id"
    noisy_column: str = "noisy_category_id"
    id_column: str | None = None
    names: str | None = None
    classes: int | None = None
    task: str = "category of the product"
    shots: str | None = None

    def __post_init__(self) -> None:
        if self.classes is not None and self.classes < 2:
            raise UsageError(f"allenoise.classes is {self.classes}; give at least 2, or leave it out for all")

    def load(self, context: DatasetContext) -> LabeledTexts:  # noqa: ARG002
        """Return the rows of `gold` in file order, label names sorted; DataError in one line for all that is wrong."""
        if not self.gold:
            raise UsageError("dataset allenoise needs a file: write it as allenoise:PATH, with the path of the labels")
        path = Path(self.gold).expanduser()
        texts, gold, noisy = self._read(path)
        if self.names is not None:
            gold, noisy = _rename((gold, noisy), Path(self.names).expanduser())
        kept = self._kept(gold, noisy)
        labels = [[cells[i] for i in kept] for cells in (gold, noisy)]
        label_names = collect_names(path, (self.gold_column, self.noisy_column), labels)
        gold_labels, noisy_labels = (to_indices(cells, label_names) for cells in labels)
        return LabeledTexts(
            name=render_name(f"allenoise:{path.name}", classes=self.classes),
            texts=tuple(texts[i] for i in kept),
            labels=gold_labels,
            given_labels=noisy_labels,
            description=TaskDescription(
                noun=self.task,
                label_names=label_names,
                shots=load_shots(Path(self.shots).expanduser(), label_names) if self.shots else (),
            ),
        )

    def _read(self, path: Path) -> tuple[tuple[str, ...], list[str], list[str]]:
        """Return texts, gold and noisy labels, row by row."""
        if self.noisy is None:
            if self.gold_column == self.noisy_column:
                raise UsageError(
                    f"allenoise.gold_column and noisy_column are both {self.gold_column!r} of {path}: "
                    "name two columns, or a second file with noisy=PATH"
                )
            columns = load_columns(path, (self.text_column, self.gold_column, self.noisy_column))
            noisy = to_names(path, self.noisy_column, columns[self.noisy_column])
        else:
            ids = [self.id_column] if self.id_column is not None else []
            columns = load_columns(path, [*ids, self.text_column, self.gold_column])
            noisy = self._read_noisy(path, columns, Path(self.noisy).expanduser())
        texts = to_texts(path, self.text_column, columns[self.text_column])
        return texts, to_names(path, self.gold_column, columns[self.gold_column]), noisy

    def _read_noisy(self, path: Path, gold: Columns, other: Path) -> list[str]:
        """Return the second file's labels in the order of the first's rows; DataError where the rows differ."""
        if self.id_column is None:
            noisy = load_columns(other, (self.text_column, self.noisy_column))
            n, m = len(gold[self.text_column]), len(noisy[self.text_column])
            if n != m:
                raise DataError(f"{path} has {n} rows and {other} {m}: give the same rows, or join them by id_column")
            order: Sequence[int] = range(n)
        else:
            noisy = load_columns(other, (self.id_column, self.noisy_column), optional=(self.text_column,))
            order = _match(path, gold[self.id_column], other, noisy[self.id_column], column=self.id_column)
        # Only where it is joined by id may the second file do without the texts.
        for row, (i, text) in enumerate(zip(order, gold[self.text_column], strict=True), 1):
            if self.text_column in noisy and noisy[self.text_column][i] != text:
                raise DataError(
                    f"row {row} of {path} and row {i + 1} of {other} have unlike texts in column {self.text_column!r}: "
                    "give files of the same rows"
                )
        labels = to_names(other, self.noisy_column, noisy[self.noisy_column])
        return [labels[i] for i in order]

    def _kept(self, gold: Sequence[str], noisy: Sequence[str]) -> list[int]:
        counts = Counter(gold)
        # Of equally frequent labels the first by name: the choice does not depend on the order of the rows.
        frequent = set(sorted(counts, key=lambda name: (-counts[name], name))[: self.classes])
        if self.classes is None:
            frequent |= set(noisy)
        return [i for i, pair in enumerate(zip(gold, noisy, strict=True)) if frequent.issuperset(pair)]


def _match(path: Path, ids: Sequence[object], other: Path, other_ids: Sequence[object], *, column: str) -> list[int]:
    """Return the row of each id in the other file; DataError for an id that is not once in both."""
    # As text: a .csv has strings where a .parquet has numbers.
    one, two = [str(cell) for cell in ids], [str(cell) for cell in other_ids]
    for where, cells in ((path, one), (other, two)):
        repeated = next((cell for cell, count in Counter(cells).items() if count > 1), None)
        if repeated is not None:
            raise DataError(f"{where} has the {column} {repeated!r} more than once: an id names one row")
    rows = {cell: i for i, cell in enumerate(two)}
    known = set(one)
    for cells, found, has, lacks in ((one, rows, path, other), (two, known, other, path)):
        absent = [cell for cell in cells if cell not in found]
        if absent:
            raise DataError(
                f"{len(absent)} of the {column} of {has} are not in {lacks} (first: {absent[0]!r}): "
                "give files of the same rows"
            )
    return [rows[cell] for cell in one]


def _rename(labels: Sequence[list[str]], path: Path) -> list[list[str]]:
    """Return the labels by the names that a file gives them; DataError for one without, and for a name of two."""
    columns = load_columns(path, (CATEGORY, CATEGORY_NAME))
    names = dict(zip(*(to_names(path, column, columns[column]) for column in (CATEGORY, CATEGORY_NAME)), strict=True))
    absent = next((label for cells in labels for label in cells if label not in names), None)
    if absent is not None:
        raise DataError(
            f"{path} has no name for the label {absent!r}: add it to the columns {CATEGORY}, {CATEGORY_NAME}"
        )
    counts = Counter(names[label] for label in {label for cells in labels for label in cells})
    shared = next((name for name, count in counts.items() if count > 1), None)
    if shared is not None:
        raise DataError(f"{path} gives the name {shared!r} to more than one label: give each its own")
    return [[names[label] for label in cells] for cells in labels]
