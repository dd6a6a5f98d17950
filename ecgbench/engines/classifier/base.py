"""What every text classifier offers, whichever of its layers are trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ecgbench.data import IntArray

Logits = NDArray[np.float32]


class TrainedClassifier(Protocol):
    """A trained classifier and what its training showed."""

    @property
    def train_logits(self) -> Logits:
        """Each training item's logits, from the very forward pass of each epoch that trained on it (train mode).

        float32, shape (epochs, n, C).
        """

    def predict(self, examples: Sequence[Any]) -> Logits:
        """Return the logits of prepared texts, without dropout: float32, shape (m, C)."""

    def pool(self, examples: Sequence[Any]) -> NDArray[np.float32]:
        """Return the hidden state that the head reads of each text, without dropout: float32, shape (m, hidden)."""


class Classifier(Protocol):
    """A classifier before training; it can be trained any number of times, each time from its loaded weights."""

    def prepare(self, texts: Sequence[str]) -> list[Any]:
        """Return each text as `train`, `predict` and `pool` take it, cut in the middle at max_tokens."""

    def train(
        self, examples: Sequence[Any], *, labels: IntArray, n_classes: int, seed: int, checkpoint: Path | None = None
    ) -> TrainedClassifier:
        """Train on prepared texts with their labels, int64, shape (n,); no global random state moves.

        The same seed on the same CPU gives the same bits. `checkpoint`: a folder of this one training, in which a
        killed one finds its last epoch again; an engine that trains in seconds leaves it empty.
        """
