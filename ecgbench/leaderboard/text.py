"""Plain building blocks of Markdown: escaped names and pipe tables."""

from __future__ import annotations

import re
from collections.abc import Sequence

ABSENT = "\N{EN DASH}"

# An underscore between letters or digits is never emphasis: `input_knn` stays readable as it is.
# Colon and point: GitHub makes links of bare addresses.
_SPECIAL = re.compile(
    r"[\\`*\[\]<>|~#&$!{}]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|^[-+=]|:(?=//)|(?<=www)\.", re.IGNORECASE
)
_NUMBERED = re.compile(r"^(\d+)([.)])")


def escape(text: str) -> str:
    """Return the text on one line, with nothing in it that Markdown would read as markup."""
    return _NUMBERED.sub(r"\1\\\2", _SPECIAL.sub(r"\\\g<0>", one_line(text)))


def one_line(text: str) -> str:
    """Return the text on one line, without control characters."""
    # Blanks, where the command line shows `\x1b`: in Markdown the backslash of an escape would itself be escaped.
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def render_seconds(seconds: float | None) -> str:
    """Render the order of magnitude of a time: "< 1", "< 10", "< 100", ..."""
    if seconds is None:
        return ABSENT
    limit = 1
    while seconds >= limit:
        limit *= 10
    return escape(f"< {limit}")


def render_pipe_table(heading: Sequence[str], rows: Sequence[Sequence[str]], *, n_left: int = 1) -> list[str]:
    """Return the lines of a padded pipe table of escaped cells; all but the first `n_left` columns align right."""
    table = [heading, *rows]
    widths = [max(3, *(len(line[at]) for line in table)) for at in range(len(heading))]
    lines = [_line(line, widths, n_left) for line in table]
    rule = ["-" * width if at < n_left else "-" * (width - 1) + ":" for at, width in enumerate(widths)]
    return [lines[0], _line(rule, widths, n_left), *lines[1:]]


def _line(cells: Sequence[str], widths: Sequence[int], n_left: int) -> str:
    padded = [
        cell.ljust(width) if at < n_left else cell.rjust(width)
        for at, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return f"| {' | '.join(padded)} |"
