"""A detector that writes into what it was given to read."""

from dataclasses import dataclass

from ecgbench.hookspecs import hookimpl
from ecgbench.specs import Detector, DetectorSpec


@dataclass(frozen=True)
class Mutating(Detector):
    def score(self, task, artifacts, rng):
        task.labels[:] = 0
        return rng.random(len(task))


@hookimpl
def ecgbench_detectors():
    return [DetectorSpec("mutating", "mutating:Mutating", "writes into the labels")]
