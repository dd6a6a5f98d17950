"""Uniform noise: any label may turn into any other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ecgbench.data import Corruption, LabeledTexts
from ecgbench.specs import NoiseModel
from ecgbench_noise_models._draws import flip_uniformly


@dataclass(frozen=True)
class UniformNoise(NoiseModel):
    """Give exactly round(rate * n) items, drawn without replacement, a uniformly drawn other class."""

    def corrupt(self, data: LabeledTexts, rate: float, rng: np.random.Generator) -> Corruption:
        """Return the texts unchanged and n labels; DataError for a single class."""
        items, classes = rng.spawn(2)
        _, labels = flip_uniformly(data, rate, items=items, classes=classes)
        return Corruption(texts=data.texts, labels=labels)
