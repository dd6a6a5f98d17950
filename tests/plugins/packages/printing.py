"""A plugin that prints wherever its code runs: as it is imported, in its hook, in its detector, past Python too."""

import os
import subprocess
import sys
from dataclasses import dataclass

import numpy as np

from ecgbench.hookspecs import hookimpl
from ecgbench.specs import Detector, DetectorSpec

print("printed at import")


@dataclass(frozen=True)
class Printing(Detector):
    def needs(self):
        print("printed by needs")
        return ()

    def score(self, task, artifacts, rng):
        print("printed by score")
        sys.__stdout__.write("printed by score, around what stands for stdout\n")
        os.write(1, b"printed by score, on the descriptor\n")
        subprocess.run([sys.executable, "-c", "print('printed by a program of score')"], check=True)
        return np.arange(len(task)) % 7.0


@hookimpl
def ecgbench_detectors():
    print("printed by the hook")
    return [DetectorSpec("printing", "printing:Printing", "prints")]
