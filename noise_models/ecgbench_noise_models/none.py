"""No noise of ours: the labels as the dataset gives them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ecgbench.data import Corruption, LabeledTexts
from ecgbench.specs import NoiseModel


@dataclass(frozen=True)
class NoNoise(NoiseModel):
    """Change nothing; what is wrong in the given labels was wrong before."""

    uses_rate: ClassVar[bool] = False

    def corrupt(self, data: LabeledTexts, rate: float, rng: np.random.Generator) -> Corruption:  # noqa: ARG002
        """Return the texts and the given labels; the rate is not used."""
        return Corruption(texts=data.texts, labels=data.given_labels)
