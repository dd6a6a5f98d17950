"""Neighbours with other labels, and how far drawn explanations agree."""

from __future__ import annotations

import numpy as np
import pytest

from ecgbench.artifacts.llm.explanations import share_stating
from ecgbench.prompts import Explanation
from ecgbench.scanning.evidence import find_other_labels


@pytest.mark.parametrize("n", [2, 3, 150])
def test_neighbours_with_other_labels_are_those_a_loop_finds(n: int) -> None:
    rng = np.random.default_rng(n)
    embeddings = rng.integers(-2, 3, size=(n, 3)).astype(np.float32)  # few values: many are equally near
    labels = np.arange(n) % 2
    items = rng.permutation(n)
    found = find_other_labels(embeddings, labels, items, k=3)
    for item, neighbours in zip(items, found, strict=True):
        others = [j for j in range(n) if labels[j] != labels[item]]
        nearest = sorted(others, key=lambda j: (-float(embeddings[item] @ embeddings[j]), j))[:3]
        assert [j for j, _ in neighbours] == nearest
        assert [similarity for _, similarity in neighbours] == [
            float(embeddings[item] @ embeddings[j]) for j in nearest
        ]


def test_agreement_is_the_share_of_valid_drawn_explanations() -> None:
    wet, dry = (Explanation(label, ("rain",), "It rains.") for label in ("wet", "dry"))
    assert share_stating("wet", (wet, dry, None, wet)) == 2 / 3
    assert share_stating("wet", (None,)) is None
    assert share_stating("wet", ()) is None
