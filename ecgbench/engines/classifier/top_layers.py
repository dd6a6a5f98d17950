"""Text classifier: a sentence encoder's top layers, trained on cached activations of those below.

The lower layers are frozen, so they run once for a set of texts, without dropout; every fold, epoch and
seed trains on what they gave.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ecgbench.data import IntArray
from ecgbench.engines.batching import iter_batches, run_halving
from ecgbench.engines.classifier.base import Logits
from ecgbench.engines.classifier.batches import FORWARD_BATCH, pad, run_by_length, tokenize
from ecgbench.engines.classifier.training import Trainer, seeded
from ecgbench.engines.context import batch_size
from ecgbench.engines.models import model_folder
from ecgbench.errors import UsageError
from ecgbench.profiles import ClassifierSettings

if TYPE_CHECKING:
    from torch import Tensor, nn

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class TopLayersClassifier:
    """A classifier before training: frozen lower layers and a template of the upper ones.

    `prepare` remembers the last set of texts only. It goes by the whole set and not by single texts
    because a text's last bits depend on the batch it is in, and the same run must give the same bits.
    """

    settings: ClassifierSettings
    tokenizer: Any
    lower: nn.Module
    upper: nn.Module
    device: str
    _last: tuple[tuple[str, ...], list[Tensor]] = field(default=((), []), repr=False)

    def prepare(self, texts: Sequence[str]) -> list[Tensor]:
        """Return the lower layers' output of each text: float16, shape (tokens, hidden), cut at max_tokens."""
        if self._last[0] != tuple(texts):
            self._last = ((), [])  # frees the old set before the new one is built
            self._last = (tuple(texts), self._run_lower(texts))
        return self._last[1]

    def _run_lower(self, texts: Sequence[str]) -> list[Tensor]:
        import torch

        tokens = tokenize(texts, self.tokenizer, max_tokens=self.settings.max_tokens)

        def run(positions: Sequence[int]) -> list[Tensor]:
            ids, mask = pad([tokens[p] for p in positions], self.device)
            hidden = self.lower(input_ids=ids, attention_mask=mask).last_hidden_state.half().cpu()
            return [row[: len(tokens[p])].clone() for row, p in zip(hidden, positions, strict=True)]

        result: list[Tensor] = [torch.empty(0)] * len(tokens)
        with torch.no_grad():
            for positions in iter_batches([len(ids) for ids in tokens], batch_size(FORWARD_BATCH)):
                for position, row in zip(positions, run_halving(run, positions), strict=True):
                    result[position] = row
        return result

    def train(
        self,
        examples: Sequence[Tensor],
        *,
        labels: IntArray,
        n_classes: int,
        seed: int,
        checkpoint: Path | None = None,  # noqa: ARG002  # seconds of work: nothing to resume
    ) -> TrainedTopLayers:
        """Train the upper layers and a linear head on prepared texts; see Classifier."""
        with seeded(seed):
            model = self._new_model(n_classes)
            trainer = self._build_trainer(model, examples, labels=labels, n_classes=n_classes)
            model.train()
            order = np.random.default_rng(seed)
            logits = np.stack([trainer.run_epoch(epoch, order) for epoch in range(self.settings.epochs)])
        return TrainedTopLayers(model, self.device, logits)

    def _new_model(self, n_classes: int) -> nn.ModuleDict:
        import torch

        body: Any = copy.deepcopy(self.upper)
        head = torch.nn.Sequential(
            torch.nn.Dropout(body.config.hidden_dropout_prob), torch.nn.Linear(body.config.hidden_size, n_classes)
        )
        return torch.nn.ModuleDict({"body": body, "head": head}).to(self.device)

    def _build_trainer(
        self, model: nn.ModuleDict, examples: Sequence[Tensor], *, labels: IntArray, n_classes: int
    ) -> Trainer:
        import torch

        settings = self.settings
        return Trainer(
            settings,
            torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay),
            forward=lambda positions: _forward(model, [examples[p] for p in positions], self.device),
            lengths=[len(example) for example in examples],
            labels=torch.tensor(labels, dtype=torch.long, device=self.device),
            n_classes=n_classes,
        )


@dataclass(frozen=True, eq=False)
class TrainedTopLayers:
    """Trained upper layers with their head; see TrainedClassifier. What the head reads is the mean hidden state."""

    model: nn.ModuleDict
    device: str
    train_logits: Logits

    def predict(self, examples: Sequence[Tensor]) -> Logits:
        """Return the logits of cached activations, without dropout: float32, shape (m, C)."""
        self.model.eval()
        return run_by_length(
            lambda rows: _forward(self.model, rows, self.device), examples, width=self.train_logits.shape[2]
        )

    def pool(self, examples: Sequence[Tensor]) -> NDArray[np.float32]:
        """Return the mean hidden state the head reads off each example, without dropout: float32, shape (m, hidden)."""
        body: Any = self.model["body"]
        self.model.eval()
        return run_by_length(lambda rows: _pool(self.model, rows, self.device), examples, width=body.config.hidden_size)


def load_top_layers(settings: ClassifierSettings, model_dir: Path) -> TopLayersClassifier:
    """Load a BERT-like encoder and split it below its trained layers; safetensors only."""
    folder = model_folder(settings.model, model_dir)
    import torch
    from transformers import AutoModel, AutoTokenizer

    device = "cuda" if torch.cuda.is_available() else "cpu"
    with torch.random.fork_rng():  # loading draws initial weights before it overwrites them
        model = AutoModel.from_pretrained(
            folder, dtype=torch.float32, local_files_only=True, use_safetensors=True, trust_remote_code=False
        )
    lower, upper = _split(model, settings)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    logger.info("loaded classifier %s on %s", settings.model, device)
    return TopLayersClassifier(settings, tokenizer, lower.to(device).eval(), upper.to(device), device)


def _split(model: Any, settings: ClassifierSettings) -> tuple[nn.Module, nn.Module]:
    from torch import nn

    class PassThrough(nn.Module):
        """Stand in for the word embeddings: what comes in is embedded already."""

        def forward(self, inputs_embeds: Tensor, **_: Any) -> Tensor:
            return inputs_embeds

    assert settings.trained_layers is not None
    layers = getattr(getattr(model, "encoder", None), "layer", None)
    if layers is None:
        raise UsageError(f"classifier model {settings.model!r} has no encoder layers; give a BERT or RoBERTa model")
    if not 1 <= settings.trained_layers <= len(layers):
        raise UsageError(f"trained_layers is {settings.trained_layers}; {settings.model!r} has {len(layers)} layers")
    cut = len(layers) - settings.trained_layers
    model.pooler, model.encoder.layer = None, nn.ModuleList()
    lower, upper = model, copy.deepcopy(model)
    lower.encoder.layer, upper.encoder.layer = layers[:cut], layers[cut:]
    upper.embeddings = PassThrough()
    return lower, upper


def _forward(model: Any, examples: Sequence[Tensor], device: Any) -> Tensor:
    logits: Tensor = model["head"](_pool(model, examples, device))
    return logits


def _pool(model: Any, examples: Sequence[Tensor], device: Any) -> Tensor:
    hidden, mask = pad([example.float() for example in examples], device)
    hidden = model["body"](inputs_embeds=hidden, attention_mask=mask).last_hidden_state
    weights = mask.unsqueeze(-1).to(hidden.dtype)
    pooled: Tensor = (hidden * weights).sum(1) / weights.sum(1)
    return pooled
