"""Text from outside on a terminal: one line, and nothing in it that a terminal would obey."""

from __future__ import annotations


def to_printable(text: str) -> str:
    """Return the text on one line: white space as one blank, control characters as `\\x1b`."""
    return " ".join("".join(map(_shown, text)).split())


def _shown(char: str) -> str:
    if char.isprintable():
        return char
    return " " if char.isspace() else char.encode("unicode_escape").decode("ascii")
