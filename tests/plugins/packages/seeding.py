"""A detector that seeds and draws from the global random states."""

import random
from dataclasses import dataclass

import numpy as np

from ecgbench.hookspecs import hookimpl
from ecgbench.specs import Detector, DetectorSpec


@dataclass(frozen=True)
class Seeding(Detector):
    def score(self, task, artifacts, rng):
        random.seed(0)
        np.random.seed(0)
        return np.random.random(len(task))


@hookimpl
def ecgbench_detectors():
    return [DetectorSpec("seeding", "seeding:Seeding", "seeds for everyone")]
