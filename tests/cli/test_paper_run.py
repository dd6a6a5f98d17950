"""The published experiment from its one line, on small models of the same kinds: every engine it is made of runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from small_llm import skip_without_vllm, small_model
from tiny_encoders import BART, ROBERTA, save_nli_model, save_tiny_roberta

from conftest import Workspace
from ecgbench.datasets.movie_snippets import MovieSnippets
from ecgbench.engines.llm.transformers import TransformersLlm
from ecgbench.profiles import EMBEDDED
from ecgbench.results import Status
from ecgbench.specs import DatasetContext
from ecgbench.store.cache import default_cache_folder

pytestmark = pytest.mark.slow

SUITE = Path(__file__).parents[2] / "benchmarks" / "paper.toml"
N = 16
DETECTORS = 13
SANITY = 3


def write_sst2(folder: Path) -> Path:
    """Write movie snippets as the two files of SST-2."""
    from datasets import ClassLabel, Dataset, Features, Value

    data = MovieSnippets().load(DatasetContext(default_cache_folder() / "datasets"))
    features = Features(sentence=Value("string"), label=ClassLabel(names=["negative", "positive"]), idx=Value("int32"))
    folder.mkdir()
    for name, items in (("train", range(0, len(data), 50)), ("validation", range(7, len(data), 1000))):
        columns = {
            "sentence": [data.texts[i] for i in items],
            "label": [int(data.labels[i]) for i in items],
            "idx": list(range(len(items))),
        }
        Dataset.from_dict(columns, features=features).to_parquet(str(folder / f"{name}-00000-of-00001.parquet"))
    return folder


def settings_of(folder: Path, engine: str) -> dict[str, Any]:
    """Return the settings that put a small model of its kind in the place of every published one."""
    save_tiny_roberta(folder / "roberta")
    save_nli_model(folder / "roberta-mnli", ROBERTA)
    save_nli_model(folder / "bart-mnli", BART, kind="bart")
    return {
        "encoder.model": EMBEDDED.encoder.model,
        "classifier.model": folder / "roberta",
        "classifier.max_tokens": 64,
        "llm.model": small_model(),
        "llm.engine": engine,
        "llm.reply_tokens": 160,
        "llm.samples": 2,
        "llm.counterfactual": "false",
        "llm.vllm.context_tokens": 1024,
        "nli.0.model": folder / "roberta-mnli",
        "nli.1.model": folder / "bart-mnli",
        "nli.0.max_tokens": 100,
        "nli.1.max_tokens": 100,
    }


@pytest.mark.parametrize("engine", ["transformers", pytest.param("vllm", marks=pytest.mark.vllm)])
def test_the_published_suite_runs_from_one_line_with_every_model_in_a_folder(
    workspace: Workspace, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if engine == "vllm":
        skip_without_vllm()
        monkeypatch.setattr(TransformersLlm, "load", None)  # no engine takes another's place
    else:
        monkeypatch.setitem(sys.modules, "vllm", None)
    sets = [f"--set=profile.{name}={value}" for name, value in settings_of(workspace.folder, engine).items()]
    grid = ["--n", str(N), "--noise", "artifact_aligned", "--rate", "0.10", "--seeds", "0", "--offline"]
    data = ["--param", f"sst2.source={write_sst2(workspace.folder / 'sst2')}"]
    places = ["--cache", str(workspace.folder / "cache"), "--out", str(workspace.folder / "out"), "--quiet"]
    done = workspace.cli("run", "--suite", str(SUITE), *grid, *data, *sets, *places)
    assert done.code == 0, done.err
    records = workspace.records
    assert len(records) == DETECTORS + SANITY
    assert {record.status for record in records} == {Status.OK}
    assert {record.dataset for record in records} == {"sst2"}
    assert all(f"llm.engine={engine}" in record.profile or engine == "vllm" for record in records)
    aggregations = [r.metrics["auroc"] for r in records if r.detector == "ecg"]
    assert len(set(aggregations)) > 1, "the signals differ, so must what is made of them"
    board = workspace.board.read_text(encoding="utf-8")
    assert "inside" in board or "outside" in board, "each value is marked as inside its expected range or not"
