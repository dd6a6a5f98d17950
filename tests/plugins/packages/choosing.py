"""A detector with a parameter that fits in no record."""

from dataclasses import dataclass
from enum import Enum

from ecgbench.hookspecs import hookimpl
from ecgbench.specs import Detector, DetectorSpec


class Mode(Enum):
    A = "a"
    B = "b"


@dataclass(frozen=True)
class Choosing(Detector):
    mode: Mode = Mode.A

    def score(self, task, artifacts, rng):
        return rng.random(len(task))


@hookimpl
def ecgbench_detectors():
    return [DetectorSpec("choosing", "choosing:Choosing", "has modes")]
