"""Small data, and noise models applied to it."""

import numpy as np

from ecgbench.data import LabeledTexts, TaskDescription
from ecgbench.grid.cells import Condition
from ecgbench.grid.cells import corrupt as corrupt_by_harness
from ecgbench.grid.selection import Selection


def build_data(n=100, n_classes=2):
    labels = np.random.default_rng(0).integers(0, n_classes, n)
    names = ("negative", "positive") if n_classes == 2 else tuple(f"class {c}" for c in range(n_classes))
    return LabeledTexts(
        name="toy",
        texts=tuple(f"text number {i}" for i in range(n)),
        labels=labels,
        description=TaskDescription(noun="topic", label_names=names),
    )


def corrupt(model, data, rate=0.1, seed=0):
    return model.corrupt(data, rate, np.random.default_rng(np.random.SeedSequence(seed)))


def changed(data, corruption):
    return set(np.flatnonzero(corruption.labels != data.labels).tolist())


def harness_corrupt(model, data, rate=0.1, seed=0):
    """Return the task that the harness makes of it: checked, and with the truth beside it."""
    selection = Selection(type(model).__name__)
    return corrupt_by_harness(Condition(Selection(data.name), len(data), selection, rate, seed), data, model)
