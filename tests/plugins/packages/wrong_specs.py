"""A plugin whose spec is one by its type alone."""

from ecgbench.hookspecs import hookimpl
from ecgbench.specs import DetectorSpec


@hookimpl
def ecgbench_detectors():
    return [DetectorSpec(5, None, ["summary"])]
