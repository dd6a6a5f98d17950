"""Which cells are due: the one rule of a run and of its plan."""

from __future__ import annotations

from enum import StrEnum
from typing import NoReturn

from ecgbench.errors import UnknownNameError
from ecgbench.results import CellRecord, Status


class Rerun(StrEnum):
    """Which cells to compute: those without a record, also those not ok, or all."""

    MISSING = "missing"
    FAILED = "failed"
    ALL = "all"

    @classmethod
    def _missing_(cls, value: object) -> NoReturn:
        raise UnknownNameError("rerun choice", str(value), list(cls))


def is_due(record: CellRecord | None, rerun: Rerun) -> bool:
    """Tell whether a cell with this record, or none, is to be computed."""
    if record is None or rerun is Rerun.ALL:
        return True
    return rerun is Rerun.FAILED and record.status is not Status.OK
