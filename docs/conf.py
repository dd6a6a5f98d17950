"""The static site: `tox -e docs` builds it from these pages, the docstrings and the command line."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import ecgbench
from ecgbench.plugins import load_plugins

project = "ecgbench"
version = release = ecgbench.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc"]
myst_heading_anchors = 3
default_role = "literal"  # docstrings write code in single backquotes
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_typehints_format = "short"
smartquotes = False  # names and values stay as they are typed
html_theme = "furo"
html_show_copyright = False
html_title = "ecgbench"


def describe_command_line() -> str:
    """Return every command with its options in Markdown, as typer itself writes them."""
    command = [sys.executable, "-m", "typer", "ecgbench.cli", "utils", "docs", "--name", "ecgbench"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout.removeprefix("# `ecgbench`\n")


def describe_built_in() -> str:
    """Return the classes behind the built-in names."""
    return "\n".join(_iter_built_in())


def _iter_built_in() -> Iterator[str]:
    plugins = load_plugins()
    for title, registry in {
        "Detectors": plugins.detectors,
        "Noise models": plugins.noise_models,
        "Datasets": plugins.datasets,
        "Metrics": plugins.metrics,
    }.items():
        yield f"## {title}\n"
        for entry in registry:
            if entry.distribution == "ecgbench":
                yield f"### {entry.spec.name}\n\n{entry.spec.summary}\n"
                target = entry.spec.target.replace(":", ".")
                yield f"```{{eval-rst}}\n.. autoclass:: {target}\n   :no-members:\n```\n"


PLACES: dict[str, Callable[[], str]] = {
    "<!-- the command line stands here -->": describe_command_line,
    "<!-- the built-in names stand here -->": describe_built_in,
}


def fill_in(_app: Any, _page: str, source: list[str]) -> None:
    """Put what is generated where a page has a place for it."""
    for place, describe in PLACES.items():
        if place in source[0]:
            source[0] = source[0].replace(place, describe())


def escape(_app: Any, _what: str, _name: str, _of: Any, _options: Any, lines: list[str]) -> None:
    """Let a bar in a docstring be a bar, as in |x|."""
    lines[:] = [line.replace("|", "\\|") for line in lines]


def setup(app: Any) -> None:
    """Connect with Sphinx."""
    app.connect("source-read", fill_in)
    app.connect("autodoc-process-docstring", escape)
