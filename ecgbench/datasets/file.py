"""A user's own file of texts and labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ecgbench.data import LabeledTexts
from ecgbench.datasets._columns import ColumnDataset
from ecgbench.datasets._tables import load_columns
from ecgbench.errors import UsageError
from ecgbench.specs import DatasetContext


@dataclass(frozen=True)
class FileDataset(ColumnDataset):
    """Load a .csv, .tsv, .jsonl or .parquet file."""

    argument: ClassVar[str | None] = "path"
    default_n: ClassVar[int | None] = None

    path: str = ""

    def load(self, context: DatasetContext) -> LabeledTexts:  # noqa: ARG002
        """Return the rows in file order, label names sorted; DataError in one line for all that is wrong."""
        if not self.path:
            raise UsageError("dataset file needs a path: write it as file:PATH, for instance file:reviews.csv")
        path = Path(self.path).expanduser()
        return self.build(f"file:{path.name}", path, load_columns(path, self.columns))
