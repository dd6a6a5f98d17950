"""A detector that takes memory: over any limit of a test, far below what a machine has."""

import time
from dataclasses import dataclass

import numpy as np

from ecgbench.hookspecs import hookimpl
from ecgbench.specs import Detector, DetectorSpec


@dataclass(frozen=True)
class Hogging(Detector):
    def score(self, task, artifacts, rng):
        kept = [np.ones(2**20 // 8) for _ in range(600)]  # MiB
        time.sleep(120)
        return kept


@hookimpl
def ecgbench_detectors():
    return [DetectorSpec("hogging", "hogging:Hogging", "takes memory")]
