"""The pages hold: their code runs, their commands exist, every hook stands there as it is and has a test."""

from __future__ import annotations

import ast
import inspect
import re
import shlex
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from conftest import Workspace
from ecgbench import hookspecs
from ecgbench.cli.options import read_settings
from ecgbench.grid.suite import validate_suite
from ecgbench.plugins import HOOKS, load_plugins
from ecgbench.profile_settings import find_profile
from ecgbench.store.cache import default_cache_folder
from pages import PAGES, ROOT, Block, Runs, find_commands, page_name, parse_command, read_blocks

HOOK_PAGE = ROOT / "docs" / "reference" / "hooks.md"
TESTS = ROOT / "tests"
BLOCKS = [block for page in PAGES for block in read_blocks(page)]
NOT_RUN = {
    "README.md": 6,
    "docs/explanation/language-models.md": 4,
    "docs/explanation/neighbours.md": 1,
    "docs/how-to/ci.md": 1,
    "docs/how-to/clean.md": 1,
    "docs/how-to/cluster.md": 6,
    "docs/how-to/detector.md": 1,
    "docs/how-to/downstream.md": 1,
    "docs/how-to/gpu.md": 6,
    "docs/how-to/hub-datasets.md": 5,
    "docs/how-to/your-own-data.md": 4,
    "docs/tutorial/first-board.md": 2,
}
"""How many blocks of a page do not run; each has its reason in a comment above it, or above them all."""
COMMANDS = sorted({tuple(words) for words in find_commands(*PAGES)})


def pages_with(runs: Runs) -> list[Path]:
    """Return the pages with a block of bash or Python that runs then."""
    return list(dict.fromkeys(b.page for b in BLOCKS if b.runs is runs and b.language in ("bash", "python")))


