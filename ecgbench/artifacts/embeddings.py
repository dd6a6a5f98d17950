"""Embeddings of strings, computed once a string and kept as raw float32 rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ecgbench.artifacts.base import Artifacts, TextArtifact
from ecgbench.data import DetectionTask
from ecgbench.engines.batching import iter_batches, run_halving
from ecgbench.engines.context import ComputeContext, batch_size
from ecgbench.engines.encoder import load_encoder
from ecgbench.profiles import EncoderSettings

ENCODE_BATCH = 64
_ROW = np.dtype("<f4")


@dataclass(frozen=True)
class StringEmbeddings(TextArtifact[NDArray[np.float32]]):
    """Base of embeddings: a subclass renders n strings, the value is float32, shape (n, d).

    Rows have length 1; a row whose attempt failed is all zeros, so that its similarity to any other is 0.
    """

    encoder: EncoderSettings | None = None

    def batches(self, requests: Sequence[str]) -> Iterable[Sequence[int]]:
        """Put strings of near length together."""
        return iter_batches([len(text) for text in requests], batch_size(ENCODE_BATCH))

    def compute(self, requests: Sequence[str], context: ComputeContext) -> Sequence[bytes | None]:
        """Return float32 little-endian rows."""
        assert self.encoder is not None
        encoder = context.load(load_encoder, self.encoder)
        vectors = run_halving(lambda texts: list(encoder.encode(texts)), requests)
        return [vector.astype(_ROW).tobytes() for vector in vectors]

    def assemble(self, rows: Sequence[bytes | None]) -> NDArray[np.float32]:
        """Stack the rows: float32, shape (n, d); zeros where the attempt failed."""
        width = next((len(row) for row in rows if row is not None), _ROW.itemsize)
        joined = b"".join(bytes(width) if row is None else row for row in rows)
        return np.frombuffer(joined, dtype=_ROW).astype(np.float32).reshape(len(rows), width // _ROW.itemsize)


@dataclass(frozen=True)
class TextEmbeddings(StringEmbeddings):
    """Embeddings of the task's texts: float32, shape (n, d), rows of length 1."""

    uses_labels: ClassVar[bool] = False

    def requests(self, task: DetectionTask, inputs: Artifacts) -> Sequence[str]:  # noqa: ARG002
        """Return the texts as they are."""
        return task.texts
