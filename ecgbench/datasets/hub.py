"""Any dataset of the hub, or a folder of .parquet, .csv or .jsonl files laid out like one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ecgbench.data import LabeledTexts
from ecgbench.datasets._columns import ColumnDataset, render_name
from ecgbench.datasets._source import parse_source
from ecgbench.errors import UsageError
from ecgbench.specs import DatasetContext


@dataclass(frozen=True)
class HubDataset(ColumnDataset):
    """Load one split of NAME[:CONFIG] on the hub, or of FOLDER[:CONFIG].

    What the hub sent is kept as one parquet file and not asked for again; `revision` is a branch, tag or commit.
    """

    argument: ClassVar[str | None] = "source"
    default_n: ClassVar[int | None] = None

    source: str = ""
    split: str = "train"
    revision: str | None = None

    def load(self, context: DatasetContext) -> LabeledTexts:
        """Return the split's rows in their order, label names sorted; DataError in one line for all that is wrong."""
        if not self.source:
            raise UsageError("dataset hf needs a name: write it as hf:OWNER/NAME, hf:OWNER/NAME:CONFIG or hf:./FOLDER")
        source = parse_source(self.source, split=self.split, revision=self.revision, local_form="--dataset hf:./FOLDER")
        # Of a folder the name alone: a record is published, where the folder lay is not.
        shown = source.folder.resolve().name if source.folder else source.name
        name = render_name(
            ":".join(filter(None, ("hf", shown, source.config))),
            revision=self.revision,
            split=None if self.split == "train" else self.split,
        )
        return self.build(name, str(source), source.load(self.columns, context))
