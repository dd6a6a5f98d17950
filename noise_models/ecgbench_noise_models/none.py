"""No noise of ours: the labels as the dataset gives them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ecgbench.data import Corruption, LabeledTexts
from ecgbench.specs import NoiseModel


@dataclass(frozen=True)
class NoNoise(NoiseModel):
    """Change nothing; what is wrong in the given labels was wrong before."""

    uses_rate: ClassVar[bool] = False
    expected_failures: ClassVar[Mapping[str, str]] = {
        "another_seed_differs": "it draws nothing: the labels are the data's"
    }

    def corrupt(self, data: LabeledTexts, rate: float, rng: np.random.Generator) -> Corruption:  # noqa: ARG002
        """Return the texts and the given labels; the rate is not used."""
        return Corruption(texts=data.texts, labels=data.given_labels)
