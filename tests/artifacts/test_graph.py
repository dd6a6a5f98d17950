"""The kNN graph over embeddings and over the states of a trained classifier."""

from __future__ import annotations

import dataclasses
import logging
from typing import Any

import numpy as np
import pytest

from ecgbench.artifacts.classifier import ClassifierStates, Dynamics, TrainingDynamics
from ecgbench.artifacts.embeddings import TextEmbeddings
from ecgbench.artifacts.graph import KnnGraph, Neighbours
from ecgbench.data import DetectionTask, TaskDescription
from ecgbench.engines.context import ComputeContext
from ecgbench.grid.values import resolve_closure, task_key
from ecgbench.profiles import EMBEDDED, KnnSettings, Profile

TASK = DetectionTask(("a", "b", "c"), np.array([0, 1, 0]), TaskDescription("topic", ("x", "y")))


def test_states_graph_is_by_cosine_and_needs_one_training() -> None:
    graph = Neighbours(ClassifierStates(), k=2, knn=KnnSettings())
    assert [type(a) for a in resolve_closure((graph, TrainingDynamics()), EMBEDDED)] == [
        TrainingDynamics,
        ClassifierStates,
        Neighbours,
    ]
    states = np.array([[1, 0], [9, 1], [0, 2]], dtype=np.float32)
    inputs: Any = {TrainingDynamics(): Dynamics(np.zeros((1, 3, 2), dtype=np.float32), states)}
    inputs[ClassifierStates()] = ClassifierStates().compute(TASK, inputs, ComputeContext(None))
    found = graph.compute(TASK, inputs, ComputeContext(None))
    np.testing.assert_array_equal(found.indices, [[1, 2], [0, 2], [1, 0]])
    np.testing.assert_allclose(found.similarities[0], [9 / np.sqrt(82), 0], rtol=1e-6)


def test_states_graph_is_keyed_by_seed_and_labels_and_that_of_texts_is_not() -> None:
    other = DetectionTask(TASK.texts, np.array([1, 1, 0]), TASK.description)

    def keys(graph: Neighbours) -> set[str]:
        resolved = graph.resolve(EMBEDDED)
        return {task_key(resolved, task, seed, EMBEDDED) for task in (TASK, other) for seed in (0, 1)}

    assert len(keys(Neighbours(ClassifierStates()))) == 4
    assert len(keys(Neighbours(TextEmbeddings()))) == 1


def test_graph_resolves_and_declares_its_embeddings_and_loads_no_model() -> None:
    artifact = Neighbours(TextEmbeddings()).resolve(EMBEDDED)
    assert artifact.inputs() == (TextEmbeddings(EMBEDDED.encoder),)
    assert artifact.knn == EMBEDDED.knn == KnnSettings("exact")
    assert artifact.models() == ()
    assert not artifact.uses_labels


def test_the_profiles_index_is_taken_and_part_of_the_key() -> None:
    def key(profile: Profile) -> str:
        return task_key(Neighbours(TextEmbeddings()).resolve(profile), TASK, 0, profile)

    other = dataclasses.replace(EMBEDDED, knn=KnnSettings("ivf", effort=8))
    assert Neighbours(TextEmbeddings()).resolve(other).knn == KnnSettings("ivf", effort=8)
    assert len({key(EMBEDDED), key(other), key(dataclasses.replace(EMBEDDED, knn=KnnSettings("ivf")))}) == 3


def search(knn: KnnSettings, n: int = 1_500) -> tuple[Neighbours, KnnGraph]:
    artifact = Neighbours(TextEmbeddings(), k=4, knn=knn)
    vectors = np.random.default_rng(0).normal(size=(n, 8)).astype(np.float32)
    inputs: Any = {artifact.embeddings: vectors / np.linalg.norm(vectors, axis=1, keepdims=True)}
    task = DetectionTask(("a",) * n, np.zeros(n, dtype=np.int64), TASK.description)
    return artifact, artifact.compute(task, inputs, ComputeContext(None))


def test_an_exact_graph_has_recall_1_and_no_facts() -> None:
    artifact, graph = search(KnnSettings())
    assert graph.recall == 1.0
    assert artifact.facts(graph) == {}


@pytest.mark.parametrize(("effort", "level"), [(1, logging.WARNING), (128, logging.INFO)])
def test_an_approximate_graph_tells_its_recall_and_warns_of_a_low_one(
    effort: int, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="ecgbench"):
        artifact, graph = search(KnnSettings("ivf", effort=effort))
    exact = search(KnnSettings())[1]
    near = graph.similarities >= exact.similarities[:, -1:] - 1e-6
    assert graph.recall == pytest.approx(near.mean(), abs=0.05)
    assert artifact.facts(graph) == {"recall": graph.recall}
    assert [record.levelno for record in caplog.records] == [level]
    assert f"recall {graph.recall:.3f}" in caplog.text
    assert ("higher knn.effort" in caplog.text) == (level == logging.WARNING)


@pytest.mark.parametrize("knn", [KnnSettings(), KnnSettings("ivf", effort=2)])
def test_graph_is_rebuilt_from_its_arrays(knn: KnnSettings) -> None:
    artifact, graph = search(knn)
    again = artifact.unpack(artifact.pack(graph))
    np.testing.assert_array_equal(again.indices, graph.indices)
    np.testing.assert_array_equal(again.similarities, graph.similarities)
    assert again.recall == graph.recall
    assert graph.indices.shape == (1_500, 4)
