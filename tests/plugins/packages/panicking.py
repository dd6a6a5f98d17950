"""A detector, a noise model, a dataset and a metric that raise what is no Exception, as extensions in Rust do."""

from dataclasses import dataclass

from ecgbench.hookspecs import hookimpl
from ecgbench.specs import (
    Dataset,
    DatasetSpec,
    Detector,
    DetectorSpec,
    Metric,
    MetricSpec,
    NoiseModel,
    NoiseModelSpec,
)


class Panic(BaseException):
    pass


@dataclass(frozen=True)
class PanickingDetector(Detector):
    def needs(self):
        raise Panic("in needs")

    def score(self, task, artifacts, rng):
        return rng.random(len(task))


@dataclass(frozen=True)
class PanickingNoise(NoiseModel):
    def corrupt(self, data, rate, rng):
        raise Panic("in corrupt")


@dataclass(frozen=True)
class PanickingDataset(Dataset):
    def load(self, context):
        raise Panic("in load")


@dataclass(frozen=True)
class PanickingMetric(Metric):
    def compute(self, is_noisy, scores):
        raise Panic("in compute")


@hookimpl
def ecgbench_detectors():
    return [DetectorSpec("panicking", "panicking:PanickingDetector", "panics")]


@hookimpl
def ecgbench_noise_models():
    return [NoiseModelSpec("panicking", "panicking:PanickingNoise", "panics")]


@hookimpl
def ecgbench_datasets():
    return [DatasetSpec("panicking", "panicking:PanickingDataset", "panics")]


@hookimpl
def ecgbench_metrics():
    return [MetricSpec("panicking", "panicking:PanickingMetric", "panics")]
