"""Read worked examples from a TOML file: [[shot]] tables with text, label, evidence and reason."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from ecgbench.data import Shot
from ecgbench.errors import DataError

FIELDS = ("text", "label", "evidence", "reason")


def load_shots(path: Path, label_names: tuple[str, ...]) -> tuple[Shot, ...]:
    """Return the shots of a file; DataError where it is unreadable or a shot does not fit the labels."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"cannot read shots from {path}: {error}") from error
    tables = content.get("shot")
    if not isinstance(tables, list) or not tables:
        raise DataError(f"{path} holds no shots: write [[shot]] tables with {', '.join(FIELDS)}")
    return tuple(_build_shot(f"shot {i} of {path}", table, label_names) for i, table in enumerate(tables, 1))


def _build_shot(where: str, table: dict[str, Any], label_names: tuple[str, ...]) -> Shot:
    if set(table) != set(FIELDS):
        raise DataError(f"{where} has the fields {', '.join(table) or 'none'}; it needs {', '.join(FIELDS)}")
    text, label, reason = (table[name] for name in ("text", "label", "reason"))
    evidence = [table["evidence"]] if isinstance(table["evidence"], str) else table["evidence"]
    if not isinstance(evidence, list) or not all(isinstance(part, str) for part in (text, reason, *evidence)):
        raise DataError(f"{where}: text and reason are strings, evidence a string or a list of strings")
    if str(label) not in label_names:
        raise DataError(f"{where} has the label {label!r}; choose from: {', '.join(label_names)}")
    absent = [span for span in evidence if span not in text]
    if absent:
        raise DataError(f"{where}: the evidence {absent[0]!r} is not in its text; copy it exactly")
    return Shot(text=text, label=str(label), evidence=tuple(evidence), reason=reason)
