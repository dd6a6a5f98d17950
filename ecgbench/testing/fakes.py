"""Stand-ins for every engine, so that all artifacts are there in milliseconds and no model is loaded.

They read the words of a text: those of `tasks.CLASS_WORDS` tell its class, and a hash of the text adds an error.
What they say is thus right more often than not, consistent, and the same wherever a text stands. Everything above
the engines (prompts, replies, calibration, graphs) is the harness's own code on what they say.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecgbench.artifacts.base import Artifact, Artifacts, TaskArtifact, TextArtifact, artifact_title
from ecgbench.artifacts.classifier import softmax
from ecgbench.artifacts.graph import KnnGraph, Neighbours
from ecgbench.data import DetectionTask, FloatArray, IntArray
from ecgbench.engines.classifier import load_classifier
from ecgbench.engines.context import ComputeContext, EnginePool
from ecgbench.engines.cross_encoder import NLI_CLASSES, load_cross_encoder
from ecgbench.engines.encoder import load_encoder
from ecgbench.engines.llm import Prompt, TokenUsage, load_llm
from ecgbench.errors import EcgbenchError
from ecgbench.grid.values import ArtifactView, freeze_value, resolve_closure
from ecgbench.profiles import ClassifierSettings, CrossEncoderSettings, EncoderSettings, LlmSettings, Profile
from ecgbench.prompts.replies import BETWEEN, REASON
from ecgbench.registry import missing_modules, missing_package
from ecgbench.testing.tasks import CLASS_OF, CLASS_WORDS

Vectors = NDArray[np.float32]

FAKE_PROFILE = Profile(
    name="fake",
    summary="stand-ins that read words",
    encoder=EncoderSettings("fake"),
    classifier=ClassifierSettings("fake"),
    llm=LlmSettings("fake"),
    extra="",
    nli=(CrossEncoderSettings("fake"), CrossEncoderSettings("fake-2")),
)
WIDTH = 24
EPOCHS = 3
_SURENESS = 2.0
_ERROR = 1.4
_WORD = re.compile(r"\w+")


@lru_cache(maxsize=4096)
def _noise(name: str, size: int) -> FloatArray:
    """Return normal numbers that follow from a name alone, read-only."""
    seed = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    numbers = np.random.default_rng(int.from_bytes(seed, "little")).normal(size=size)
    numbers.flags.writeable = False
    return numbers


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]


def _belief(text: str, who: str) -> FloatArray:
    """Return how much a text speaks for each of all classes, with an error of this reader's own: shape (4,)."""
    told = np.bincount([CLASS_OF[word] for word in _words(text) if word in CLASS_OF], minlength=len(CLASS_WORDS))
    return np.asarray(_SURENESS * told + _ERROR * _noise(f"{who}/{text}", len(CLASS_WORDS)))


def _embed(text: str) -> FloatArray:
    """Return the sum of the words' vectors, those of one class near each other: length 1."""
    words = _words(text)
    vectors = [_noise(f"word/{word}", WIDTH) for word in words]
    vectors += [2.0 * _noise(f"class/{CLASS_OF[word]}", WIDTH) for word in words if word in CLASS_OF]
    vector = np.sum([0.1 * _noise(f"text/{text}", WIDTH), *vectors], axis=0)
    return np.asarray(vector / np.linalg.norm(vector))


class FakeEncoder:
    """Embed texts as sums of their words."""

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return float32, shape (b, WIDTH), rows of length 1."""
        return np.array([_embed(text) for text in texts], dtype=np.float32).reshape(len(texts), WIDTH)


@dataclass(frozen=True, eq=False)
class FakeTrainedClassifier:
    """Read words, and remember the labels it was trained on a little more each epoch."""

    texts: Sequence[str]
    labels: IntArray
    n_classes: int

    @property
    def train_logits(self) -> Vectors:
        """Return float32, shape (EPOCHS, n, C)."""
        learned, given = self.predict(self.texts), np.eye(self.n_classes)[self.labels]
        return np.array([(t + 1) / EPOCHS * learned + t * given for t in range(EPOCHS)], dtype=np.float32)

    def predict(self, examples: Sequence[str]) -> Vectors:
        """Return float32, shape (m, C)."""
        beliefs = [_belief(text, "classifier")[: self.n_classes] for text in examples]
        return np.array(beliefs, dtype=np.float32).reshape(len(examples), self.n_classes)

    def pool(self, examples: Sequence[str]) -> Vectors:
        """Return float32, shape (m, WIDTH)."""
        return 3.0 * FakeEncoder().encode(examples)


class FakeClassifier:
    """Train in no time."""

    def prepare(self, texts: Sequence[str]) -> list[str]:
        """Return the texts as they are."""
        return list(texts)

    def train(
        self,
        examples: Sequence[str],
        *,
        labels: IntArray,
        n_classes: int,
        seed: int,  # noqa: ARG002
        checkpoint: Path | None = None,  # noqa: ARG002
    ) -> FakeTrainedClassifier:
        """Return a classifier that remembers these labels."""
        return FakeTrainedClassifier(examples, labels, n_classes)


@dataclass(eq=False)
class FakeLlm:
    """Read the words of a prompt's own part; it prefers the first labels, as language models do."""

    usage: TokenUsage = field(default_factory=TokenUsage)

    def label_logits(self, prompts: Sequence[Prompt], labels: Sequence[str]) -> FloatArray:
        """Return log-probabilities, float64, shape (b, len(labels)); labels it does not know are told by nothing."""
        names = list(CLASS_WORDS)
        known = np.array([names.index(label) if label in names else len(names) for label in labels])
        preference = -0.5 * np.arange(len(labels))
        scores = [np.append(_belief(prompt.suffix, "llm"), 0.0)[known] + preference for prompt in prompts]
        return np.log(softmax(np.array(scores).reshape(len(prompts), len(labels))))

    def generate(
        self,
        prompts: Sequence[Prompt],
        *,
        max_new_tokens: int,  # noqa: ARG002
        stop: str | None = None,  # noqa: ARG002
        schemas: Sequence[str] | None = None,  # noqa: ARG002
        temperature: float = 0.0,
        seeds: Sequence[int] | None = None,
    ) -> list[str]:
        """Return evidence and reason for each prompt; nothing where there are no words, other words when drawn."""
        drawn = [0] * len(prompts) if temperature == 0 or seeds is None else seeds
        return [_explain(prompt, seed) for prompt, seed in zip(prompts, drawn, strict=True)]


