"""A detector that ends its program, in ways that Python can catch and in ways that it cannot."""

import ctypes
import os
import sys
from dataclasses import dataclass

from ecgbench.hookspecs import hookimpl
from ecgbench.specs import Detector, DetectorSpec


@dataclass(frozen=True)
class Ending(Detector):
    how: str = "sys_exit"

    def score(self, task, artifacts, rng):
        if self.how == "sys_exit":
            sys.exit(3)
        if self.how == "os_exit":
            os._exit(3)
        ctypes.string_at(0)


@hookimpl
def ecgbench_detectors():
    return [DetectorSpec("ending", "ending:Ending", "ends the program")]
