"""A plugin whose hook raises."""

from ecgbench.hookspecs import hookimpl


@hookimpl
def ecgbench_detectors():
    raise RuntimeError("the hook broke")
