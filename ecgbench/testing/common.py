"""Checks of everything that plugins contribute."""

from __future__ import annotations

import dataclasses
import json
import pickle
from typing import Any

from ecgbench.errors import EcgbenchError
from ecgbench.registry import import_target
from ecgbench.store.keys import digest, plain
from ecgbench.testing.base import Seen, Subject, check, read_fields
from ecgbench.testing.imports import heavy_imports, module_of, plugin_module, undeclared_imports


def _unless_registered(subject: Subject) -> str | None:
    return None if subject.is_registered else "no installed plugin registers it"


@check(skip=_unless_registered)
def target_importable(subject: Subject) -> Seen:
    """The spec's target imports and is a dataclass that implements the interface of its kind."""
    target = subject.entry.spec.target
    try:
        found: Any = import_target(target)
    except EcgbenchError as error:
        return str(error)
    if not (isinstance(found, type) and issubclass(found, subject.kind.interface)):
        return f"{target} is no class derived from {subject.kind.interface.__name__}"
    return None if dataclasses.is_dataclass(found) else f"{target} is no dataclass"


@check(skip=_unless_registered)
def requires_declared(subject: Subject) -> Seen:
    """What its module imports is installed with ecgbench or with the plugin, or stands in the spec's `requires`."""
    missing = undeclared_imports(subject.target, subject.entry)
    return f"{subject.target.__module__} imports {', '.join(missing)}" if missing else None


@check()
def light_import(subject: Subject) -> Seen:
    """Importing the plugin's module and the class's loads no heavy library: such imports stand in functions."""
    modules = {module_of(subject.target), plugin_module(subject.entry) if subject.is_registered else ("", "")}
    for name, path in sorted(modules - {("", "")}):
        if loaded := heavy_imports(name, path):
            return f"importing {name} loads {', '.join(loaded)}"
    return None


@check()
def parameters_round_trip(subject: Subject) -> Seen:
    """It is a frozen dataclass, hashable, with a default for each field; built from its fields as JSON it is equal."""
    instance = subject.instance
    if not (dataclasses.is_dataclass(instance) and getattr(instance, "__dataclass_params__").frozen):  # noqa: B009
        return f"{subject.target.__name__} is no frozen dataclass"
    missing = dataclasses.MISSING
    fields = [f for f in dataclasses.fields(instance) if f.init]
    if bare := [f.name for f in fields if f.default is missing and f.default_factory is missing]:
        return f"{', '.join(bare)} has no default"
    recorded = read_fields(instance)
    digest("check/1", recorded)
    built = subject.entry.build(json.loads(json.dumps(plain(recorded))))
    if built != instance or hash(built) != hash(instance):
        return f"{instance!r} became {built!r}"
    return None


@check()
def picklable(subject: Subject) -> Seen:
    """It, and what it needs, goes to a worker process and comes back equal."""
    declared = (subject.instance, *getattr(subject.instance, "needs", tuple)())
    for value in declared:
        if pickle.loads(pickle.dumps(value)) != value:
            return f"{value!r} came back as another"
    return None


COMMON = (target_importable, requires_declared, light_import, parameters_round_trip, picklable)
