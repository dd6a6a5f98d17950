"""A detector that raises, in words that a board, a terminal and JSON must not obey."""

from dataclasses import dataclass

from ecgbench.hookspecs import hookimpl
from ecgbench.specs import Detector, DetectorSpec


class MuteError(Exception):
    def __str__(self):
        raise RuntimeError("even its words raise")


@dataclass(frozen=True)
class Raising(Detector):
    mute: bool = False

    def score(self, task, artifacts, rng):
        if self.mute:
            raise MuteError
        raise RuntimeError("<script>alert(1)</script>\n| [a](javascript:b) `c` \x1b[31m [red]d")


@hookimpl
def ecgbench_detectors():
    return [DetectorSpec("raising", "raising:Raising", "raises")]
