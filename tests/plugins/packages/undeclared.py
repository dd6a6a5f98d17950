"""A detector that reads an artifact which it did not declare."""

from dataclasses import dataclass

from ecgbench.artifacts.embeddings import TextEmbeddings
from ecgbench.hookspecs import hookimpl
from ecgbench.specs import Detector, DetectorSpec


@dataclass(frozen=True)
class Undeclared(Detector):
    def score(self, task, artifacts, rng):
        return artifacts[TextEmbeddings()][:, 0]


@hookimpl
def ecgbench_detectors():
    return [DetectorSpec("undeclared", "undeclared:Undeclared", "reads what it did not declare")]