@pytest.fixture
def here(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """Return a workspace that is the current folder, with a cache that is empty but for models and datasets."""
    cache = workspace.folder / "cache"
    cache.mkdir()
    for name in ("models", "datasets"):
        there = default_cache_folder() / name
        there.mkdir(parents=True, exist_ok=True)
        (cache / name).symlink_to(there)
    (workspace.folder / "benchmarks").symlink_to(ROOT / "benchmarks")
    monkeypatch.setenv("ECGBENCH_CACHE", str(cache))
    monkeypatch.chdir(workspace.folder)
    monkeypatch.syspath_prepend(str(workspace.folder))
    return workspace


def run_page(workspace: Workspace, page: Path, *, slow: bool) -> None:
    """Run the blocks of a page in their order; files are written, other Python shares one namespace.

    A block of text shows what the commands above it print; of slow ones that is not compared: models differ by machine.
    """
    names: dict[str, Any] = {"__name__": "page"}
    shown: str | None = None
    for block in read_blocks(page):
        if block.language == "text" and shown is not None:
            assert facts(block.code) in facts(shown), f"{block} is not what is printed:\n{shown}"
        shown = None
        if block.runs is Runs.NOT or (block.runs is Runs.SLOW and not slow):
            continue
        if block.language == "python" and block.file_name:
            (workspace.folder / block.file_name).write_text(block.code, encoding="utf-8")
        elif block.language == "python":
            exec(compile(block.code, str(block), "exec"), names)
        elif block.language == "bash":
            printed = run_commands(workspace, block)
            shown = printed if block.runs is Runs.NOW else None


def facts(printed: str) -> str:
    """Return what is printed without rules, seconds and the width of columns."""
    lines = [re.sub(r"\d+\.\d\d (\w+)$", r"\1", " ".join(line.split())) for line in printed.splitlines()]
    return "\n".join(line for line in lines if line.strip("─ "))


def run_commands(workspace: Workspace, block: Block) -> str:
    """Run a block of bash and return what it printed; every command must end well."""
    printed = ""
    for line in block.lines:
        name, *arguments = shlex.split(line, comments=True)
        assert name in ("ecgbench", "pytest"), f"{block}: say why {name} does not run"
        if name == "pytest":
            command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{block}: {line}\n{done.stdout}"
        else:
            ended = workspace.cli(*arguments)
            assert ended.code == 0, f"{block}: {line}\n{ended.out}{ended.err}"
            printed += ended.out
    return printed


@pytest.mark.parametrize("page", pages_with(Runs.NOW), ids=page_name)
def test_the_code_of_a_page_runs(here: Workspace, page: Path) -> None:
    run_page(here, page, slow=False)


@pytest.mark.slow
@pytest.mark.parametrize("page", pages_with(Runs.SLOW), ids=page_name)
def test_the_code_of_a_page_runs_on_real_models_too(here: Workspace, page: Path) -> None:
    run_page(here, page, slow=True)


def test_blocks_that_do_not_run_are_known_and_say_why() -> None:
    left_out = [block for block in BLOCKS if block.runs is Runs.NOT]
    assert Counter(page_name(block.page) for block in left_out) == NOT_RUN
    for block in BLOCKS:
        assert block.runs is Runs.NOW or len(block.reason.split()) > 1, f"{block}: say why"


def test_every_file_that_a_page_writes_is_used_on_it() -> None:
    for block in BLOCKS:
        if block.file_name:
            tool = "pytest" if block.file_name.startswith("test_") else "--plugin"
            assert f"{tool} {block.file_name}" in block.page.read_text(encoding="utf-8"), block


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_exists_with_its_options_and_settings(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # --offline sets it: put back afterwards
    _, values = parse_command(words)
    if suite := values.get("suite"):
        assert (ROOT / suite).is_file()
    find_profile(values.get("profile") or "paper", read_settings(values.get("set")))


@pytest.mark.parametrize(
    "words",
    [["ecgbench", "runs"], ["ecgbench", "run", "--detector", "ecg"], ["ecgbench", "cache", "exports"]],
    ids=" ".join,
)
def test_a_command_that_there_is_not_is_noticed(words: list[str]) -> None:
    with pytest.raises(Exception, match="No such"):
        parse_command(words)


def test_every_link_leads_somewhere() -> None:
    for page in PAGES:
        for link in re.findall(r"\]\((?!https?:)([^)#\s]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page_name(page)}: {link}"


def test_the_suite_on_its_page_is_one() -> None:
    (block,) = [b for b in read_blocks(ROOT / "docs" / "reference" / "suites.md") if b.language == "toml"]
    suite = validate_suite(tomllib.loads(block.code), where="the page")
    plugins = load_plugins()
    find_profile(suite.profile, suite.settings)
    for noise in suite.noises:
        plugins.noise_models[noise.name].build(noise.params)
    for detector in suite.detectors:
        plugins.detectors[detector.name].build(detector.params)  # type: ignore[union-attr]


def read_signatures() -> dict[str, str]:
    """Return the signature of every hook as Python has it."""
    return {
        name: f"{name}{inspect.signature(hook)}".replace("'", "")
        for name, hook in vars(hookspecs).items()
        if hasattr(hook, f"{hookspecs.PROJECT}_spec")
    }


def find_missing_signatures(text: str) -> set[str]:
    """Return the hooks whose signature is no heading of a page."""
    return {name for name, signature in read_signatures().items() if f"\n## `{signature}`\n" not in text}


def test_every_hook_stands_in_the_docs_with_its_very_signature() -> None:
    text = HOOK_PAGE.read_text(encoding="utf-8")
    assert set(read_signatures()) == set(HOOKS)
    assert find_missing_signatures(text) == set()
    assert set(re.findall(r"^## `(\w+)\(", text, re.MULTILINE)) == set(HOOKS)
    assert find_missing_signatures(text.replace("[MetricSpec]", "[Spec]")) == {"ecgbench_metrics"}


def find_tested_hooks(folder: Path) -> set[str]:
    """Return the hooks with a test `test_hook_NAME_...` that starts a run with a plugin which implements them."""
    found = set()
    for path in folder.rglob("test_*.py"):
        source = path.read_text(encoding="utf-8")
        for node in ast.parse(source).body:
            code = ast.get_source_segment(source, node) or ""
            for hook in HOOKS:
                if (
                    isinstance(node, ast.FunctionDef)
                    and node.name.startswith(f"test_hook_{hook}_")
                    and re.search(rf"@hookimpl\s+def {hook}\(\)", code)
                    and "run_plugin(" in code
                ):
                    found.add(hook)
    return found


def test_every_hook_has_a_test_that_runs_it_through_a_real_plugin(tmp_path: Path) -> None:
    assert find_tested_hooks(TESTS) == set(HOOKS)
    source = (TESTS / "test_hooks.py").read_text(encoding="utf-8")
    for right, wrong in [("test_hook_ecgbench_metrics_", "test_metrics_"), ("def ecgbench_metrics", "def metrics")]:
        (tmp_path / "test_hooks.py").write_text(source.replace(right, wrong), encoding="utf-8")
        assert find_tested_hooks(tmp_path) == set(HOOKS) - {"ecgbench_metrics"}