def _explain(prompt: Prompt, seed: int) -> str:
    line = prompt.suffix.partition("\n")[0].partition(":")[2]
    words = list(dict.fromkeys(_WORD.findall(line)))
    telling = [word for word in words if word.lower() in CLASS_OF]
    others = [word for word in words if word not in telling]
    shown = [*telling, *others[seed % 2 : seed % 2 + 1]]
    evidence = BETWEEN.join(f'"{word}"' for word in shown)
    return f" {evidence}\n{REASON} It speaks of {' and '.join(shown)} beside {' '.join(others)}." if shown else ""


class FakeCrossEncoder:
    """Judge by the words of the premise and the class that the hypothesis names."""

    def classify(self, pairs: Sequence[tuple[str, str]]) -> FloatArray:
        """Return probabilities of NLI_CLASSES, float64, shape (b, 3)."""
        rows = [self._judge(premise, hypothesis) for premise, hypothesis in pairs]
        return softmax(np.array(rows).reshape(len(pairs), len(NLI_CLASSES)))

    def _judge(self, premise: str, hypothesis: str) -> tuple[float, float, float]:
        belief = _belief(premise, "nli")
        is_named = np.array([name in _words(hypothesis) for name in CLASS_WORDS])
        return float(belief @ is_named), 0.0, float((belief * ~is_named).max())


_ENGINES: Mapping[Any, Any] = {
    load_encoder: FakeEncoder(),
    load_classifier: FakeClassifier(),
    load_llm: FakeLlm(),
    load_cross_encoder: FakeCrossEncoder(),
}


class NoFakeError(EcgbenchError):
    """Report an engine of a plugin's own, for which the kit has no stand-in."""


@dataclass
class FakeEngines(EnginePool):
    """Hand out the stand-ins of the harness's engines; raise NoFakeError for any other."""

    model_dir: Path = Path()
    wanted_by: str = "an artifact"

    def load(self, loader: Callable[..., Any], settings: Any) -> Any:  # noqa: ARG002
        """Return the stand-in of what this loader loads."""
        if loader not in _ENGINES:
            raise NoFakeError(
                f"{self.wanted_by} loads an engine by {getattr(loader, '__name__', loader)}, for which there is no "
                "stand-in: give the artifact a method `fake(self, task, inputs)` that returns a made-up value"
            )
        return _ENGINES[loader]


def fake_values(needs: Iterable[Artifact[Any]], task: DetectionTask) -> dict[Artifact[Any], Any]:
    """Return the value of each need by its resolved artifact, read-only; inputs are faked on the way."""
    declared = [need.resolve(FAKE_PROFILE) for need in needs]
    values: dict[Artifact[Any], Any] = {}
    for artifact in resolve_closure(declared, FAKE_PROFILE):
        sources = [source.resolve(FAKE_PROFILE) for source in artifact.inputs()]
        view = ArtifactView({source: values[source] for source in sources}, FAKE_PROFILE)
        values[artifact] = freeze_value(_fake_value(artifact, task, view))
    return {artifact: values[artifact] for artifact in declared}


def _fake_value(artifact: Artifact[Any], task: DetectionTask, inputs: Artifacts) -> Any:
    """Return what the artifact itself gives as a fake, or else compute it on stand-ins."""
    made_up = artifact.fake(task, inputs)
    if made_up is not None:
        return made_up
    if isinstance(artifact, Neighbours):  # it needs faiss, a package of an extra
        return _search(inputs[artifact.embeddings], artifact.k)
    for module in missing_modules(artifact.requires):
        raise missing_package(module, needed_for=artifact_title(artifact))
    context = ComputeContext(FakeEngines(wanted_by=type(artifact).__name__))
    if isinstance(artifact, TextArtifact):
        return _answer(artifact, task, inputs, context)
    assert isinstance(artifact, TaskArtifact)
    if not artifact.stored:
        return artifact.compute(task, inputs, ComputeContext(engines=None))
    return artifact.unpack(artifact.pack(artifact.compute(task, inputs, context)))


def _answer(artifact: TextArtifact[Any], task: DetectionTask, inputs: Artifacts, context: ComputeContext) -> Any:
    requests = list(artifact.requests(task, inputs))
    rows: list[bytes | None] = [None] * len(requests)
    for batch in artifact.batches(requests):
        for place, row in zip(batch, artifact.compute([requests[p] for p in batch], context), strict=True):
            rows[place] = row
    return artifact.assemble(rows)


def _search(vectors: Vectors, k: int) -> KnnGraph:
    """Return the exact graph; similarities are rounded, for the last bits of a product depend on the items' order."""
    n = len(vectors)
    similarities = np.round(vectors.astype(np.float64) @ vectors.T.astype(np.float64), 6)
    np.fill_diagonal(similarities, -np.inf)
    nearest = np.argsort(-similarities, axis=1, kind="stable")[:, : max(min(k, n - 1), 0)]
    return KnnGraph(nearest.astype(np.int64), np.take_along_axis(similarities, nearest, axis=1).astype(np.float32))
