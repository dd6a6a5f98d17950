"""A detector that never ends."""

from dataclasses import dataclass

from ecgbench.hookspecs import hookimpl
from ecgbench.specs import Detector, DetectorSpec


@dataclass(frozen=True)
class Looping(Detector):
    def score(self, task, artifacts, rng):
        while True:
            pass


@hookimpl
def ecgbench_detectors():
    return [DetectorSpec("looping", "looping:Looping", "never ends")]
