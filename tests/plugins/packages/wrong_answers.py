"""A detector that answers, but not with one number an item."""

from dataclasses import dataclass

import numpy as np

from ecgbench.hookspecs import hookimpl
from ecgbench.specs import Detector, DetectorSpec


@dataclass(frozen=True)
class WrongAnswers(Detector):
    kind: str = "strings"

    def score(self, task, artifacts, rng):
        n = len(task)
        return {
            "strings": np.array(["high"] * n),
            "objects": np.array([object()] * n),
            "matrix": np.ones((n, 2)),
            "undefined": np.where(np.arange(n) == 3, np.nan, 1.0),
            "short": np.ones(n - 1),
            "nothing": None,
        }[self.kind]


@hookimpl
def ecgbench_detectors():
    return [DetectorSpec("wrong_answers", "wrong_answers:WrongAnswers", "answers wrongly")]
