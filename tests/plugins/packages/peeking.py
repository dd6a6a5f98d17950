"""A detector that looks for the truth wherever it can: in all objects, all frames, the files of the run.

It knows the toy data's true labels, so it knows what to look for: that tells a test whether it was to be found.
"""

import gc
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ecgbench.hookspecs import hookimpl
from ecgbench.specs import Detector, DetectorSpec


def iter_frames():
    for frame in sys._current_frames().values():
        while frame is not None:
            yield frame
            frame = frame.f_back


def iter_candidates():
    """Yield (place, value) for all that may hold a label or a mask for each item."""
    for frame in iter_frames():
        yield from (("frames", value) for value in frame.f_locals.values())
    for value in gc.get_objects():
        yield "objects", value
        if isinstance(value, dict):
            yield from (("objects", inner) for inner in list(value.values()))
        elif isinstance(value, (list, tuple)) and len(value) < 100:
            yield from (("objects", inner) for inner in value)
        for name in ("true_labels", "is_noisy", "labels", "given_labels"):
            try:
                yield "objects", vars(value)[name]
            except Exception:  # what holds no such thing refuses in many ways
                continue
    for path in Path(os.environ["ECGBENCH_PEEKED_FOLDER"]).rglob("*"):
        if path.suffix == ".npy":
            yield "files", np.load(path)


def matches(value, wanted, n):
    if isinstance(value, np.ndarray):
        return value.shape == (n,) and value.dtype.kind in "biuf" and any((value == one).all() for one in wanted)
    return isinstance(value, (list, tuple)) and len(value) == n and any(list(value) == one.tolist() for one in wanted)


def find_truth(labels):
    """Return where the true labels of the toy data lie, or what says which of the given ones are wrong."""
    truth = np.arange(len(labels)) % 2
    mask = labels != truth
    wanted, own = (truth, mask), {id(truth), id(mask)}
    return sorted({place for place, v in iter_candidates() if id(v) not in own and matches(v, wanted, len(labels))})


@dataclass(frozen=True)
class Peeking(Detector):
    def score(self, task, artifacts, rng):
        assert (task.labels != np.arange(len(task)) % 2).any()
        return np.array([len(text) % 5 for text in task.texts], dtype=float) + rng.random(len(task))

    def findings(self, task, artifacts):
        told = [f"told in {place}" for place, words in (("argv", sys.argv),) if "uniform" in " ".join(words)]
        return [*(f"found in {place}" for place in find_truth(task.labels)), *told]


@hookimpl
def ecgbench_detectors():
    return [DetectorSpec("peeking", "peeking:Peeking", "looks for the truth")]
