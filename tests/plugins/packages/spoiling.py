"""Metrics that write into what all metrics are given, the second one against the flag that forbids it."""

from dataclasses import dataclass

from ecgbench.hookspecs import hookimpl
from ecgbench.specs import Metric, MetricSpec


@dataclass(frozen=True)
class Spoiling(Metric):
    def compute(self, is_noisy, scores):
        is_noisy &= scores > scores.mean()
        return float(is_noisy.mean())


@dataclass(frozen=True)
class Overriding(Metric):
    def compute(self, is_noisy, scores):
        for array in (is_noisy, scores):
            array.flags.writeable = True
            array[:] = 0
        return 0.0


@hookimpl
def ecgbench_metrics():
    return [
        MetricSpec("spoiling", "spoiling:Spoiling", "writes into the truth"),
        MetricSpec("overriding", "spoiling:Overriding", "writes into truth and scores, whatever their flags say"),
    ]
