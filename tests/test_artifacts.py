"""Artifacts are values: what they hold is their key, and only what was declared can be read."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from ecgbench.artifacts.base import Artifact, Artifacts, TaskArtifact
from ecgbench.artifacts.classifier import Dynamics, OutOfFoldProbs, TrainingDynamics
from ecgbench.artifacts.embeddings import TextEmbeddings
from ecgbench.artifacts.graph import Neighbours
from ecgbench.data import DetectionTask, TaskDescription
from ecgbench.engines.context import ComputeContext, EnginePool
from ecgbench.errors import EcgbenchError, UndeclaredArtifactError
from ecgbench.grid.values import NotComputedError, TaskValues, freeze_value, resolve_closure, task_key
from ecgbench.profiles import EMBEDDED
from ecgbench.store.cache import Cache

OTHER = dataclasses.replace(
    EMBEDDED,
    encoder=dataclasses.replace(EMBEDDED.encoder, max_tokens=64),
    classifier=dataclasses.replace(EMBEDDED.classifier, epochs=4),
)


@dataclass(frozen=True)
class Ones(TaskArtifact[Any]):
    """A derived artifact: nothing of it is kept."""

    stored: ClassVar[bool] = False
    value: float = 1.0

    def compute(self, task: DetectionTask, inputs: Artifacts, context: ComputeContext) -> Any:  # noqa: ARG002
        return np.full(len(task), self.value)


@dataclass(frozen=True)
class Twos(Ones):
    """A derived artifact that reads another, declared or not."""

    declares: bool = True

    def inputs(self) -> tuple[Artifact[Any], ...]:
        return (Ones(),) if self.declares else ()

    def compute(self, task: DetectionTask, inputs: Artifacts, context: ComputeContext) -> Any:  # noqa: ARG002
        return inputs[Ones()] * 2


@dataclass(frozen=True)
class Greedy(Ones):
    """A derived artifact that wants an engine."""

    def compute(self, task: DetectionTask, inputs: Artifacts, context: ComputeContext) -> Any:  # noqa: ARG002
        return context.load(lambda settings, folder: (settings, folder), "a model")


@dataclass(frozen=True)
class VersionTwo(OutOfFoldProbs):
    version: ClassVar[int] = 2


def build_task(texts: tuple[str, ...] = ("a", "b", "c"), labels: tuple[int, ...] = (0, 1, 0)) -> DetectionTask:
    return DetectionTask(texts, np.array(labels), TaskDescription("topic", ("x", "y")))


@pytest.fixture
def values(tmp_path: Path) -> TaskValues:
    return TaskValues(build_task(), 0, EMBEDDED, Cache.open(tmp_path))


def key(
    artifact: TaskArtifact[Any], *, task: DetectionTask | None = None, seed: int = 0, profile: Any = EMBEDDED
) -> str:
    return task_key(artifact.resolve(profile), task or build_task(), seed, profile)


def test_open_fields_take_the_settings_of_the_profile() -> None:
    assert OutOfFoldProbs().resolve(EMBEDDED).classifier == EMBEDDED.classifier
    assert OutOfFoldProbs(OTHER.classifier).resolve(EMBEDDED).classifier == OTHER.classifier
    graph = Neighbours(TextEmbeddings()).resolve(EMBEDDED)
    assert graph.embeddings == TextEmbeddings(EMBEDDED.encoder)


def test_equal_artifacts_are_one_and_inputs_come_first() -> None:
    needs = (Neighbours(TextEmbeddings()), TextEmbeddings(), Neighbours(TextEmbeddings(EMBEDDED.encoder), k=15))
    embeddings, graph = resolve_closure(needs, EMBEDDED)
    assert isinstance(embeddings, TextEmbeddings)
    assert isinstance(graph, Neighbours)


def test_a_key_follows_from_everything_the_value_depends_on() -> None:
    keys = [
        key(OutOfFoldProbs()),
        key(OutOfFoldProbs(), seed=1),
        key(OutOfFoldProbs(), profile=OTHER),
        key(OutOfFoldProbs(folds=6)),
        key(OutOfFoldProbs(), task=build_task(labels=(0, 1, 1))),
        key(OutOfFoldProbs(), task=build_task(texts=("a", "b", "d"))),
        key(VersionTwo()),
        key(TrainingDynamics()),
        key(Neighbours(TextEmbeddings())),
        key(Neighbours(TextEmbeddings()), profile=OTHER),
        key(Neighbours(TextEmbeddings(), k=3)),
    ]
    assert len(set(keys)) == len(keys)


def test_what_reads_no_label_and_no_seed_is_shared() -> None:
    graph = Neighbours(TextEmbeddings())
    assert key(graph) == key(graph, seed=7) == key(graph, task=build_task(labels=(1, 1, 1)))


def test_a_row_is_keyed_by_artifact_and_request_alone() -> None:
    embeddings = TextEmbeddings().resolve(EMBEDDED)
    assert embeddings.row_key("a") == TextEmbeddings(EMBEDDED.encoder).row_key("a")
    others = {embeddings.row_key("b"), TextEmbeddings().resolve(OTHER).row_key("a")}
    assert embeddings.row_key("a") not in others
    assert len(others) == 2


def test_only_declared_artifacts_can_be_read(values: TaskValues) -> None:
    view = values.view((Ones(), TextEmbeddings()))
    np.testing.assert_array_equal(view[Ones()], [1.0, 1.0, 1.0])
    with pytest.raises(UndeclaredArtifactError, match=r"declared: Ones, TextEmbeddings\): add it to needs"):
        view[Ones(2.0)]
    with pytest.raises(NotComputedError, match="TextEmbeddings has not been computed"):
        view[TextEmbeddings()]


def test_an_artifact_reads_its_inputs_only(values: TaskValues) -> None:
    np.testing.assert_array_equal(values.load(Twos()), [2.0, 2.0, 2.0])
    with pytest.raises(UndeclaredArtifactError, match="declared: none"):
        values.load(Twos(declares=False))


def test_a_derived_artifact_loads_no_engine(values: TaskValues) -> None:
    with pytest.raises(EcgbenchError, match="may load no engine, asked for a model"):
        values.load(Greedy())


def test_values_are_read_only_and_loaded_once(values: TaskValues) -> None:
    found = values.load(Ones())
    assert found is values.load(Ones())
    with pytest.raises(ValueError, match="read-only"):
        found[0] = 5.0
    dynamics = freeze_value(Dynamics(np.zeros((1, 2, 3), dtype=np.float32), np.zeros((2, 4), dtype=np.float32)))
    assert not dynamics.logits.flags.writeable
    assert not dynamics.states.flags.writeable


def test_values_survive_packing() -> None:
    dynamics = Dynamics(np.arange(6, dtype=np.float32).reshape(1, 3, 2), np.ones((3, 4), dtype=np.float32))
    again = TrainingDynamics().unpack(TrainingDynamics().pack(dynamics))
    np.testing.assert_array_equal(again.logits, dynamics.logits)
    np.testing.assert_array_equal(again.states, dynamics.states)
    probs = np.array([[0.25, 0.75]])
    np.testing.assert_array_equal(OutOfFoldProbs().unpack(OutOfFoldProbs().pack(probs)), probs)


def test_an_engine_is_loaded_once_and_freed_when_nothing_more_names_it(tmp_path: Path) -> None:
    loaded: list[str] = []

    def load(settings: str, folder: Path) -> tuple[str, Path]:
        loaded.append(settings)
        return settings, folder

    context = ComputeContext(EnginePool(tmp_path))
    assert context.load(load, "one") is context.load(load, "one")
    context.load(load, "two")
    assert context.engines is not None
    context.engines.release(keep=frozenset({"two"}))
    context.load(load, "two")
    context.load(load, "one")
    assert loaded == ["one", "two", "one"]
