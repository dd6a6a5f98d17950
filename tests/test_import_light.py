"""What only looks must stay light: no command that computes nothing imports a heavy library."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from conftest import Workspace

HEAVY = [
    "torch",
    "transformers",
    "sentence_transformers",
    "faiss",
    "cleanlab",
    "datasets",
    "sklearn",
    "scipy",
    "pandas",
]
PROBE = """
import atexit, sys
atexit.register(lambda: print("IMPORTED", *(m for m in {heavy} if m in sys.modules), file=sys.stderr))
from ecgbench.cli import main
main()
"""


def imported_by(*arguments: str) -> list[str]:
    """Run a command in a process of its own and return which heavy libraries it imported."""
    code = PROBE.format(heavy=HEAVY)
    done = subprocess.run([sys.executable, "-P", "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr.splitlines()[-1].split()[1:]


@pytest.mark.parametrize(
    "arguments",
    [
        *(
            ["--help"],
            ["--version"],
            ["run", "--help"],
            ["inspect", "--help"],
            ["explain", "--help"],
            ["scan", "--help"],
            ["new", "--help"],
            ["compare", "--help"],
        ),
        *(["cache", "export", "--help"], ["plugins"], ["detectors"], ["noises"], ["metrics"], ["datasets"]),
        *(["check", "--help"], ["check", "--list"]),
    ],
    ids=" ".join,
)
def test_looking_imports_nothing_heavy(arguments: list[str]) -> None:
    assert imported_by(*arguments) == []


def test_writing_a_package_imports_nothing_heavy(tmp_path: Path) -> None:
    assert imported_by("new", "detector", "my_detector", "--out", str(tmp_path)) == []


def test_planning_all_detectors_imports_nothing_heavy(workspace: Workspace) -> None:
    assert imported_by("plan", "--dataset", "toy", "--noise", "uniform", *workspace.options) == []


@pytest.mark.slow
def test_planning_the_readme_line_imports_nothing_heavy(workspace: Workspace) -> None:
    cache = ["--cache", str(workspace.folder / "cache")]
    assert imported_by("fetch", "--dataset", "movie_snippets", "--no-models", *cache) == []
    line = ["plan", "--detectors", "all", "--noise", "artifact_aligned", "--out", str(workspace.folder / "out")]
    assert imported_by(*line, *cache) == []


def test_the_board_and_the_cache_import_nothing_heavy(workspace: Workspace) -> None:
    workspace.run("toy_lengths")
    cache, out = str(workspace.folder / "cache"), str(workspace.folder / "out")
    looks = [["leaderboard", "--check", "--out", out], ["cache", "info"], ["cache", "export", "explanations"]]
    for arguments in looks:
        assert imported_by(*arguments, *(["--cache", cache] if arguments[0] == "cache" else [])) == []


def test_the_probe_sees_a_heavy_import(workspace: Workspace) -> None:
    """The tests above would fail if they could: a real run measures, and measuring ranks needs scipy."""
    assert "scipy" in imported_by("run", "--dataset", "toy", "--detectors", "toy_lengths", *workspace.options)
