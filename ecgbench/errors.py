"""Every error ecgbench raises on purpose: one line for people, one root for programs."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

INTERRUPTS = (KeyboardInterrupt, GeneratorExit)
"""What ends a run, whoever's code it comes through; anything else that a plugin's code raises is its own failure.

Even what is no Exception: sys.exit, or the panic of an extension written in Rust.
"""


class EcgbenchError(Exception):
    """Root of all errors raised on purpose; the message is one line: what, value, choices, fix."""

    exit_code = 1


def one_line(error: BaseException) -> str:
    """Return an error's own words on one line; an error of a plugin may not be able to say them."""
    try:
        return " ".join(str(error).split())
    except INTERRUPTS:
        raise
    except BaseException:
        return "(its message cannot be read)"


class UsageError(EcgbenchError):
    """Report a wrong option, name, parameter or suite file."""

    exit_code = 2


class UnknownNameError(UsageError):
    """Report a name that no plugin registered, with the nearest ones that are."""

    def __init__(self, kind: str, name: str, choices: Iterable[str]) -> None:
        known = sorted(choices)
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f"Did you mean: {near[0]}?" if near else f"Choose from: {', '.join(known)}."
        super().__init__(f"unknown {kind} {name!r}. {hint}")


class DataError(UsageError):
    """Report a dataset that cannot be read or used as asked."""


class PluginConflictError(UsageError):
    """Report two plugins that claim one name."""


class MissingPackageError(EcgbenchError):
    """Report an optional package that is not installed; the cell that needs it is skipped."""

    def __init__(self, package: str, *, needed_for: str, install: str) -> None:
        super().__init__(f"{needed_for} needs {package}, which is not installed: {install}")
        self.package, self.install = package, install


class NotApplicableError(EcgbenchError):
    """Report that a detector or artifact cannot work on this task; its cell is skipped."""


class UndeclaredArtifactError(EcgbenchError):
    """Report an artifact that was read but not declared in needs() or inputs()."""


class InvalidScoresError(EcgbenchError):
    """Report suspicions that break the contract: shape (n,), float, finite."""


class InvalidDatasetError(EcgbenchError):
    """Report what a dataset loaded that breaks the contract."""


class InvalidCorruptionError(EcgbenchError):
    """Report a noise model's output that breaks the contract."""


class StoreError(EcgbenchError):
    """Report a cache that cannot be read or written."""


class UnstorableError(StoreError):
    """Report a value that no cache could keep: the fault of what computed it."""
