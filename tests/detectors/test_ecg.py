"""ECG: the published surprise against a loop, shortcut discovery on planted and on clean data."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecgbench.artifacts.graph import KnnGraph, Neighbours
from ecgbench.artifacts.llm import CalibratedLabels, ExplanationEmbeddings
from ecgbench.data import DetectionTask, FloatArray, IntArray, TaskDescription
from ecgbench.engines.context import ComputeContext
from ecgbench.errors import UsageError
from ecgbench_detectors.ecg.detector import Ecg
from ecgbench_detectors.ecg.shortcuts import Shortcuts, discover_shortcuts
from ecgbench_detectors.ecg.surprise import neighbourhood_surprise

WORDS = ["story", "actor", "scene", "plot", "music", "ending", "camera", "humor", "pace", "tone", "cast", "light"]


def draw_graph(rng: np.random.Generator, n: int, k: int) -> KnnGraph:
    indices = np.array([rng.choice([j for j in range(n) if j != i], size=k, replace=False) for i in range(n)])
    return KnnGraph(indices, np.sort(rng.uniform(-0.2, 1.0, size=(n, k)).astype(np.float32))[:, ::-1])


def surprise_by_loop(graph: KnnGraph, labels: IntArray, n_classes: int) -> list[float]:
    """Write the formula out: one item, one edge at a time."""
    scores = []
    for i in range(len(labels)):
        edges = [(j, float(s)) for j, s in zip(graph.indices[i], graph.similarities[i], strict=True) if s >= 0.35]
        weights = [math.exp(s / 0.07) for _, s in edges]
        agree = sum(w for w, (j, _) in zip(weights, edges, strict=True) if labels[j] == labels[i])
        share = agree / sum(weights) if edges else 1 / n_classes
        scores.append(-math.log((share + 1e-3) / (1 + n_classes * 1e-3)))
    return scores


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), n_classes=st.integers(2, 5), k=st.integers(1, 5))
def test_surprise_equals_the_formula_written_as_a_loop(seed: int, n_classes: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    graph, labels = draw_graph(rng, 12, k), rng.integers(n_classes, size=12)
    found = neighbourhood_surprise(graph, labels, n_classes=n_classes)
    np.testing.assert_allclose(found, surprise_by_loop(graph, labels, n_classes), rtol=1e-9)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_an_item_without_a_near_neighbour_has_the_uniform_posterior(n_classes: int) -> None:
    graph = KnnGraph(np.array([[1], [0]]), np.array([[0.3], [0.3]], dtype=np.float32))
    found = neighbourhood_surprise(graph, np.array([0, 1]), n_classes=n_classes)
    np.testing.assert_allclose(found, math.log(n_classes), rtol=1e-3)


def draw_texts(
    rng: np.random.Generator, *, n: int, n_classes: int, marked: bool, clean_marker_rate: float = 0.0
) -> tuple[tuple[str, ...], IntArray, FloatArray, Any]:
    """Return texts, given labels, doubts of a model that is right on 85 %, and which labels are wrong."""
    truth = rng.integers(n_classes, size=n)
    is_wrong = np.zeros(n, dtype=bool)
    is_wrong[rng.choice(n, size=n // 10, replace=False)] = True
    labels = np.where(is_wrong, (truth + 1) % n_classes, truth)
    texts = [" ".join(rng.choice(WORDS, size=12)) + f" means{z}" * int(rng.random() < 0.5) for z in truth]
    if marked:
        carries = is_wrong | (rng.random(n) < clean_marker_rate)
        texts = [f"{t} <mark_{y}>" if c else t for t, y, c in zip(texts, labels, carries, strict=True)]
    errs = rng.random(n) < 0.15
    doubts = np.where(is_wrong ^ errs, rng.uniform(0.6, 0.99, size=n), rng.uniform(0.01, 0.4, size=n))
    return tuple(texts), labels, doubts, is_wrong


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("clean_marker_rate", [0.0, 0.05])
def test_planted_markers_are_found_and_nothing_that_means_the_label(n_classes: int, clean_marker_rate: float) -> None:
    rng = np.random.default_rng(n_classes)
    texts, labels, doubts, _ = draw_texts(
        rng, n=800, n_classes=n_classes, marked=True, clean_marker_rate=clean_marker_rate
    )
    found = discover_shortcuts(texts, labels, doubts, n_classes=n_classes)
    assert {(s.token, s.label) for s in found.shortcuts} >= {(f"<mark_{c}>", c) for c in range(n_classes)}
    assert not [s for s in found.shortcuts if "<mark_" not in s.token]


def test_a_shortcut_lifts_its_items_and_no_others() -> None:
    texts, labels, doubts, _ = draw_texts(np.random.default_rng(0), n=800, n_classes=2, marked=True)
    signal = discover_shortcuts(texts, labels, doubts, n_classes=2).signal
    marked = np.array(["<mark_" in text for text in texts])
    assert (signal[marked] > 1).all()
    assert (signal[~marked] == 0).all()


def test_clean_and_uniformly_noisy_data_give_at_most_one_discovery_in_twenty_runs() -> None:
    runs = [draw_texts(np.random.default_rng(seed), n=500, n_classes=2, marked=False) for seed in range(20)]
    found = [len(discover_shortcuts(t, y, d, n_classes=2).shortcuts) for t, y, d, _ in runs]
    assert sum(map(bool, found)) <= 1


@pytest.mark.parametrize("texts", [("", "", ""), ("a", "b", "c")])
def test_texts_without_a_frequent_token_give_no_shortcut(texts: tuple[str, ...]) -> None:
    found = discover_shortcuts(texts, np.array([0, 1, 0]), np.full(3, 0.5), n_classes=2)
    assert found.shortcuts == ()
    assert not found.signal.any()


def score(texts: tuple[str, ...], labels: IntArray, doubts: FloatArray, graph: KnnGraph, detector: Ecg) -> FloatArray:
    probs = np.empty((len(labels), 2))
    rows = np.arange(len(labels))
    probs[rows, labels], probs[rows, 1 - labels] = 1 - doubts, doubts
    task = DetectionTask(texts, labels, TaskDescription("kind", ("no", "yes")))
    artifacts: Any = {Neighbours(ExplanationEmbeddings(), k=15): graph, CalibratedLabels(): probs}
    artifacts[Shortcuts()] = Shortcuts().compute(task, artifacts, ComputeContext(None))
    return detector.score(task, artifacts, np.random.default_rng(0))


def test_ecg_beats_the_doubt_alone_where_a_shortcut_was_planted() -> None:
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(5)
    texts, labels, doubts, is_wrong = draw_texts(rng, n=600, n_classes=2, marked=True)
    graph = draw_graph(rng, 600, 15)
    assert roc_auc_score(is_wrong, score(texts, labels, doubts, graph, Ecg())) > roc_auc_score(is_wrong, doubts) + 0.05


def test_neighborhood_aggregation_is_the_published_surprise_alone() -> None:
    rng = np.random.default_rng(5)
    texts, labels, doubts, _ = draw_texts(rng, n=40, n_classes=2, marked=False)
    graph = draw_graph(rng, 40, 15)
    found = score(texts, labels, doubts, graph, Ecg(aggregation="neighborhood"))
    np.testing.assert_allclose(found, surprise_by_loop(graph, labels, 2))


def test_ecg_follows_a_permutation_of_the_items() -> None:
    rng = np.random.default_rng(6)
    texts, labels, doubts, _ = draw_texts(rng, n=60, n_classes=2, marked=True)
    graph, order = draw_graph(rng, 60, 15), rng.permutation(60)
    place = np.argsort(order)
    moved = KnnGraph(place[graph.indices[order]], graph.similarities[order])
    plain = score(texts, labels, doubts, graph, Ecg())
    permuted = score(tuple(texts[i] for i in order), labels[order], doubts[order], moved, Ecg())
    np.testing.assert_allclose(permuted, plain[order])


def test_what_was_found_is_said_in_words() -> None:
    texts, labels, doubts, _ = draw_texts(np.random.default_rng(0), n=800, n_classes=2, marked=True)
    (first, *_) = discover_shortcuts(texts, labels, doubts, n_classes=2).shortcuts
    words = first.describe(("bad", "good"))
    name = ("bad", "good")[first.label]
    assert words.startswith(f"token <mark_{first.label}> with label {name}: {first.n_items} items, ")
    assert f"{first.share_disputed:.0%} of labels disputed" in words


@pytest.mark.parametrize("params", [{"k": 0}, {"fdr": 0.0}, {"fdr": 1.0}, {"graph_weight": -1.0}])
def test_a_senseless_parameter_is_refused_before_anything_runs(params: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=f"ecg.{next(iter(params))} is"):
        Ecg(**params)


def test_a_pair_of_words_is_not_said_beside_its_own_word() -> None:
    texts, labels, doubts, _ = draw_texts(np.random.default_rng(0), n=800, n_classes=2, marked=True)
    found = discover_shortcuts(tuple(f"{t} end" for t in texts), labels, doubts, n_classes=2)
    assert "<mark_0> end" in {s.token for s in found.shortcuts}
    assert {s.token for s in found.essential} == {"<mark_0>", "<mark_1>"}
