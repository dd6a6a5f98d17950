"""Read names with parameters: `ecg[k=30,weights.nli=0]`, `artifact_aligned[rating_fraction=0.3]`, `file:my.csv`."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ecgbench.errors import UsageError
from ecgbench.params import flatten, nest

_PLAIN = re.compile(r"[^\s\"'\[\],=#{}\\]*")
"""Text that needs no quotes between brackets and commas."""
_QUOTED = r"\"[^\"]*\"|'[^']*'"
_SELECTION = re.compile(rf"(?P<name>(?:{_QUOTED}|[^\[\]\"'])+?)(?:\[(?P<params>.*)\])?$", re.DOTALL)


@dataclass(frozen=True)
class Selection:
    """A registered name with the parameters that differ from its defaults; written out, nested ones are flat."""

    name: str
    params: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        if not self.params:
            return self.name
        flat = sorted(flatten(self.params).items())
        return f"{self.name}[{','.join(f'{key}={render_value(value)}' for key, value in flat)}]"


def parse_selection(text: str) -> Selection:
    """Read `name[key=value,inside.key=value,...]`; raises UsageError.

    Quotes keep commas and brackets together: `file:"a,b.csv"`.
    """
    match = _SELECTION.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"cannot read {text!r}; write a name or name[parameter=value,...]")
    params = nest(map(parse_assignment, split_list(match["params"] or "")))
    name = re.sub(_QUOTED, lambda quoted: quoted[0][1:-1], match["name"].strip())
    return Selection(name, params)


def parse_assignment(text: str) -> tuple[str, Any]:
    """Read `key=value`, the value as in TOML, or as plain text where it is no TOML."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise UsageError(f"cannot read parameter {text!r}; write parameter=value")
    return key.strip(), parse_value(value.strip())


def parse_value(text: str) -> Any:
    """Read one value as TOML writes it, in a list plain text without quotes too; anything else is plain text."""
    try:
        parsed = tomllib.loads(f"value = {text}")
    except ValueError:
        return _parse_plain_list(text)
    except RecursionError:
        return text
    return parsed["value"] if len(parsed) == 1 else text


def _parse_plain_list(text: str) -> Any:
    """Read `[loss, input_knn[k=3]]`; anything else is plain text."""
    if not (text.startswith("[") and text.endswith("]")):
        return text
    try:
        return [parse_value(part) for part in split_list(text[1:-1])]
    except UsageError:
        return text


def render_value(value: Any) -> str:
    """Write a value so that `parse_value` reads it back."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_quoted(item) for item in value)}]"
    if isinstance(value, str) and (not _PLAIN.fullmatch(value) or parse_value(value) != value):
        return _quoted(value)
    return str(value)


def split_list(text: str) -> Iterator[str]:
    """Split at commas that stand outside brackets and quotes; empty parts are dropped."""
    depth, quote, part, is_escaped = 0, "", "", False
    for char in text:
        if quote:
            quote = "" if char == quote and not is_escaped else quote
            is_escaped = char == "\\" and quote == '"' and not is_escaped
        elif char in "\"'":
            quote = char
        depth += (char == "[") - (char == "]") if not quote else 0
        if char == "," and depth == 0 and not quote:
            yield from filter(None, [part.strip()])
            part = ""
        else:
            part += char
    if depth or quote:
        raise UsageError(f"unbalanced brackets or quotes in {text!r}")
    yield from filter(None, [part.strip()])


def _quoted(value: Any) -> str:
    if not isinstance(value, str):
        return render_value(value)
    # JSON's escapes are TOML's, but for the one control character that JSON leaves alone.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
