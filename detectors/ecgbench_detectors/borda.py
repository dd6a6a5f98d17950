"""Borda count: the mean rank that several detectors give an item."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np

from ecgbench import __version__
from ecgbench.artifacts.base import Artifact, Artifacts
from ecgbench.data import DetectionTask, FloatArray
from ecgbench.errors import UsageError
from ecgbench.grid.selection import parse_selection
from ecgbench.registry import Registered, Registry
from ecgbench.specs import Detector
from ecgbench_detectors.plugin import ecgbench_detectors


@dataclass(frozen=True)
class Borda(Detector):
    """Score the mean of the members' tie-averaged ranks (Borda; for wrong labels Larson et al., COLING 2020).

    Members are built-in detectors, written as on the command line: `borda[members=[loss,input_knn[k=30]]]`. Each
    draws as it would alone, so these are the ranks of its own row of a board. One that is not applicable to a task
    leaves no mean: then `borda` is not either.

    The default needs no language model and asks one detector of each kind of evidence: a classifier out of fold
    (`loss`), one while it trains on the labels (`aum`), and a frozen encoder (`input_knn`). `margin` and `cleanlab`
    would be `loss` again, and count it twice.
    """

    members: tuple[str, ...] = ("loss", "aum", "input_knn")

    def __post_init__(self) -> None:
        if not self.members:
            raise UsageError("borda.members is empty; name at least one detector")
        self._build_members()  # an unknown one is refused as any wrong parameter is

    def needs(self) -> tuple[Artifact[Any], ...]:
        """Declare what any of the members needs."""
        return tuple(dict.fromkeys(need for detector in self._build_members() for need in detector.needs()))

    def score(self, task: DetectionTask, artifacts: Artifacts, rng: np.random.Generator) -> FloatArray:
        """Return float64, shape (n,), in [0, 1], higher = the members rank it higher; 0.5 where all items tie."""
        from scipy.stats import rankdata

        members = self._build_members()
        ranks = np.sum([rankdata(d.score(task, artifacts, copy.deepcopy(rng))) - 1.0 for d in members], axis=0)
        return np.asarray(ranks / (len(members) * max(len(task) - 1, 1)))

    def _build_members(self) -> list[Detector]:
        """Build the detectors that the members name; raises UsageError."""
        specs = [Registered(spec, "ecgbench_detectors", "ecgbench", __version__) for spec in ecgbench_detectors()]
        built_in = Registry("member of borda", specs)
        chosen = [parse_selection(text) for text in self.members]
        return [built_in[one.name].build(one.params) for one in chosen]
