"""The command of the README on real models and real text, small: every detector, shared work, nothing asked twice."""

from __future__ import annotations

import sqlite3
import sys
import time
from pathlib import Path

import pytest

from conftest import Workspace, without_costs
from ecgbench.engines.models import model_folder
from ecgbench.profiles import EMBEDDED
from ecgbench.results import CellRecord, Status, read_results_folder
from ecgbench.store.cache import default_cache_folder

pytestmark = pytest.mark.slow

N = 40
N_FLIPPED = 4
DETECTORS = {"ecg", "cleanlab", "loss", "margin", "llm_mismatch", "input_knn", "random"}


def make_cache(folder: Path) -> Path:
    """Make a cache that is empty but for the converted models."""
    models = default_cache_folder() / "models"
    model_folder(EMBEDDED.llm.model, models)
    folder.mkdir()
    (folder / "models").symlink_to(models)
    return folder


@pytest.fixture
def prepared(workspace: Workspace) -> Workspace:
    """Return a workspace with such a cache."""
    make_cache(workspace.folder / "cache")
    return workspace


def count_rows(workspace: Workspace) -> dict[str, int]:
    with sqlite3.connect(workspace.folder / "cache" / "rows.sqlite") as rows:
        return dict(rows.execute("SELECT kind, COUNT(*) FROM rows GROUP BY kind"))


def run(workspace: Workspace, noise: str) -> None:
    options = ["--cache", str(workspace.folder / "cache"), "--out", str(workspace.folder / "out")]
    done = workspace.cli("run", "--detectors", "all", "--noise", noise, "--n", str(N), *options)
    assert done.code == 0, done.err
    assert "global random state" not in done.out  # of no built-in detector


def test_all_detectors_run_on_real_models_and_ask_the_language_model_nothing_twice(prepared: Workspace) -> None:
    run(prepared, "artifact_aligned")
    first = prepared.by_detector
    assert set(first) >= DETECTORS
    assert {record.status for record in first.values()} == {Status.OK}
    assert first["oracle"].metrics["auroc"] == first["marker_probe"].metrics["auroc"] == 1.0
    assert first["none"].metrics["auroc"] == 0.5
    assert float(str(first["ecg"].metrics["auroc"])) > 0.75
    rows = count_rows(prepared)
    assert rows["LabelLogits"] == N
    assert rows["Explanations"] == N

    loaded = len(prepared.records)
    run(prepared, "artifact_aligned")
    assert len(prepared.records) == loaded
    assert count_rows(prepared) == rows

    run(prepared, "uniform")
    assert count_rows(prepared)["LabelLogits"] == N + N_FLIPPED  # the flipped texts without their marker
    assert prepared.board.read_text(encoding="utf-8").count("| ecg") >= 2


def test_a_second_run_loads_no_model(prepared: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    run(prepared, "uniform")

    def refuse(reference: str, _: Path) -> Path:
        raise AssertionError(f"{reference} was loaded")

    for module in [m for name, m in sys.modules.items() if name.startswith("ecgbench.engines") and m]:
        if hasattr(module, "model_folder"):
            monkeypatch.setattr(module, "model_folder", refuse)
    before = len(prepared.records)
    run(prepared, "uniform")
    assert len(prepared.records) == before


def test_a_run_killed_while_the_language_model_explains_ends_with_the_same_bits(
    prepared: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECGBENCH_BATCH_SIZE", "8")
    command = ["run", "--detectors", "ecg,llm_mismatch", "--noise", "artifact_aligned", "--n", "30", "--quiet"]
    undisturbed = make_cache(prepared.folder / "undisturbed")
    whole = prepared.folder / "whole"
    assert prepared.cli(*command, "--cache", str(undisturbed), "--out", str(whole)).code == 0

    options = ["--cache", str(prepared.folder / "cache"), "--out", str(prepared.folder / "out")]
    process = prepared.start(*command, *options)
    rows_file = prepared.folder / "cache" / "rows.sqlite"
    while not (rows_file.exists() and _explained(rows_file) > 0):
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.05)
    process.kill()
    process.communicate()
    assert _explained(rows_file) < 30
    assert prepared.cli(*command, *options).code == 0
    assert read_facts(prepared.folder / "out") == read_facts(whole)


def read_facts(out: Path) -> list[CellRecord]:
    """Return a run's records without what a clock gave."""
    records = read_results_folder(out / "results")
    return [without_costs(r) for r in records]


def _explained(rows_file: Path) -> int:
    try:
        with sqlite3.connect(f"file:{rows_file}?mode=ro", uri=True) as rows:
            return int(rows.execute("SELECT COUNT(*) FROM rows WHERE kind = 'Explanations'").fetchone()[0])
    except sqlite3.OperationalError:  # the table is being made
        return 0
