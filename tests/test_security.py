"""SECURITY.md promises what tests hold: every test it names is there, every promise names one."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TEXT)))
ROWS = [line for line in TEXT.splitlines() if line.startswith("| ") and not line.startswith("| promise ")]


def find_tests(path: str) -> dict[str, bool]:
    """Return the tests of a file, and whether each is skipped whatever happens."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {
        node.name: any(
            "mark.skip(" in ast.unparse(mark) or "xfail" in ast.unparse(mark) for mark in node.decorator_list
        )
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
    }


@pytest.mark.parametrize(("path", "name"), NAMED, ids="::".join)
def test_every_test_that_a_promise_names_is_there_and_runs(path: str, name: str) -> None:
    assert find_tests(path).get(name) is False


@pytest.mark.parametrize("row", ROWS)
def test_every_promise_names_a_test(row: str) -> None:
    promise, tests = re.split(r"(?<!\\)\|", row.strip("|"))
    assert promise.strip()
    assert re.fullmatch(r"(`tests/[\w/]+\.py::test_\w+`(, )?)+", tests.strip())


def test_the_page_has_promises_limits_and_a_way_to_report() -> None:
    assert len(ROWS) > 15
    assert [line for line in TEXT.splitlines() if line.startswith("## ")] == [
        "## Reporting",
        "## What is promised",
        "## What is not promised",
    ]
