"""A plugin whose name for a detector is none that one could type."""

from ecgbench.hookspecs import hookimpl
from ecgbench.specs import DetectorSpec


@hookimpl
def ecgbench_detectors():
    return [DetectorSpec("a [b],\x1b[31m", "wrong_name:Detector", "has no name")]
