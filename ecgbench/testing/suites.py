"""Which checks each kind has, and how a subject fares in them."""

from __future__ import annotations

from collections.abc import Iterator

from ecgbench.testing import datasets, detectors, metrics, noise_models
from ecgbench.testing.base import Check, Ending, Kind, Result, Subject, expected_failures, make_check
from ecgbench.testing.common import COMMON

CHECKS: dict[Kind, tuple[Check, ...]] = {
    Kind.DETECTOR: (*COMMON, *detectors.CHECKS),
    Kind.NOISE_MODEL: (*COMMON, *noise_models.CHECKS),
    Kind.METRIC: (*COMMON, *metrics.CHECKS),
    Kind.DATASET: (*COMMON, *datasets.CHECKS),
}


def iter_results(subject: Subject) -> Iterator[Result]:
    """Make every check of a subject's kind, one after the other; raises UsageError for wrong expected_failures."""
    checks = CHECKS[subject.kind]
    expected = read_expected(subject)
    for check in checks:
        yield make_check(check, subject, expected)


def read_expected(subject: Subject) -> dict[str, str]:
    """Return the reasons of the expected failures by check; raises UsageError where they are wrong."""
    return dict(expected_failures(subject, tuple(check.name for check in CHECKS[subject.kind])))


__all__ = ["CHECKS", "Check", "Ending", "Kind", "Result", "Subject", "iter_results", "read_expected"]
