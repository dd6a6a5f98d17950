"""A noise model that blames the data, leaves, or returns nonsense."""

import sys
from dataclasses import dataclass

from ecgbench.data import Corruption
from ecgbench.errors import DataError
from ecgbench.hookspecs import hookimpl
from ecgbench.specs import NoiseModel, NoiseModelSpec


@dataclass(frozen=True)
class Noising(NoiseModel):
    how: str = "blame"

    def corrupt(self, data, rate, rng):
        if self.how == "leave":
            sys.exit(0)
        if self.how == "range":
            return Corruption(data.texts, data.labels + 5)
        raise DataError("this data is too clean")


@hookimpl
def ecgbench_noise_models():
    return [NoiseModelSpec("noising", "noising:Noising", "gives no noise")]
