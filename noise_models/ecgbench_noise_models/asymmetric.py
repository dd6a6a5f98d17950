"""Asymmetric noise: every class is mistaken for one other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ecgbench.data import Corruption, LabeledTexts
from ecgbench.specs import NoiseModel
from ecgbench_noise_models._draws import draw_items


@dataclass(frozen=True)
class AsymmetricNoise(NoiseModel):
    """Give exactly round(rate * n) items, drawn without replacement, the next class: z becomes (z + 1) mod C.

    The items are those of `uniform` under the same seed; of two classes the labels are, too.
    """

    def corrupt(self, data: LabeledTexts, rate: float, rng: np.random.Generator) -> Corruption:
        """Return the texts unchanged and n labels; DataError for a single class."""
        (items,) = rng.spawn(1)
        flipped = draw_items(data, rate, items)
        labels = data.labels.copy()
        labels[flipped] = (labels[flipped] + 1) % data.description.n_classes
        return Corruption(texts=data.texts, labels=labels)
