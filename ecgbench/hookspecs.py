"""The four hooks a plugin may implement; each takes no arguments and returns a list of specs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from ecgbench.specs import DatasetSpec, DetectorSpec, MetricSpec, NoiseModelSpec

PROJECT = "ecgbench"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def ecgbench_datasets() -> Sequence[DatasetSpec]:  # type: ignore[empty-body]
    """Return the datasets this plugin adds."""


@hookspec
def ecgbench_noise_models() -> Sequence[NoiseModelSpec]:  # type: ignore[empty-body]
    """Return the noise models this plugin adds."""


@hookspec
def ecgbench_detectors() -> Sequence[DetectorSpec]:  # type: ignore[empty-body]
    """Return the detectors this plugin adds."""


@hookspec
def ecgbench_metrics() -> Sequence[MetricSpec]:  # type: ignore[empty-body]
    """Return the metrics this plugin adds."""
