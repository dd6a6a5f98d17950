"""Specs whose targets lie in a module that leaves as it is imported."""

from ecgbench.hookspecs import hookimpl
from ecgbench.specs import DatasetSpec, DetectorSpec, MetricSpec, NoiseModelSpec

TARGET = "leaving_at_import:Thing"


@hookimpl
def ecgbench_detectors():
    return [DetectorSpec("unimportable", TARGET, "is not there")]


@hookimpl
def ecgbench_noise_models():
    return [NoiseModelSpec("unimportable", TARGET, "is not there")]


@hookimpl
def ecgbench_datasets():
    return [DatasetSpec("unimportable", TARGET, "is not there")]


@hookimpl
def ecgbench_metrics():
    return [MetricSpec("unimportable", TARGET, "is not there")]
