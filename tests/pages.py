"""The pages of the documentation as the tests read them: their code blocks, and the commands in them.

A block runs unless a comment above it says otherwise: `<!-- slow: why -->` (runs among the slow tests) or
`<!-- not run: why -->`. `<!-- page not run: why -->` holds for all blocks of bash on a page.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import Any

import typer.main
from markdown_it import MarkdownIt

from ecgbench.cli import app

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
FILE_NAME = re.compile(r"# (\w+\.py)\n")


class Runs(StrEnum):
    """When a block runs."""

    NOW = "now"
    SLOW = "slow"
    NOT = "not run"


@dataclass(frozen=True)
class Block:
    """A code block: its language, its text, where it stands, when it runs and why not at once."""

    page: Path
    line: int
    language: str
    code: str
    runs: Runs
    reason: str = ""

    def __str__(self) -> str:
        return f"{page_name(self.page)}:{self.line}"

    @property
    def file_name(self) -> str | None:
        """Return the name of the file that a block of Python is, by its first line."""
        found = FILE_NAME.match(self.code)
        return found[1] if found else None

    @property
    def lines(self) -> list[str]:
        """Return the commands in a block of bash, each in one line."""
        lines = self.code.replace("\\\n", " ").splitlines()
        parts = [part.strip() for line in lines for part in line.split("&&")]
        return [part for part in parts if part and not part.startswith("#")]

    @property
    def commands(self) -> list[list[str]]:
        """Return the words of every command of ecgbench in it."""
        return [shlex.split(line, comments=True) for line in self.lines if line.startswith("ecgbench ")]


def page_name(page: Path) -> str:
    """Return a page's path below the repository."""
    return page.relative_to(ROOT).as_posix()


def read_blocks(page: Path) -> list[Block]:
    """Return the code blocks of a page in their order."""
    return list(_iter_blocks(page))


def _iter_blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    on_page = re.search(r"<!-- page not run: (.+?) -->", text, re.DOTALL)
    above = ""
    for token in MarkdownIt().parse(text):
        if token.type == "fence" and token.map:
            said = re.fullmatch(r"<!-- (slow|not run): (.+?) -->", above.strip(), re.DOTALL)
            if said:
                runs, reason = Runs(said[1]), " ".join(said[2].split())
            elif on_page and token.info == "bash":
                runs, reason = Runs.NOT, " ".join(on_page[1].split())
            else:
                runs, reason = Runs.NOW, ""
            yield Block(page, token.map[0] + 1, token.info, token.content, runs, reason)
        above = token.content if token.type == "html_block" else ""


def find_commands(*pages: Path) -> list[list[str]]:
    """Return every command of ecgbench on the pages: in blocks of bash and YAML, and in lines of text."""
    found = []
    for page in pages:
        blocks = read_blocks(page)
        found += [words for block in blocks if block.language == "bash" for words in block.commands]
        text = re.sub(r"^```.*?^```|<!--.*?-->", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
        inline = re.findall(r"`(ecgbench [^`]+)`", text)
        in_yaml = [re.findall(r"(?:entrypoint|run): (ecgbench .+)", b.code) for b in blocks if b.language == "yaml"]
        found += [shlex.split(line) for line in chain(inline, *in_yaml)]
    return found


def parse_command(words: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """Return a command's name and its values by option as the command line reads them, without running it.

    Whatever the command line would refuse raises: a command, an option or an argument that there is not.
    """
    command: Any = typer.main.get_command(app)
    name, *rest = words
    context = None
    while True:
        context = command.make_context(name, list(rest), parent=context)
        further = [*getattr(context, "_protected_args", ()), *context.args]
        if not hasattr(command, "resolve_command") or (command.invoke_without_command and not further):
            return name, context.params
        name, command, rest = command.resolve_command(context, further)
