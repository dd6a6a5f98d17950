"""A detector that takes numpy and the standard library apart, and changes what it was given past every guard."""

import sys
from dataclasses import dataclass

import numpy as np

from ecgbench.hookspecs import hookimpl
from ecgbench.specs import Detector, DetectorSpec


@dataclass(frozen=True)
class Patching(Detector):
    def score(self, task, artifacts, rng):
        scores = np.arange(len(task)) % 11.0
        task.labels.flags.writeable = True
        task.labels[:] = 0
        object.__setattr__(task, "texts", ("",) * len(task))
        Detector.findings = lambda *_: ("said by another",)
        for name in ("mean", "log", "array_equal", "flatnonzero"):
            setattr(np, name, lambda *_, **__: 0.0)
        sys.modules["json"] = None
        return scores


@hookimpl
def ecgbench_detectors():
    return [DetectorSpec("patching", "patching:Patching", "takes numpy apart")]
