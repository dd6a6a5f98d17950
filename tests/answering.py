"""Answer all requests of a text artifact in its own batches, as the harness does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ecgbench.artifacts.base import TextArtifact
from ecgbench.engines.context import ComputeContext


def answer(artifact: TextArtifact[Any], requests: Sequence[Any], context: ComputeContext) -> list[bytes | None]:
    """Return one row a request, in their order; each request is in just one batch."""
    found: dict[int, bytes | None] = {}
    for batch in artifact.batches(requests):
        rows = artifact.compute([requests[p] for p in batch], context)
        assert len(rows) == len(batch)
        assert not found.keys() & set(batch)
        found.update(zip(batch, rows, strict=True))
    return [found[p] for p in range(len(requests))]
