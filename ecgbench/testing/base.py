"""What a check is, what it is made of, and how it ends."""

from __future__ import annotations

import dataclasses
import functools
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ecgbench.errors import EcgbenchError, UsageError, one_line
from ecgbench.grid.selection import Selection
from ecgbench.plugins import Plugins, load_plugins
from ecgbench.registry import Registered, Registry
from ecgbench.specs import Dataset, Detector, Metric, NoiseModel, Spec
from ecgbench.store.keys import plain

ANYTHING = "detector, noise model, metric or dataset"
LONGEST_REASON = 300


class Kind(StrEnum):
    """The kinds of things that plugins contribute."""

    DETECTOR = "detector"
    NOISE_MODEL = "noise model"
    METRIC = "metric"
    DATASET = "dataset"

    @property
    def interface(self) -> type[Any]:
        """Return the class that each of this kind implements."""
        return _INTERFACES[self]

    def registry(self, plugins: Plugins) -> Registry[Any]:
        """Return what plugins registered of this kind."""
        found: Registry[Any] = getattr(plugins, f"{self.replace(' ', '_')}s")
        return found


_INTERFACES = {
    Kind.DETECTOR: Detector,
    Kind.NOISE_MODEL: NoiseModel,
    Kind.METRIC: Metric,
    Kind.DATASET: Dataset,
}


class CheckFailedError(EcgbenchError):
    """Report a check that a subject fails: which check, what was seen, what must hold."""


@dataclass(frozen=True, eq=False)
class Subject:
    """What is checked, and the spec that leads to it; one that no plugin registered has a spec made up for it."""

    kind: Kind
    instance: Any
    entry: Registered[Any]
    is_registered: bool = True

    def __str__(self) -> str:
        try:
            params = plain(self.entry.changed(read_fields(self.instance)))
            return str(Selection(self.entry.spec.name, params))
        except KeyboardInterrupt:
            raise
        except BaseException:  # its parameters are what a check is about
            return str(self.entry.spec.name)

    @property
    def target(self) -> type[Any]:
        """Return the class."""
        return type(self.instance)


@dataclass(frozen=True)
class _Unregistered(Registered[Spec]):
    """A class that no plugin names."""

    kind: type[Any] = object

    def resolve(self) -> type[Any]:
        return self.kind


Seen = str | None
"""What was seen that must not be; None where the check holds."""


@dataclass(frozen=True)
class Check:
    """One thing that must hold of all of a kind; `summary` says it in a sentence.

    `see` returns what it saw that must not be, in a few words; `skip` why it cannot be made of a subject.
    """

    name: str
    summary: str
    see: Callable[[Subject], Seen]
    skip: Callable[[Subject], str | None] = lambda _: None

    def __call__(self, subject: Any) -> None:
        """Make the check of a detector, noise model, metric or dataset; raises CheckFailedError in one line."""
        found = subject if isinstance(subject, Subject) else find_subject(subject)
        cause: BaseException | None = None
        try:
            seen = self.see(found)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a plugin may even call sys.exit
            if isinstance(error, UsageError) and found.kind is Kind.DATASET:
                raise  # its parameters lead to no data: whoever chose them is to mend them
            seen, cause = describe_error(error, found), error
        if seen is not None:
            raise CheckFailedError(f"{self.name}: {seen}; it must hold that {self.summary}") from cause


def describe_error(error: BaseException, subject: Subject | None = None) -> str:
    """Say what was raised, and by which line of the subject's own file, where there is a subject yet."""
    kind = "" if isinstance(error, EcgbenchError) else f"{type(error).__name__}: "
    text = f"it raised {kind}{one_line(error)}"[:LONGEST_REASON].rstrip(": ")
    file = getattr(sys.modules.get(subject.target.__module__), "__file__", None) if subject else None
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f"{text} (line {lines[-1]})" if lines else text


def check(*, skip: Callable[[Subject], str | None] = lambda _: None) -> Callable[[Callable[[Subject], Seen]], Check]:
    """Make a check of a function: its name, and the first line of its docstring as the sentence that must hold."""

    def build(see: Callable[[Subject], Seen]) -> Check:
        sentence = (see.__doc__ or "").partition("\n")[0].rstrip(".")
        return Check(see.__name__, sentence[:1].lower() + sentence[1:], see, skip)

    return build


class Ending(StrEnum):
    """How a check ends."""

    OK = "ok"
    SKIPPED = "skipped"
    EXPECTED = "expected failure"
    FAILED = "FAILED"


@dataclass(frozen=True)
class Result:
    """How one check of a subject ended, and why where it is not ok."""

    check: Check
    ending: Ending
    reason: str = ""


def make_check(check: Check, subject: Subject, expected: Mapping[str, str]) -> Result:
    """Return how a check ends; an expected failure that passes is a failure, so that declarations stay true."""
    if reason := check.skip(subject):
        return Result(check, Ending.SKIPPED, reason)
    try:
        check(subject)
    except CheckFailedError as error:
        if check.name in expected:
            return Result(check, Ending.EXPECTED, expected[check.name])
        return Result(check, Ending.FAILED, str(error).removeprefix(f"{check.name}: "))
    if check.name in expected:
        return Result(check, Ending.FAILED, "it holds: take it out of expected_failures")
    return Result(check, Ending.OK)


def find_subject(instance: Any, wanted: Kind | None = None) -> Subject:
    """Return what is to be checked, with its spec where an installed plugin has one; raises UsageError."""
    kinds = [k for k in ([wanted] if wanted else Kind) if isinstance(instance, k.interface)]
    if not kinds:
        shown = f"the class {instance.__name__}" if isinstance(instance, type) else f"{type(instance).__name__} object"
        raise UsageError(f"{shown} is no {wanted or ANYTHING}; give an instance, such as MyDetector()")
    kind, cls = kinds[0], type(instance)
    name = f"{cls.__module__}:{cls.__qualname__}"
    entries = kind.registry(_installed_plugins(tuple(sys.path)))
    named = [entry for entry in entries if entry.spec.target == name]
    for entry in named or [entry for entry in entries if _leads_to(entry, cls)]:
        return Subject(kind, instance, entry)
    unregistered = _Unregistered(Spec(cls.__name__, name, ""), "", "", "", cls)
    return Subject(kind, instance, unregistered, is_registered=False)


def read_fields(instance: Any) -> dict[str, Any]:
    """Return the parameters of an instance; one that holds parameters as a dict."""
    fields = {f.name: getattr(instance, f.name) for f in dataclasses.fields(instance) if f.init}
    return {
        name: read_fields(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else value
        for name, value in fields.items()
    }


@functools.lru_cache(maxsize=4)
def _installed_plugins(path: tuple[str, ...]) -> Plugins:  # noqa: ARG001  # where they are looked for
    return load_plugins()


def _leads_to(entry: Registered[Any], cls: type[Any]) -> bool:
    """Say whether a spec's target is a class by another name; nothing is imported, for it may be a broken plugin's."""
    module, _, name = entry.spec.target.partition(":")
    return getattr(sys.modules.get(module), "__dict__", {}).get(name) is cls
