"""The page of the checks is what the checks say."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from ecgbench.testing.page import render_page

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "checks.md"


@pytest.mark.parametrize("code", re.findall(r"^```python\n(.*?)^```", render_page(), re.DOTALL | re.MULTILINE))
def test_the_code_on_the_page_runs(code: str, tmp_path: Path) -> None:
    (tmp_path / "block.py").write_text(code, encoding="utf-8")
    runpy.run_path(str(tmp_path / "block.py"))


def test_the_page_of_the_checks_is_current() -> None:
    # python -c "from ecgbench.testing.page import render_page as r; print(r(), end='')" > docs/reference/checks.md
    assert PAGE.read_text(encoding="utf-8") == render_page()
