"""The sentence encoder and the embeddings kept from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from answering import answer
from ecgbench.artifacts.base import Artifacts
from ecgbench.artifacts.embeddings import TextEmbeddings
from ecgbench.data import DetectionTask, TaskDescription
from ecgbench.engines.context import ComputeContext, EnginePool
from ecgbench.engines.encoder import Encoder, load_encoder
from ecgbench.profiles import EMBEDDED, EncoderSettings

TEXTS = ("a fine film", "", "a fine film indeed, funny and warm from start to end", "dull", "\u00e9t\u00e9 \U0001f600")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return load_encoder(EMBEDDED.encoder, tmp_path_factory.mktemp("models"))


class FakeEncoder:
    """Encodes a text as its length, and runs out of memory above `limit` texts."""

    def __init__(self, limit: int = 10**9) -> None:
        self.limit = limit
        self.sizes: list[int] = []

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        self.sizes.append(len(texts))
        if len(texts) > self.limit:
            raise MemoryError
        return np.array([[len(text), 1] for text in texts], dtype=np.float32)


Rows = list[bytes | None]


@pytest.fixture
def compute(monkeypatch: pytest.MonkeyPatch) -> Callable[[FakeEncoder], Rows]:
    """Compute the rows of TEXTS with a fake encoder."""

    def rows(fake: FakeEncoder) -> Rows:
        monkeypatch.setattr("ecgbench.artifacts.embeddings.load_encoder", lambda *_: fake)
        return answer(TextEmbeddings().resolve(EMBEDDED), TEXTS, ComputeContext(EnginePool(Path())))

    return rows


def test_rows_come_back_in_the_order_of_the_requests(
    compute: Callable[[FakeEncoder], Rows], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECGBENCH_BATCH_SIZE", "2")
    fake = FakeEncoder()
    value = TextEmbeddings().assemble(compute(fake))
    assert value.dtype == np.float32
    assert value[:, 0].tolist() == [len(text) for text in TEXTS]
    assert fake.sizes == [2, 2, 1]


def test_out_of_memory_halves_the_batch_and_loses_nothing(compute: Callable[[FakeEncoder], Rows]) -> None:
    fake = FakeEncoder(limit=2)
    value = TextEmbeddings().assemble(compute(fake))
    assert value[:, 0].tolist() == [len(text) for text in TEXTS]
    assert max(fake.sizes) == 5
    assert min(fake.sizes) <= 2


def test_failed_rows_become_zero_vectors() -> None:
    row = np.array([0.6, 0.8], dtype="<f4").tobytes()
    np.testing.assert_array_equal(
        TextEmbeddings().assemble([None, row]), np.array([[0, 0], [0.6, 0.8]], dtype=np.float32)
    )
    assert TextEmbeddings().assemble([None, None]).shape == (2, 1)
    assert TextEmbeddings().assemble([]).shape[0] == 0


def test_requests_are_the_texts_and_keys_hold_the_model() -> None:
    description = TaskDescription("sentiment", ("negative", "positive"))
    task = DetectionTask(TEXTS, np.zeros(len(TEXTS), dtype=np.int64), description)
    artifact, no_inputs = TextEmbeddings().resolve(EMBEDDED), cast(Artifacts, {})
    assert tuple(artifact.requests(task, no_inputs)) == TEXTS
    assert artifact.row_key("a") != artifact.row_key("b")
    assert artifact.row_key("a") != TextEmbeddings(EncoderSettings("folder")).row_key("a")


@pytest.mark.slow
def test_real_vectors_are_normalised_float32_also_for_an_empty_text(encoder: Encoder) -> None:
    vectors = encoder.encode(TEXTS)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(TEXTS), 384)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert encoder.encode([]).shape == (0, 384)


@pytest.mark.slow
def test_real_vectors_of_near_texts_are_near(encoder: Encoder) -> None:
    good, fine, cold = encoder.encode(["a good film", "a fine movie", "the melting point of lead"])
    assert good @ fine > good @ cold + 0.3


@pytest.mark.slow
def test_loading_and_encoding_leave_global_random_states_alone(tmp_path: Path) -> None:
    import random

    import torch

    def states() -> Iterator[object]:
        yield random.getstate()
        numpy_state: Any = np.random.get_state()
        yield numpy_state[1].tolist()
        yield torch.get_rng_state().tolist()

    before = list(states())
    load_encoder(EMBEDDED.encoder, tmp_path).encode(["a"])
    assert list(states()) == before
