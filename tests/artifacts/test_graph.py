"""The kNN graph over embeddings and over the states of a trained classifier."""

from __future__ import annotations

from typing import Any

import numpy as np

from ecgbench.artifacts.classifier import ClassifierStates, Dynamics, TrainingDynamics
from ecgbench.artifacts.embeddings import TextEmbeddings
from ecgbench.artifacts.graph import Neighbours
from ecgbench.data import DetectionTask, TaskDescription
from ecgbench.engines.context import ComputeContext
from ecgbench.grid.values import resolve_closure, task_key
from ecgbench.profiles import EMBEDDED

TASK = DetectionTask(("a", "b", "c"), np.array([0, 1, 0]), TaskDescription("topic", ("x", "y")))


def test_states_graph_is_by_cosine_and_needs_one_training() -> None:
    graph = Neighbours(ClassifierStates(), k=2)
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
