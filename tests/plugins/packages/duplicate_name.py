"""A plugin that claims the name of a detector that is there."""

from ecgbench.hookspecs import hookimpl
from ecgbench.specs import DetectorSpec


@hookimpl
def ecgbench_detectors():
    return [DetectorSpec("loss", "duplicate_name:Loss", "another loss")]
