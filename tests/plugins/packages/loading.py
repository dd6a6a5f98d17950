"""A dataset that breaks, leaves, or holds what none may."""

import sys
from dataclasses import dataclass

import numpy as np

from ecgbench.data import LabeledTexts, TaskDescription
from ecgbench.hookspecs import hookimpl
from ecgbench.specs import Dataset, DatasetSpec


@dataclass(frozen=True)
class Loading(Dataset):
    how: str = "raise"

    def load(self, context):
        if self.how == "leave":
            sys.exit(0)
        if self.how == "nothing":
            return None
        if self.how == "range":
            return LabeledTexts("loading", ("a", "b", "c"), np.arange(3), TaskDescription("text", ("x", "y")))
        raise RuntimeError("the loader broke")


@hookimpl
def ecgbench_datasets():
    return [DatasetSpec("loading", "loading:Loading", "does not load")]
