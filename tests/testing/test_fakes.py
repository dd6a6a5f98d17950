"""The stand-ins: every shared artifact is there without a model, right more often than not, and follows its item."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import ecgbench.artifacts
from ecgbench.artifacts.base import Artifact
from ecgbench.artifacts.classifier import ClassifierStates, Dynamics, OutOfFoldProbs, TrainingDynamics
from ecgbench.artifacts.embeddings import StringEmbeddings, TextEmbeddings
from ecgbench.artifacts.graph import KnnGraph, Neighbours
from ecgbench.artifacts.llm import (
    CalibratedLabels,
    ExplanationEmbeddings,
    Explanations,
    ExplanationSamples,
    FewShots,
    LabelLogits,
    RationaleEmbeddings,
    ReliabilityScores,
)
from ecgbench.artifacts.llm.explanations import ExplanationStrings
from ecgbench.artifacts.nli import CrossEncoderNli, LlmNli, NliScores
from ecgbench.artifacts.retrained import RetrainedPredictions
from ecgbench.testing.fakes import FAKE_PROFILE, fake_values
from ecgbench.testing.looking import snapshot
from ecgbench.testing.tasks import plant_task, take_items
from ecgbench_detectors.ecg.shortcuts import Shortcuts

SAMPLES: dict[type[Artifact[Any]], Artifact[Any]] = {
    OutOfFoldProbs: OutOfFoldProbs(),
    TrainingDynamics: TrainingDynamics(),
    ClassifierStates: ClassifierStates(),
    TextEmbeddings: TextEmbeddings(),
    Neighbours: Neighbours(TextEmbeddings(), k=5),
    FewShots: FewShots(),
    LabelLogits: LabelLogits(),
    CalibratedLabels: CalibratedLabels(),
    Explanations: Explanations(),
    ExplanationSamples: ExplanationSamples(),
    ExplanationEmbeddings: ExplanationEmbeddings(),
    RationaleEmbeddings: RationaleEmbeddings(sample=1),
    ReliabilityScores: ReliabilityScores(),
    CrossEncoderNli: CrossEncoderNli(FAKE_PROFILE.nli[0]),
    LlmNli: LlmNli(),
    NliScores: NliScores(),
    Shortcuts: Shortcuts(),
}
BASES = {StringEmbeddings, ExplanationStrings}
"""They embed what a subclass renders."""
HARNESS = {RetrainedPredictions}
"""No detector declares them: they are of what the harness cleaned by the detectors' scores."""


def iter_classes(base: type[Any]) -> Iterator[type[Any]]:
    for kind in base.__subclasses__():
        yield kind
        yield from iter_classes(kind)


def find_artifacts() -> set[type[Any]]:
    """Return every concrete artifact class of the package that a detector may declare."""
    for module in pkgutil.walk_packages(ecgbench.artifacts.__path__, "ecgbench.artifacts."):
        importlib.import_module(module.name)
    found = {k for k in iter_classes(Artifact) if k.__module__.startswith(("ecgbench.", "ecgbench_detectors."))}
    return {kind for kind in found if not inspect.isabstract(kind)} - BASES - HARNESS


def fake(artifact: Artifact[Any], task: Any) -> Any:
    return fake_values([artifact], task)[artifact.resolve(FAKE_PROFILE)]


def test_every_artifact_of_the_package_is_faked_below() -> None:
    assert find_artifacts() == set(SAMPLES)


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("kind", SAMPLES, ids=lambda kind: kind.__name__)
def test_a_fake_is_the_same_each_time_and_goes_with_its_items(kind: type[Any], n_classes: int) -> None:
    task, artifact = plant_task(30, n_classes).task, SAMPLES[kind]
    order = np.random.default_rng(0).permutation(30)
    value, again, moved = (fake(artifact, t) for t in (task, task, take_items(task, order)))
    assert snapshot(value) == snapshot(again)
    if isinstance(value, KnnGraph):
        assert (order[moved.indices] == value.indices[order]).all()
    elif isinstance(value, Dynamics):
        assert np.allclose(moved.logits, value.logits[:, order])
    elif isinstance(value, np.ndarray):
        assert np.allclose(moved, value[order])
    elif isinstance(value, tuple):
        assert moved == tuple(value[i] for i in order)


def test_fakes_have_the_shapes_of_the_real_values() -> None:
    task = plant_task(30, 4).task
    assert fake(OutOfFoldProbs(), task).shape == fake(CalibratedLabels(), task).shape == (30, 4)
    assert np.allclose(fake(OutOfFoldProbs(), task).sum(axis=1), 1.0)
    assert fake(LlmNli(), task).shape == (30, 5)
    assert fake(NliScores(nli=()), task).shape == fake(NliScores(), task).shape == (30,)
    assert fake(CrossEncoderNli(FAKE_PROFILE.nli[0]), task).shape == (30, 3)
    assert np.allclose(np.linalg.norm(fake(ClassifierStates(), task), axis=1), 1.0, atol=1e-6)
    assert fake(Neighbours(TextEmbeddings(), k=50), task).indices.shape == (30, 29)
    assert np.isfinite(fake(ReliabilityScores(), task).rho).all()


def test_the_fake_language_model_explains_nearly_every_text_by_words_of_it() -> None:
    task = plant_task(30, 2).task
    found = fake(Explanations(), task)
    assert None not in found
    assert all(span in text for text, e in zip(task.texts, found, strict=True) for span in e.evidence)
    assert all(len(samples) == 2 for samples in fake(ExplanationSamples(), task))


@pytest.mark.parametrize("artifact", [OutOfFoldProbs(), CalibratedLabels(), LabelLogits()], ids=repr)
def test_fakes_tell_the_true_class_of_most_items_but_not_of_all(artifact: Artifact[Any]) -> None:
    planted = plant_task(200, 4)
    right = ~planted.is_wrong
    predicted = fake(artifact, planted.task).argmax(axis=1)
    agrees = (predicted == planted.task.labels)[right].mean()
    assert 0.7 < agrees < 1.0
    assert (predicted == planted.task.labels)[planted.is_wrong].mean() < 0.3


def test_planted_tasks_have_the_share_of_wrong_labels_that_was_asked_and_different_texts() -> None:
    planted = plant_task(50, 3, share=0.2)
    assert int(planted.is_wrong.sum()) == 10
    assert len(set(planted.task.texts)) == 50
