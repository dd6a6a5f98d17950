"""A plugin whose dataset describes itself with worked examples, so that prompts follow from the texts alone."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np

from ecgbench.data import LabeledTexts, Shot, TaskDescription
from ecgbench.hookspecs import hookimpl
from ecgbench.specs import Dataset, DatasetContext, DatasetSpec

GOOD, BAD, FILL = ("fine", "lovely", "bright"), ("dull", "weary", "flat"), ("film", "plot", "scene", "cast", "music")


@dataclass(frozen=True)
class Described(Dataset):
    """Sentences of six words, all different."""

    size: int = 200

    def load(self, context: DatasetContext) -> LabeledTexts:  # noqa: ARG002
        """Return `size` items, the classes in turn."""
        rng = random.Random(0)
        labels = np.arange(self.size) % 2
        texts = [
            f"{rng.choice(FILL)} {rng.choice((BAD, GOOD)[label])} and {rng.choice(FILL)} number {i}"
            for i, label in enumerate(labels)
        ]
        shots = (
            Shot("a fine film", "good", ("fine film",), "It is praised."),
            Shot("a dull film", "bad", ("dull film",), "It bores."),
        )
        description = TaskDescription("verdict", ("bad", "good"), text_heading="Review", shots=shots)
        return LabeledTexts("described", tuple(texts), labels, description)


@hookimpl
def ecgbench_datasets() -> list[DatasetSpec]:
    """Return the dataset."""
    return [DatasetSpec("described", f"{__name__}:Described", "sentences with worked examples")]
