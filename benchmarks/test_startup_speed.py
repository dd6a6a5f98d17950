"""What plugins cost at startup, and what a stranger waits: from `ecgbench new` to a board."""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest
from test_harness_speed import seconds_of

from ecgbench.results import Status, read_results_folder
from ecgbench.scaffold import PATTERNS, render_package

N_PLUGINS = 50
LISTING = [sys.executable, "-P", "-c", "from ecgbench.cli import main; main()", "detectors", "--json"]


def install_plugins(folder: Path) -> None:
    """Lay detectors as `ecgbench new` writes them into a folder, each a distribution with an entry point."""
    for i in range(N_PLUGINS):
        name = f"guest_{i}"
        module, code = next(iter(render_package(PATTERNS["detector"], name).items()))
        (folder / module).write_text(code)
        info = folder / f"{name}-0.1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.0\n")
        (info / "entry_points.txt").write_text(f"[ecgbench]\n{name} = {name}\n")


def count_detectors(env: dict[str, str]) -> int:
    """Return how many detectors are listed."""
    return len(json.loads(subprocess.run(LISTING, env=env, check=True, capture_output=True, text=True).stdout))


@pytest.mark.slow
def test_a_listing_with_50_plugins_takes_under_twice_that_with_none(benchmark: Any, tmp_path: Path) -> None:
    install_plugins(tmp_path)
    bare = dict(os.environ)
    full = bare | {"PYTHONPATH": os.pathsep.join(filter(None, [str(tmp_path), bare.get("PYTHONPATH", "")]))}
    assert count_detectors(full) == count_detectors(bare) + N_PLUGINS
    pairs = []

    def measure() -> None:
        pairs.append((seconds_of(LISTING, full), seconds_of(LISTING, bare)))

    benchmark.pedantic(measure, rounds=9, warmup_rounds=1)
    with_plugins, with_none = (statistics.median(side) for side in zip(*pairs[1:], strict=True))
    ratio = with_plugins / with_none
    benchmark.extra_info.update(seconds_with_50=with_plugins, seconds_with_none=with_none, ratio=ratio)
    assert ratio < 2


def make_environment(folder: Path) -> Path:
    """Make an environment in which all that is installed here can be imported; returns its interpreter."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (own,) = folder.glob("lib/python*/site-packages")
    (own / "here.pth").write_text("\n".join({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}) + "\n")
    return folder / "bin" / "python"


def cpu_seconds() -> float:
    """Return the processor time of the processes that were started so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.slow
def test_from_new_to_a_board(benchmark: Any, tmp_path: Path) -> None:
    """A detector is written, installed, checked and run on real text with a real classifier, nothing being cached."""
    python = str(make_environment(tmp_path / "venv"))
    ecgbench = [python, "-P", "-c", "from ecgbench.cli import main; main()"]
    package, out = tmp_path / "my_detector", tmp_path / "out"
    grid = ["--dataset", "bbc_news", "--n", "40", "--noise", "uniform", "--detectors", "my_detector,random"]
    steps = {
        "new": [*ecgbench, "new", "detector", "my_detector", "--out", str(tmp_path)],
        "install": [python, "-m", "pip", "install", "--no-index", "--no-build-isolation", "-e", str(package)],
        "check": [*ecgbench, "check", "my_detector"],
        "run": [*ecgbench, "run", *grid, "--cache", str(tmp_path / "cache"), "--out", str(out), "--quiet"],
    }
    took: dict[str, float] = {}

    def walk() -> None:
        took.update({f"{step}_seconds": seconds_of(command) for step, command in steps.items()})

    before = cpu_seconds()
    benchmark.pedantic(walk, rounds=1)
    assert {record.status for record in read_results_folder(out / "results")} == {Status.OK}
    assert (out / "LEADERBOARD.md").exists()
    lines = [line for line in (package / "my_detector.py").read_text().splitlines() if line.strip()]
    assert len(lines) <= 20
    benchmark.extra_info.update(took, seconds=sum(took.values()), cpu_seconds=cpu_seconds() - before, lines=len(lines))
