"""A plugin that implements a hook which there is not."""

from ecgbench.hookspecs import hookimpl


@hookimpl
def ecgbench_detektors():
    return []
