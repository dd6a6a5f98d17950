"""Text classifier that is fine-tuned whole: RoBERTa, BERT, DeBERTa, ... with the head that transformers gives it.

Training runs through accelerate, in bfloat16 where the GPU has it; predictions and states come in float32.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ecgbench.data import IntArray
from ecgbench.engines.classifier.base import Logits
from ecgbench.engines.classifier.batches import pad, run_by_length, tokenize
from ecgbench.engines.classifier.checkpoint import Checkpoint, restore_optimizer, save_optimizer
from ecgbench.engines.classifier.training import Trainer, seeded
from ecgbench.engines.models import model_folder
from ecgbench.errors import UsageError
from ecgbench.profiles import ClassifierSettings
from ecgbench.seeds import derive_int, derive_rng
from ecgbench.store.keys import digest

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import AdamW, Optimizer

logger = logging.getLogger(__name__)

LOGITS = "logits.npy"


@dataclass(frozen=True, eq=False)
class FullClassifier:
    """A classifier before training: its weights stay on disk, each training loads them anew."""

    settings: ClassifierSettings
    folder: Path
    tokenizer: Any

    def prepare(self, texts: Sequence[str]) -> list[Tensor]:
        """Return the token ids of each text: int64, cut in the middle at max_tokens."""
        limit = min(self.settings.max_tokens, self.tokenizer.model_max_length)
        return tokenize(texts, self.tokenizer, max_tokens=limit)

    def train(
        self,
        examples: Sequence[Tensor],
        *,
        labels: IntArray,
        n_classes: int,
        seed: int,
        checkpoint: Path | None = None,
    ) -> TrainedFull:
        """Fine-tune every weight on prepared texts; see Classifier.

        `checkpoint` holds after each epoch what a killed training goes on from, and at the end nothing but
        `epoch-N`: the trained model, as transformers loads it, and the recorded logits. On a CPU a resumed
        training ends with the bits of an undisturbed one.
        """
        steps = self._steps(checkpoint, [[e.tolist() for e in examples], labels.tolist(), n_classes, seed])
        with steps.alone() if steps else nullcontext():
            return self._train(examples, steps, labels=labels, n_classes=n_classes, seed=seed)

    def _train(
        self, examples: Sequence[Tensor], steps: Checkpoint | None, *, labels: IntArray, n_classes: int, seed: int
    ) -> TrainedFull:
        from accelerate import Accelerator

        last = steps.latest() if steps else None
        logits = list(np.load(last / LOGITS, allow_pickle=False)) if last else []
        with seeded(seed):
            model = _load_model(last or self.folder, n_classes)
        accelerator = Accelerator(mixed_precision="bf16" if _has_bf16() else "no")
        model, optimizer = accelerator.prepare(model, self._new_optimizer(model))
        if last and len(logits) < self.settings.epochs:
            restore_optimizer(optimizer, last)
        trainer = self._new_trainer(model, optimizer, examples, labels=labels, n_classes=n_classes)
        for epoch in range(len(logits), self.settings.epochs):
            model.train()
            with seeded(derive_int(seed, f"epoch/{epoch}")):
                logits.append(trainer.run_epoch(epoch, derive_rng(seed, f"order/{epoch}")))
            if steps:
                with steps.write(epoch + 1) as folder:
                    is_last = epoch + 1 == self.settings.epochs
                    self._save(folder, model, logits, None if is_last else optimizer)
        # Without the wrapper of mixed precision: what is read off the trained model comes in float32.
        plain = accelerator.unwrap_model(model, keep_fp32_wrapper=False)
        return TrainedFull(plain, self.tokenizer.pad_token_id, np.stack(logits))

    def _steps(self, folder: Path | None, trained_on: Sequence[Any]) -> Checkpoint | None:
        if folder is None:
            return None
        return Checkpoint(folder, digest("training/1", [self.settings, *trained_on]), asdict(self.settings))

    def _new_optimizer(self, model: Any) -> AdamW:
        """Return AdamW with weight decay on matrices only, not on biases and LayerNorm."""
        import torch

        parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        groups = [
            {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": self.settings.weight_decay},
            {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=self.settings.learning_rate)

    def _new_trainer(
        self, model: Any, optimizer: Optimizer, examples: Sequence[Tensor], *, labels: IntArray, n_classes: int
    ) -> Trainer:
        import torch

        return Trainer(
            self.settings,
            optimizer,
            forward=lambda batch: _forward(model, [examples[p] for p in batch], self.tokenizer.pad_token_id).logits,
            lengths=[len(example) for example in examples],
            labels=torch.tensor(labels, dtype=torch.long, device=model.device),
            n_classes=n_classes,
        )

    def _save(self, folder: Path, model: Any, logits: Sequence[Logits], optimizer: Optimizer | None) -> None:
        model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        np.save(folder / LOGITS, np.stack(logits), allow_pickle=False)
        if optimizer is not None:
            save_optimizer(optimizer, folder)


@dataclass(frozen=True, eq=False)
class TrainedFull:
    """A model of transformers, fine-tuned; see TrainedClassifier. Its head reads the first token's hidden state."""

    model: Any
    pad_id: int
    train_logits: Logits

    def predict(self, examples: Sequence[Tensor]) -> Logits:
        """Return the logits of prepared texts, without dropout: float32, shape (m, C)."""
        self.model.eval()
        return run_by_length(
            lambda rows: _forward(self.model, rows, self.pad_id).logits, examples, width=self.train_logits.shape[2]
        )

    def pool(self, examples: Sequence[Tensor]) -> NDArray[np.float32]:
        """Return the last hidden state of each text's first token, without dropout: float32, shape (m, hidden)."""
        self.model.eval()
        body = self.model.base_model
        return run_by_length(
            lambda rows: _forward(body, rows, self.pad_id).last_hidden_state[:, 0],
            examples,
            width=self.model.config.hidden_size,
        )


def load_full(settings: ClassifierSettings, model_dir: Path) -> FullClassifier:
    """Find a model and load its tokenizer; safetensors only, no code from the model's folder.

    Raises UsageError where the model has no classification token, whose state its head could read.
    """
    folder = model_folder(settings.model, model_dir)
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    if tokenizer.cls_token_id is None or tokenizer.pad_token_id is None:
        raise UsageError(
            f"classifier model {settings.model!r} has no classification token; give an encoder: RoBERTa, BERT, DeBERTa"
        )
    return FullClassifier(settings, folder, tokenizer)


def _load_model(folder: Path, n_classes: int) -> Any:
    """Load the weights in float32; a head that the folder does not hold, or for other classes, is drawn anew."""
    import torch
    from transformers import AutoModelForSequenceClassification
    from transformers.utils import logging as messages

    verbosity = messages.get_verbosity()
    messages.set_verbosity(logging.ERROR)  # its report of a head drawn anew is no news
    try:
        return AutoModelForSequenceClassification.from_pretrained(
            folder,
            num_labels=n_classes,
            ignore_mismatched_sizes=True,
            dtype=torch.float32,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
        )
    finally:
        messages.set_verbosity(verbosity)


def _forward(model: Any, examples: Sequence[Tensor], pad_id: int) -> Any:
    ids, mask = pad(examples, model.device, value=pad_id)
    return model(input_ids=ids, attention_mask=mask)


def _has_bf16() -> bool:
    import torch

    return torch.cuda.is_available() and torch.cuda.is_bf16_supported()
