"""The pages about the published experiment: every test they name is there, no step is left out."""

from __future__ import annotations

import ast
import re

import pytest

from ecgbench.engines.hub import SHORT_NAMES
from ecgbench.profiles import PAPER
from pages import ROOT

PAGE = ROOT / "docs" / "reference" / "seed-steps.md"
TEXT = PAGE.read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TEXT)))
GPU_PAGE = ROOT / "docs" / "how-to" / "gpu.md"
STEPS = ["0", "1", "2", "3", "4", "5", "6", "6.1", "6.2", "6.3", "6.4", "7.1", "7.2", "7.3", "8"]


def read_rows() -> list[list[str]]:
    lines = [line for line in TEXT.splitlines() if line.startswith("|") and not line.startswith("|--")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))] for line in lines]


@pytest.mark.parametrize(("path", "name"), NAMED, ids="::".join)
def test_every_test_that_the_page_names_is_there(path: str, name: str) -> None:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_step_has_a_test_or_says_what_it_needs() -> None:
    rows = [row for row in read_rows() if row[2] != "test" and not row[2].startswith("test, or")]
    assert len(rows) > len(STEPS)
    for row in rows:
        is_built = "not built yet: comes with downstream evaluation" not in row[1]
        named = re.search(r"`tests/[\w/]+\.py::\w+`|needs? a GPU \(|under `tox`", row[2])
        assert bool(named) == is_built, row


def test_no_step_is_left_out() -> None:
    found = {row[0].split()[0] for row in read_rows()}
    assert not set(STEPS) - found


def test_the_files_that_the_page_names_are_there() -> None:
    files = [ROOT / path for path in re.findall(r"benchmarks/\w+\.toml|tests/\w+\.py", TEXT)]
    assert len(files) > 3
    for file in files:
        assert file.exists(), file


def test_what_was_not_run_on_a_gpu_is_named() -> None:
    untested = GPU_PAGE.read_text(encoding="utf-8").partition("Untested on hardware:")[2]
    names = [
        PAPER.llm.model.split("/")[1],
        *(judge.model for judge in PAPER.nli),
        *SHORT_NAMES,
        "vLLM",
        "faiss-gpu",
        "Ray",
    ]
    assert [name for name in names if name not in untested] == []
