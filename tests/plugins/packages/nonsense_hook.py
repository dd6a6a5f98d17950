"""A plugin whose hook returns names, not specs."""

from ecgbench.hookspecs import hookimpl


@hookimpl
def ecgbench_detectors():
    return ["nonsense"]
