"""The conformance kit: what must hold of every detector, noise model, metric and dataset, as checks without a model."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ecgbench.testing.base import Check, CheckFailedError, Ending, Kind, find_subject
from ecgbench.testing.suites import CHECKS, iter_results, read_expected

__all__ = [
    "Check",
    "CheckFailedError",
    "check_dataset",
    "check_detector",
    "check_metric",
    "check_noise_model",
    "parametrize_with_checks",
]


def check_detector(subject: Any) -> None:
    """Make all checks of a detector; raises CheckFailedError, in one line, at the first that fails."""
    _check_all(subject, Kind.DETECTOR)


def check_noise_model(subject: Any) -> None:
    """Make all checks of a noise model; raises CheckFailedError, in one line, at the first that fails."""
    _check_all(subject, Kind.NOISE_MODEL)


def check_metric(subject: Any) -> None:
    """Make all checks of a metric; raises CheckFailedError, in one line, at the first that fails."""
    _check_all(subject, Kind.METRIC)


def check_dataset(subject: Any) -> None:
    """Make all checks of a dataset; raises CheckFailedError, in one line, at the first that fails."""
    _check_all(subject, Kind.DATASET)


def _check_all(instance: Any, kind: Kind) -> None:
    subject = find_subject(instance, kind)
    for result in iter_results(subject):
        if result.ending is Ending.FAILED:
            raise CheckFailedError(f"{subject}: {result.check.name}: {result.reason}")


def parametrize_with_checks(subjects: Iterable[Any]) -> Callable[[Any], Any]:
    """Give a pytest function `subject, check` one test a check of each subject; its body is `check(subject)`.

    An expected failure is a strict xfail with its reason: where it passes, the test fails.
    """
    import pytest

    parameters = []
    for instance in subjects:
        subject = find_subject(instance)
        expected = read_expected(subject)
        for check in CHECKS[subject.kind]:
            marks = []
            if reason := check.skip(subject):
                marks.append(pytest.mark.skip(reason=reason))
            elif check.name in expected:
                marks.append(pytest.mark.xfail(reason=expected[check.name], strict=True, raises=CheckFailedError))
            parameters.append(pytest.param(instance, check, marks=marks, id=f"{subject}-{check.name}"))
    return pytest.mark.parametrize(("subject", "check"), parameters)
