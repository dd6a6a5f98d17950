"""The README holds: its detector runs as it stands there, its commands and options exist, its paths too."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from conftest import Workspace

README = Path(__file__).parents[1] / "README.md"
TEXT = README.read_text(encoding="utf-8")


def find_blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)


def find_commands() -> list[list[str]]:
    lines = "\n".join(find_blocks("bash")).replace("\\\n", " ").splitlines()
    parts = [part for line in lines for part in line.split("&&")]
    return [words for words in (shlex.split(part, comments=True) for part in parts) if words[:1] == ["ecgbench"]]


def test_the_detector_in_the_readme_is_short_and_runs(workspace: Workspace) -> None:
    (code,) = find_blocks("python")
    lines = [line for line in code.splitlines() if line.strip() and not line.startswith("#")]
    assert len(lines) <= 12
    plugin = workspace.folder / "length.py"
    plugin.write_text(code, encoding="utf-8")
    done = workspace.run("length", "--plugin", str(plugin), "--noise", "uniform")
    assert done.code == 0, done.err
    assert workspace.by_detector["length"].status == "ok"


@pytest.mark.parametrize("words", find_commands(), ids=" ".join)
def test_every_command_in_the_readme_exists_with_its_options(workspace: Workspace, words: list[str]) -> None:
    subcommand = [w for w in words[1:3] if re.fullmatch("[a-z]+", w)]
    shown = workspace.cli(*subcommand, "--help")
    assert shown.code == 0
    for option in (w for w in words if w.startswith("--")):
        assert option in shown.out, option


def test_every_file_the_readme_links_or_runs_is_there() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", TEXT) + re.findall(r"benchmarks/\w+\.toml", TEXT)
    assert links
    for link in links:
        assert (README.parent / link).exists(), link


def test_the_readme_holds_its_boards() -> None:
    assert "BOARD-" not in TEXT
