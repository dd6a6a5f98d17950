"""review.html: one file to decide row by row, without a network: keep, relabel or drop."""

from __future__ import annotations

import base64
import hashlib
import shlex
from importlib import resources
from typing import IO, Any

from ecgbench.scanning.rows import Neighbour, Scan, ScannedRow

MOST_ROWS = 5000
LONGEST_TEXT = 20_000
LONGEST_NEIGHBOUR = 500
"""Rows, and characters of a text and of a neighbour's, that the page holds."""


def write_page(scan: Scan, file: IO[str]) -> None:
    """Write the page; nothing of the file can become markup or code in it.

    Rows are data in a JSON block, which the script shows as text; script and style are allowed by their digests
    alone, and nothing is ever loaded.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("ecgbench.scanning", "templates")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    style, script = _read("review.css"), _read("review.js")
    template = environment.get_template("review.html.jinja")
    notes = [*scan.notes]
    if len(scan.rows) > MOST_ROWS:
        notes.append(f"the page holds the first {MOST_ROWS:,} of {len(scan.rows):,} rows, scan.csv holds all")
    command = f"ecgbench clean {shlex.quote(scan.path.name)} --decisions decisions.csv"
    command += f" --label-column {shlex.quote(scan.label_column)}" if scan.label_column != "label" else ""
    values = {
        "scan": scan,
        "notes": notes,
        "command": command,
        "data": _as_data(scan),
        "style": style,
        "script": script,
    }
    file.writelines(template.generate(values | {"style_digest": _digest(style), "script_digest": _digest(script)}))


def _read(name: str) -> str:
    return resources.files("ecgbench.scanning").joinpath("templates", name).read_text(encoding="utf-8")


def _digest(code: str) -> str:
    """Return what a Content Security Policy calls an inline block by."""
    return f"sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}"


def _as_data(scan: Scan) -> dict[str, Any]:
    return {
        "key": f"ecgbench-review/1/{scan.key}",
        "labels": list(scan.label_names),
        "rows": [_as_row(row) for row in scan.rows[:MOST_ROWS]],
    }


def _as_row(row: ScannedRow) -> dict[str, Any]:
    return row.as_fields() | {
        "text": _cut(row.text, LONGEST_TEXT),
        "neighbours": [_as_neighbour(neighbour) for neighbour in row.neighbours],
    }


def _as_neighbour(neighbour: Neighbour) -> dict[str, Any]:
    return {
        "row": neighbour.row,
        "label": neighbour.label,
        "text": _cut(neighbour.text, LONGEST_NEIGHBOUR),
        "similarity": round(neighbour.similarity, 3),
    }


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}\N{HORIZONTAL ELLIPSIS}"
