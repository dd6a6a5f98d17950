"""The README holds: its detector is short and runs as it stands there, its paths lead somewhere."""

from __future__ import annotations

import re

from conftest import Workspace
from pages import ROOT, read_blocks

README = ROOT / "README.md"
TEXT = README.read_text(encoding="utf-8")


def test_the_detector_in_the_readme_is_short_and_runs(workspace: Workspace) -> None:
    (block,) = [b for b in read_blocks(README) if b.language == "python"]
    lines = [line for line in block.code.splitlines() if line.strip() and not line.startswith("#")]
    assert len(lines) <= 12
    plugin = workspace.folder / str(block.file_name)
    plugin.write_text(block.code, encoding="utf-8")
    done = workspace.run("length", "--plugin", str(plugin), "--noise", "uniform")
    assert done.code == 0, done.err
    assert workspace.by_detector["length"].status == "ok"


def test_every_suite_the_readme_names_is_there() -> None:
    names = re.findall(r"benchmarks/\w+\.toml", TEXT)
    assert names
    assert [name for name in names if not (ROOT / name).exists()] == []


def test_the_readme_holds_its_boards() -> None:
    assert "BOARD-" not in TEXT
