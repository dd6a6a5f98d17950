"""Parameters inside parameters: nested as TOML writes them, and flat as people name them: `weights.nli`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def flatten(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return each innermost value by its dotted name; an empty mapping is a value."""
    flat: dict[str, Any] = {}
    for name, value in params.items():
        if isinstance(value, Mapping) and value:
            flat |= {f"{name}.{inner}": item for inner, item in flatten(value).items()}
        else:
            flat[name] = value
    return flat


def nest(assignments: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return values by dotted names as nested parameters; of two values of one name the later counts."""
    nested: dict[str, Any] = {}
    for name, value in assignments:
        for part in reversed(name.split(".")):
            value = {part: value}
        nested = merge(nested, value)
    return nested


def merge(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return the old parameters with the new ones over them, inside nested ones too."""
    merged = dict(old)
    for name, value in new.items():
        before = merged.get(name)
        both = isinstance(before, Mapping) and isinstance(value, Mapping)
        merged[name] = merge(before, value) if both else value  # type: ignore[arg-type]
    return merged
