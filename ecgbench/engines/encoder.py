"""Sentence encoder: texts to L2-normalised vectors, through sentence-transformers."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ecgbench.engines.models import model_folder
from ecgbench.engines.truncation import cut_middle
from ecgbench.profiles import EncoderSettings

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

logger = logging.getLogger(__name__)

FloatVectors = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Encoder:
    """A loaded encoder, pooling as its model says (mean pooling for MiniLM)."""

    model: SentenceTransformer

    def encode(self, texts: Sequence[str]) -> FloatVectors:
        """Embed one batch: float32, shape (b, d), rows of length 1; an empty text is a text like any other."""
        if not texts:
            return np.zeros((0, self.model.get_embedding_dimension() or 0), dtype=np.float32)
        limit = self.model.max_seq_length
        vectors = self.model.encode(
            list(texts) if limit is None else cut_middle(texts, self.model.tokenizer, max_tokens=limit),
            batch_size=len(texts),
            normalize_embeddings=True,
            show_progress_bar=False,
        )
        return np.asarray(vectors, dtype=np.float32)


def load_encoder(settings: EncoderSettings, model_dir: Path) -> Encoder:
    """Load an encoder; safetensors only, no code from the model's folder."""
    folder = model_folder(settings.model, model_dir)
    import torch
    from sentence_transformers import SentenceTransformer

    device = "cuda" if torch.cuda.is_available() else "cpu"
    with torch.random.fork_rng():  # loading draws initial weights before it overwrites them
        model = SentenceTransformer(
            str(folder),
            device=device,
            local_files_only=True,
            trust_remote_code=False,
            model_kwargs={"use_safetensors": True},
        )
    model.max_seq_length = min(settings.max_tokens, model.max_seq_length or settings.max_tokens)
    model.eval()
    logger.info("loaded encoder %s on %s", settings.model, device)
    return Encoder(model)
