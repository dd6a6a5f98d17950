"""Read JSON that a stranger may have written: what would be read in two ways, or by nothing after, is refused."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

DEEPEST = 20
"""How deep values may lie in one another: parameters in parameters, no more."""


def parse_json(text: str) -> Any:
    """Return the value of one JSON text; raises ValueError for what is none.

    Refused are also NaN, numbers beyond a double, a name that stands twice in one object, and deep nests.
    """
    try:
        value = json.loads(
            text,
            parse_constant=_refuse_constant,
            parse_float=_read_float,
            parse_int=_read_int,
            object_pairs_hook=_read_object,
        )
    except RecursionError:
        raise ValueError("values lie in one another without end") from None
    _refuse_depth(value)
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON; an undefined metric is null")


def _read_float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text[:20]} is too large a number")
    return number


def _read_int(text: str) -> int:
    _read_float(text)  # also a whole number is averaged
    return int(text)


def _read_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} stands there twice")
    return values


def _refuse_depth(value: Any) -> None:
    """Raise ValueError where what walks through the value could run out of stack."""
    level = [value]
    for _ in range(DEEPEST):
        level = [inner for outer in level for inner in _inside(outer)]
    if level:
        raise ValueError(f"more than {DEEPEST} values lie in one another")


def _inside(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
