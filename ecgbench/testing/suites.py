"""Which checks each kind has, and how a subject fares in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ecgbench.errors import UnknownNameError, UsageError
from ecgbench.testing import datasets, detectors, metrics, noise_models
from ecgbench.testing.base import Check, Kind, Result, Subject, make_check
from ecgbench.testing.common import COMMON

CHECKS: dict[Kind, tuple[Check, ...]] = {
    Kind.DETECTOR: (*COMMON, *detectors.CHECKS),
    Kind.NOISE_MODEL: (*COMMON, *noise_models.CHECKS),
    Kind.METRIC: (*COMMON, *metrics.CHECKS),
    Kind.DATASET: (*COMMON, *datasets.CHECKS),
}


def iter_results(subject: Subject) -> Iterator[Result]:
    """Make every check of a subject's kind, one after the other; raises UsageError for wrong expected_failures."""
    expected = read_expected(subject)
    for check in CHECKS[subject.kind]:
        yield make_check(check, subject, expected)


def read_expected(subject: Subject) -> Mapping[str, str]:
    """Return the reasons by check that a subject declares; raises UsageError where one names no check or no reason."""
    names = [check.name for check in CHECKS[subject.kind]]
    declared: Mapping[str, str] = subject.instance.expected_failures
    if not isinstance(declared, Mapping):
        raise UsageError(f"{subject}: expected_failures is {declared!r}; give a mapping of checks to reasons")
    for name, reason in declared.items():
        if name not in names:
            raise UnknownNameError(f"check in expected_failures of {subject}", name, names)
        if not isinstance(reason, str) or not reason.strip():
            raise UsageError(f"{subject}: expected_failures[{name!r}] has no reason; say why it cannot hold")
    return declared
