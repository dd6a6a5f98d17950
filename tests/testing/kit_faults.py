"""A noise model, a metric and a dataset that are wrong in the point that they are told."""

from __future__ import annotations

import dataclasses
import itertools
import os
import random
from dataclasses import dataclass
from typing import Any

import numpy as np

from ecgbench.data import BoolArray, Corruption, FloatArray, LabeledTexts, TaskDescription
from ecgbench.errors import NotApplicableError
from ecgbench.metrics.curves import Auroc
from ecgbench.specs import Dataset, DatasetContext
from ecgbench_noise_models.uniform import UniformNoise

CALLS = itertools.count()


@dataclass(frozen=True)
class Flipping(UniformNoise):
    """What is wrong with a noise model, by name."""

    fault: str = "none"

    def corrupt(self, data: LabeledTexts, rate: float, rng: np.random.Generator) -> Corruption:
        if self.fault == "two" and data.description.n_classes > 2:
            raise NotApplicableError("it is made for two classes")
        if self.fault == "three" and data.description.n_classes < 3:
            raise NotApplicableError("it is made for three classes and more")
        if self.fault == "raters" and data.annotations is None:
            raise NotApplicableError("no rater is known")
        if self.fault == "never":
            raise NotApplicableError("it fits nothing")
        if self.fault == "one more" and rate:
            rate += 1 / len(data)
        if self.fault == "unseeded":
            rng = np.random.default_rng()
        if self.fault == "one seed":
            rng = np.random.default_rng(0)
        if self.fault == "global":
            random.random()
        found = super().corrupt(data, rate, rng)
        if self.fault == "range" and data.description.n_classes == 3:
            return dataclasses.replace(found, labels=found.labels + 1)
        if self.fault == "texts":
            return dataclasses.replace(found, texts=tuple(text.upper() for text in data.texts))
        if self.fault == "marked":
            is_wrong = found.labels != data.labels
            texts = tuple(f"{text} WRONG" if wrong else text for text, wrong in zip(data.texts, is_wrong, strict=True))
            return dataclasses.replace(found, texts=texts)
        if self.fault == "writing":
            data.given_labels.flags.writeable = True
            data.given_labels[:] = 0
        return found


@dataclass(frozen=True)
class Measuring(Auroc):
    """What is wrong with a metric, by name."""

    fault: str = "none"

    def compute(self, is_noisy: BoolArray, scores: FloatArray) -> float:
        values = {
            "nan": lambda value: float("nan") if value == 0.5 else value,
            "middle": lambda value: -abs(value - 0.7),
            "far": lambda value: abs(value - 0.3),
            "constant": lambda _: 1.0,
            "drifting": lambda value: value + 1e-14 * next(CALLS),
        }
        if self.fault == "clean" and not is_noisy.any():
            return float("nan")
        if self.fault == "noisy" and is_noisy.all():
            return float(1 // np.count_nonzero(~is_noisy).item())
        if self.fault == "spread" and np.ptp(scores) == 0:
            raise NotApplicableError("the scores are constant")
        if self.fault == "never":
            raise NotApplicableError("it fits nothing")
        if self.fault == "first":
            return float(is_noisy[np.argsort(-scores, kind="stable")[:12]].mean()) if is_noisy.any() else self._refuse()
        if self.fault == "global":
            np.random.rand()
        value = values.get(self.fault, float)(super().compute(is_noisy, scores))
        if self.fault == "writing":
            is_noisy.flags.writeable = True
            is_noisy[:] = False
        return value

    def _refuse(self) -> float:
        raise NotApplicableError("no item has a wrong label")


@dataclass(frozen=True)
class Loading(Dataset):
    """What is wrong with a dataset, by name."""

    fault: str = "none"

    def load(self, context: DatasetContext) -> LabeledTexts:  # noqa: ARG002
        texts: tuple[Any, ...] = tuple(f"text {i}" for i in range(6))
        labels = np.arange(6) % 2
        if self.fault == "shuffled":
            texts = (*texts[:5], os.urandom(8).hex())
        if self.fault == "range":
            labels = labels + 1
        if self.fault == "type":
            texts = (*texts[:5], None)
        if self.fault == "global":
            random.seed(1)
        raters = {"raters": np.zeros((4, 2)), "ratings": np.full((6, 2), -3.5)}.get(self.fault)
        described = TaskDescription("" if self.fault == "noun" else "parity", ("even", "odd"))
        return LabeledTexts("loading", texts, labels, described, annotations=raters)
