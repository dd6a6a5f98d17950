"""Change single settings of a profile: `--set profile.llm.model=...`, `[settings]` in a suite."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ecgbench.errors import UnknownNameError, UsageError
from ecgbench.params import flatten
from ecgbench.profiles import Profile, get_profile

_FIXED = ("name", "summary", "extra")


def find_profile(name: str, settings: Mapping[str, Any] | None = None) -> Profile:
    """Return the profile of that name with some settings changed, nested as its fields are.

    Where an answer may change the name says how: `paper[llm.model=Qwen2.5-7B-Instruct]`; of a folder it
    holds the last part. Raises UnknownNameError or UsageError for a name or a setting that there is not.
    """
    base = get_profile(name)
    if not settings:
        return base
    raw = {key: value for key, value in dataclasses.asdict(base).items() if key not in _FIXED}
    raw["nli"] = list(raw["nli"])
    for path, value in flatten(settings).items():
        _assign(raw, path.split("."), value, path)
    changed = _validate({**raw, **{key: getattr(base, key) for key in _FIXED}})
    return dataclasses.replace(changed, name=_render_name(base, changed))


def _assign(raw: Any, keys: list[str], value: Any, path: str) -> None:
    """Set one value in nested dicts and lists; the position of a list's item is a number."""
    *inner, last = keys
    for key in inner:
        raw = _step(raw, key, path)
    _step(raw, last, path)
    raw[int(last) if isinstance(raw, list) else last] = value


def _step(raw: Any, key: str, path: str) -> Any:
    if not isinstance(raw, (dict, list)):
        raise UsageError(f"setting profile.{path}: what stands before .{key} holds no settings; leave .{key} out")
    choices = [str(position) for position in range(len(raw))] if isinstance(raw, list) else list(raw)
    if key not in choices:
        raise UnknownNameError("setting", f"profile.{path}", [_beside(path, key, choice) for choice in choices])
    return raw[int(key)] if isinstance(raw, list) else raw[key]


def _beside(path: str, key: str, choice: str) -> str:
    """Return the full name of a choice that stands where `key` stands in the path."""
    before, _, _ = f".{path}.".partition(f".{key}.")
    return f"profile{before}.{choice}"


def _validate(raw: dict[str, Any]) -> Profile:
    from pydantic import TypeAdapter, ValidationError

    try:
        profile: Profile = TypeAdapter(Profile).validate_python(raw)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"setting profile.{place} is {first['input']!r}: {first['msg']}") from error
    return profile


def _render_name(base: Profile, changed: Profile) -> str:
    from ecgbench.grid.selection import Selection

    parts = {
        path: _publishable(value)
        for path, value in _answers(changed).items()
        if path not in _answers(base) or _answers(base)[path] != value
    }
    if changed.nli != base.nli and not changed.nli:
        parts["nli"] = "none"
    return str(Selection(base.name, parts))


def _answers(value: Any, prefix: str = "") -> dict[str, Any]:
    """Return by dotted name every setting that an answer may depend on."""
    found: dict[str, Any] = {}
    for field in dataclasses.fields(value):
        inner = getattr(value, field.name)
        if not field.compare or (not prefix and field.name in _FIXED):
            continue
        items = enumerate(inner) if isinstance(inner, tuple) else [("", inner)]
        for position, item in items:
            name = ".".join(filter(None, [f"{prefix}{field.name}", str(position)]))
            found |= _answers(item, f"{name}.") if dataclasses.is_dataclass(item) else {name: item}
    return found


def _publishable(value: Any) -> Any:
    """Return a value as a record may show it: of a model the name, not where it lies."""
    if isinstance(value, str) and ":" not in value:
        return Path(value).name
    return value
