"""The built-ins pass the conformance kit that anyone's plugins pass."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ecgbench.grid.selection import parse_selection
from ecgbench.plugins import Plugins, load_plugins
from ecgbench.testing import parametrize_with_checks
from ecgbench.testing.base import Kind

PLUGINS = load_plugins()
FILE = Path(__file__).parent / "reviews" / "reviews.csv"
NEED_A_SOURCE = {"sst2", "multinli", "allenoise", "hf", "file"}
"""Datasets that load what is not on every machine; those that read files are checked on files below."""
SETTINGS = {
    Kind.DETECTOR: [
        *(f"ecg[aggregation={name}]" for name in ("adaptive", "fixed", "neighborhood")),
        "ecg[second_view=true,mutual=true,label_words=true]",
        "ecg[graph_weight=0.5,classifier_weight=0]",
        "ecg[aggregation=adaptive,nli=off]",
        "ecg[aggregation=fixed,nli=single,weights.dynamics=0,known_artifacts=[otter]]",
        "cleanlab[method=normalized_margin]",
        "cleanlab[adjust=false]",
        "llm_mismatch[calibrated=true]",
        "llm_mismatch[scoring=binary]",
        "input_knn[k=3,weights=uniform]",
        "input_knn[weights=exponential]",
        "nrg[rounds=1]",
        "classifier_knn[k=3,weights=exponential]",
        "cartography[measure=correctness]",
        *(f"confident_learning[filter_by={by}]" for by in ("both", "confident_learning", "predicted_neq_given")),
        "data_oob[models=10]",
        "knn_shapley[k=1]",
        "simifeat[scoring=voting]",
        "simifeat[k=3]",
        "duplicate_conflict[threshold=0.95,k=3]",
        "borda[members=[margin, input_knn[k=3], data_oob[models=10], borda]]",
    ],
    Kind.NOISE_MODEL: [
        "artifact_aligned[clean_marker_rate=0.1,injection_rate=0.5,position=random]",
        "artifact_aligned[rating_fraction=0.3,position=prefix]",
        *(f"artifact_aligned[clean_marker_rate=0.1,style={style}]" for style in ("word", "phrase")),
        "class_conditional[matrix=[[0.9, 0.1], [0.3, 0.7]]]",
        "class_conditional[matrix=[[0.8, 0.2, 0], [0, 0.9, 0.1], [0.2, 0, 0.8]]]",
    ],
    Kind.METRIC: ["recall_at_k[shares=[0.2, 0.5]]"],
}


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ECGBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def build(kind: Kind, text: str, plugins: Plugins = PLUGINS) -> Any:
    selection = parse_selection(text)
    return kind.registry(plugins)[selection.name].build(selection.params)


def build_all(kind: Kind) -> list[Any]:
    return [build(kind, text) for text in (*kind.registry(PLUGINS).names, *SETTINGS[kind])]


@parametrize_with_checks(build_all(Kind.DETECTOR))
def test_detectors_conform(subject: Any, check: Any) -> None:
    check(subject)


@parametrize_with_checks(build_all(Kind.NOISE_MODEL))
def test_noise_models_conform(subject: Any, check: Any) -> None:
    check(subject)


@parametrize_with_checks(build_all(Kind.METRIC))
def test_metrics_conform(subject: Any, check: Any) -> None:
    check(subject)


@parametrize_with_checks(
    [
        build(Kind.DATASET, f'file[path="{FILE}"]'),
        build(Kind.DATASET, f'file[path="{FILE}",true_label_column=truth]'),
        build(Kind.DATASET, f'hf[source="{FILE.parent}"]'),
    ]
)
def test_datasets_of_files_conform(subject: Any, check: Any) -> None:
    check(subject)


@pytest.mark.slow
@parametrize_with_checks([build(Kind.DATASET, n) for n in PLUGINS.datasets.names if n not in NEED_A_SOURCE])
def test_bundled_datasets_conform(subject: Any, check: Any) -> None:
    check(subject)
