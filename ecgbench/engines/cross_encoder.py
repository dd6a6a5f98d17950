"""NLI cross-encoder: does a premise entail a hypothesis, contradict it, or neither?"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ecgbench.data import FloatArray
from ecgbench.engines.models import model_folder
from ecgbench.errors import UsageError
from ecgbench.profiles import CrossEncoderSettings

logger = logging.getLogger(__name__)

NLI_CLASSES = ("entailment", "neutral", "contradiction")
"""The columns of everything that judges premise and hypothesis."""
_STEMS = ("entail", "neutral", "contradict")


@dataclass(frozen=True, eq=False)
class CrossEncoder:
    """A loaded NLI model; `order`: where its outputs hold NLI_CLASSES."""

    model: Any
    tokenizer: Any
    order: tuple[int, ...]
    max_tokens: int

    def classify(self, pairs: Sequence[tuple[str, str]]) -> FloatArray:
        """Judge one batch of (premise, hypothesis): probabilities of NLI_CLASSES, float64, shape (b, 3).

        Of a pair that is too long only the premise is cut, at its end.
        """
        import torch

        if not pairs:
            return np.zeros((0, len(NLI_CLASSES)))
        premises, hypotheses = map(list, zip(*pairs, strict=True))
        tokens = self.tokenizer(
            premises,
            hypotheses,
            padding=True,
            truncation="only_first",
            max_length=self.max_tokens,
            split_special_tokens=True,  # a "</s>" in a text is text; BART counts the real ones
            return_tensors="pt",
        )
        with torch.inference_mode():
            logits = self.model(**tokens.to(self.model.device)).logits[:, list(self.order)]
            return np.asarray(torch.softmax(logits.double(), dim=-1).cpu().numpy())


def load_cross_encoder(settings: CrossEncoderSettings, model_dir: Path) -> CrossEncoder:
    """Load an NLI model from a local folder or an installed package; safetensors only.

    Raises UsageError where its configuration does not name the three classes.
    """
    folder = model_folder(settings.model, model_dir)
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    order = find_classes(config.id2label, settings.model)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with torch.random.fork_rng():  # loading draws initial weights before it overwrites them
        model: Any = AutoModelForSequenceClassification.from_pretrained(
            folder,
            config=config,
            dtype=torch.float32,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
        )
    tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    logger.info("loaded cross-encoder %s on %s", settings.model, device)
    return CrossEncoder(model.eval().to(device), tokenizer, order, min(settings.max_tokens, tokenizer.model_max_length))


def find_classes(id2label: Mapping[int, str], reference: str) -> tuple[int, ...]:
    """Return the positions of NLI_CLASSES in a model's outputs, read from its class names, in any case.

    Raises UsageError where the names are not just these three: no order is ever assumed.
    """
    found = [[i for i, name in id2label.items() if stem in name.lower()] for stem in _STEMS]
    if len(id2label) != len(_STEMS) or any(len(positions) != 1 for positions in found):
        names = ", ".join(id2label[i] for i in sorted(id2label))
        raise UsageError(
            f"model {reference!r} has the classes {names}; NLI needs {', '.join(NLI_CLASSES)}: "
            "name them under id2label in its config.json, or choose another model"
        )
    return tuple(positions[0] for positions in found)
