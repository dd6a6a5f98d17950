"""SST-2: movie review phrases, positive or negative (Socher et al., EMNLP 2013; GLUE's binary form)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from ecgbench.data import LabeledTexts, Shot, TaskDescription
from ecgbench.datasets._columns import render_name, to_known_labels, to_texts
from ecgbench.datasets._source import parse_source
from ecgbench.specs import Dataset, DatasetContext

HUB_NAME = "nyu-mll/glue:sst2"
TEXT, LABEL = "sentence", "label"

DESCRIPTION = TaskDescription(
    noun="sentiment of the movie review",
    label_names=("negative", "positive"),
    label_lines=(
        "the words speak against the movie or what is described in it",
        "the words speak for the movie or what is described in it",
    ),
    text_heading="Review",
    label_heading="Sentiment",
    shots=(
        Shot(
            "a tender and sharply observed comedy about growing old",
            "positive",
            ("tender and sharply observed",),
            "The words praise how closely the film looks at its people.",
        ),
        Shot(
            "drags its one thin joke through ninety weary minutes",
            "negative",
            ("drags", "one thin joke", "weary minutes"),
            "The film is called slow and short of ideas.",
        ),
        Shot(
            "for all its gunfire , the film never once quickens the pulse",
            "negative",
            ("never once quickens the pulse",),
            "The writer finds the action dull.",
        ),
        Shot(
            "holds you spellbound without raising its voice",
            "positive",
            ("holds you spellbound",),
            "The writer was gripped by a quiet film.",
        ),
        Shot(
            "the leads make even the sillier scenes a pleasure to watch",
            "positive",
            ("a pleasure to watch",),
            "The actors are enjoyed, silly scenes or not.",
        ),
        Shot(
            "could have been charming had anyone bothered with a script",
            "negative",
            ("could have been charming", "had anyone bothered with a script"),
            "A chance was missed: the writing is called careless.",
        ),
    ),
)


@dataclass(frozen=True)
class Sst2(Dataset):
    """Load one split; `source` is NAME[:CONFIG] on the hub or a folder of files with the columns sentence and label."""

    from_hub: ClassVar[bool] = True

    split: Literal["train", "validation"] = "train"
    source: str = HUB_NAME
    revision: str | None = None

    def load(self, context: DatasetContext) -> LabeledTexts:
        """Return the labelled rows in their order: 67,349 of the hub's train split, 872 of validation; DataError."""
        local_form = "--param sst2.source=FOLDER"
        source = parse_source(self.source, split=self.split, revision=self.revision, local_form=local_form)
        columns = source.load((TEXT, LABEL), context)
        split = None if self.split == "train" else self.split
        data = LabeledTexts(
            name=render_name("sst2", revision=self.revision, split=split),
            texts=to_texts(str(source), TEXT, columns[TEXT]),
            labels=to_known_labels(str(source), LABEL, columns[LABEL], DESCRIPTION.label_names),
            description=DESCRIPTION,
        )
        return data.take((data.labels >= 0).nonzero()[0])
