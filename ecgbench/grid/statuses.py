"""How work ended: the statuses of cells and how exceptions become them."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from ecgbench.errors import (
    EcgbenchError,
    InvalidCorruptionError,
    InvalidDatasetError,
    InvalidScoresError,
    MissingPackageError,
    NotApplicableError,
    one_line,
)
from ecgbench.results import Status

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Failure:
    """Why a piece of work gave no result, in a line a person understands."""

    status: Status
    reason: str


class StoppedEarlyError(EcgbenchError):
    """Report the first thing that went wrong where the run was told to stop there."""


class FailedInputError(EcgbenchError):
    """Carry the failure of an artifact, a dataset or a noise model to whoever reads it."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


def describe_failure(error: BaseException, *, what: str) -> Failure:
    """Return the status and reason of an exception; its traceback goes to the debug log."""
    logger.debug("%s failed", what, exc_info=error)
    if isinstance(error, FailedInputError):
        return error.failure
    if isinstance(error, (MissingPackageError, NotApplicableError)):
        return Failure(Status.SKIPPED, str(error))
    if isinstance(error, (InvalidScoresError, InvalidCorruptionError, InvalidDatasetError)):
        return Failure(Status.INVALID, str(error))
    text = one_line(error)[:300]
    kind = "" if isinstance(error, EcgbenchError) else f"{type(error).__name__}: "
    return Failure(Status.FAILED, f"{what}: {kind}{text}".rstrip(": "))
