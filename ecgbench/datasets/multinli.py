"""MultiNLI: does the premise entail the hypothesis, contradict it or neither (Williams et al., NAACL 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from ecgbench.data import LabeledTexts, Shot, TaskDescription
from ecgbench.datasets._columns import join_pairs, render_name, to_known_labels, to_texts
from ecgbench.datasets._source import parse_source
from ecgbench.specs import Dataset, DatasetContext

HUB_NAME = "nyu-mll/multi_nli"
PREMISE, HYPOTHESIS, LABEL = "premise", "hypothesis", "label"

DESCRIPTION = TaskDescription(
    noun="relation of the hypothesis to the premise",
    label_names=("entailment", "neutral", "contradiction"),
    label_lines=(
        "if the premise is true, so is the hypothesis",
        "the premise leaves open whether the hypothesis is true",
        "if the premise is true, the hypothesis is false",
    ),
    text_heading="Pair",
    label_heading="Relation",
    shots=(
        Shot(
            "Premise: The bakery on Mill Street sold its last loaf before eight in the morning.\n"
            "Hypothesis: By noon the bakery had no bread left to sell.",
            "entailment",
            ("sold its last loaf before eight", "By noon the bakery had no bread left"),
            "What was sold out at eight is gone at noon.",
        ),
        Shot(
            "Premise: My sister keeps two bicycles in the hallway.\nHypothesis: My sister rides to work every day.",
            "neutral",
            ("keeps two bicycles", "rides to work every day"),
            "Owning bicycles does not tell where she rides.",
        ),
        Shot(
            "Premise: None of the committee's reports have been released to the press.\n"
            "Hypothesis: The newspapers printed the committee's second report in full.",
            "contradiction",
            ("None of the committee's reports have been released", "printed the committee's second report in full"),
            "A report that was never released cannot have been printed.",
        ),
        Shot(
            "Premise: yeah we drove up there in, oh, I guess it was the winter of that year\n"
            "Hypothesis: They went there by train in the summer.",
            "contradiction",
            ("we drove up there", "by train in the summer"),
            "Means and season of the journey are both others.",
        ),
        Shot(
            "Premise: The lighthouse, built of grey granite, has guided ships since the last century.\n"
            "Hypothesis: The lighthouse is made of stone.",
            "entailment",
            ("built of grey granite", "made of stone"),
            "Granite is a stone.",
        ),
        Shot(
            "Premise: The mayor spoke for an hour about the new harbour.\n"
            "Hypothesis: The audience liked the mayor's plans for the harbour.",
            "neutral",
            ("spoke for an hour about the new harbour", "audience liked the mayor's plans"),
            "How the speech was received is not said.",
        ),
    ),
)


@dataclass(frozen=True)
class MultiNli(Dataset):
    """Load one split, each pair as one text; rows without a label are left out.

    `source` is NAME[:CONFIG] on the hub or a folder of files with the columns premise, hypothesis and label.
    What cuts a long text cuts it in the middle, so in the premise.
    """

    from_hub: ClassVar[bool] = True

    split: Literal["train", "validation_matched", "validation_mismatched"] = "train"
    source: str = HUB_NAME
    revision: str | None = None

    def load(self, context: DatasetContext) -> LabeledTexts:
        """Return the labelled pairs in their order: 392,702 of the hub's train split; DataError."""
        local_form = "--param multinli.source=FOLDER"
        source = parse_source(self.source, split=self.split, revision=self.revision, local_form=local_form)
        columns = source.load((PREMISE, HYPOTHESIS, LABEL), context)
        premises, hypotheses = (to_texts(str(source), name, columns[name]) for name in (PREMISE, HYPOTHESIS))
        data = LabeledTexts(
            name=render_name("multinli", revision=self.revision, split=None if self.split == "train" else self.split),
            texts=join_pairs((PREMISE, premises), (HYPOTHESIS, hypotheses)),
            labels=to_known_labels(str(source), LABEL, columns[LABEL], DESCRIPTION.label_names),
            description=DESCRIPTION,
        )
        return data.take((data.labels >= 0).nonzero()[0])
