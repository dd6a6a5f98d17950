"""From a detector's answer to numbers: validate the suspicions, measure them, digest them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecgbench.data import BoolArray, FloatArray, freeze
from ecgbench.errors import INTERRUPTS, InvalidScoresError, NotApplicableError
from ecgbench.grid.random_states import watch_random_states
from ecgbench.grid.statuses import describe_failure
from ecgbench.plugins import Plugins
from ecgbench.results import MetricValue


@dataclass
class Evaluation:
    """The metrics of one ranking; a metric that is not defined is None with a reason."""

    metrics: dict[str, MetricValue] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)


def validate_scores(scores: Any, n: int) -> FloatArray:
    """Return the suspicions as float64, shape (n,); raises InvalidScoresError, repairs nothing."""
    try:
        array = np.asarray(scores)
    except Exception as error:  # rows of unlike length, a tensor on a device, ...
        raise InvalidScoresError(f"the scores are no array: {' '.join(str(error).split())[:200]}") from error
    if array.shape != (n,):
        raise InvalidScoresError(f"the scores have shape {array.shape}, expected ({n},): one suspicion an item")
    if array.dtype.kind not in "fiu":
        raise InvalidScoresError(f"the scores are of type {array.dtype}, expected float64")
    array = array.astype(np.float64)
    bad = np.flatnonzero(~np.isfinite(array))
    if len(bad):
        raise InvalidScoresError(f"{len(bad)} of {n} scores are not finite (first: {array[bad[0]]} at item {bad[0]})")
    array.flags.writeable = False
    return array


def evaluate(is_noisy: BoolArray, scores: FloatArray, plugins: Plugins) -> Evaluation:
    """Apply every registered metric; one that raises is reported and harms no other."""
    result = Evaluation()
    for entry in plugins.metrics:
        name = entry.spec.name
        try:
            with watch_random_states(f"metric {name}"):
                answer = entry.build({}).compute(_read_only_copy(is_noisy), _read_only_copy(scores))
                result.metrics[name] = _plain(answer)
        except NotApplicableError as error:
            result.metrics[name], result.reasons[name] = None, str(error)
        except INTERRUPTS:
            raise
        except BaseException as error:
            failure = describe_failure(error, what=f"metric {name}")
            result.metrics[name], result.reasons[name] = None, failure.reason
    return result


def digest_array(array: FloatArray) -> str:
    """Return the digest of the little-endian float64 values."""
    return hashlib.blake2b(array.astype("<f8").tobytes(), digest_size=20).hexdigest()


def digest_ranking(scores: FloatArray) -> str:
    """Return the digest of the tie-averaged ranks: equal for scores that order the items alike."""
    from scipy.stats import rankdata

    return digest_array(rankdata(scores, method="average"))


def _read_only_copy(array: NDArray[Any]) -> NDArray[Any]:
    """Return what a metric can spoil for nobody, should it override the flag."""
    return freeze(array.copy())


def _plain(value: float | Mapping[str, float]) -> MetricValue:
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    return _finite(value)


def _finite(value: float) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"returned {number}")
    return number
