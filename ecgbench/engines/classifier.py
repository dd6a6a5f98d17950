"""Text classifier: a sentence encoder's top layers, trained on cached activations of those below.

The lower layers are frozen, so they run once for a set of texts, without dropout; every fold, epoch and
seed trains on what they gave. The number of a batch never depends on how much memory there is: a batch of
`settings.batch_size` is computed in parts and its gradients added up (the dropout masks are drawn part by part).
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ecgbench.data import IntArray
from ecgbench.engines.batching import iter_batches, run_halving
from ecgbench.engines.context import batch_size
from ecgbench.engines.models import model_folder
from ecgbench.engines.truncation import cut_middle
from ecgbench.errors import UsageError
from ecgbench.profiles import ClassifierSettings

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import AdamW
    from torch.optim.lr_scheduler import LambdaLR

logger = logging.getLogger(__name__)

Logits = NDArray[np.float32]
FORWARD_BATCH = 64
POOL_BATCHES = 16
"""Each epoch is cut into shuffled pools of so many batches, each pool sorted by length: near lengths, new company."""


@dataclass(eq=False)
class Classifier:
    """A classifier before training: frozen lower layers and a template of the upper ones.

    `activations` remembers the last set of texts only. It goes by the whole set and not by single texts
    because a text's last bits depend on the batch it is in, and the same run must give the same bits.
    """

    settings: ClassifierSettings
    tokenizer: Any
    lower: nn.Module
    upper: nn.Module
    device: str
    _last: tuple[tuple[str, ...], list[Tensor]] = field(default=((), []), repr=False)

    def activations(self, texts: Sequence[str]) -> list[Tensor]:
        """Return the lower layers' output of each text: float16, shape (tokens, hidden), cut at max_tokens."""
        if self._last[0] != tuple(texts):
            self._last = ((), [])  # frees the old set before the new one is built
            self._last = (tuple(texts), self._run_lower(texts))
        return self._last[1]

    def _run_lower(self, texts: Sequence[str]) -> list[Tensor]:
        import torch

        limit = self.settings.max_tokens
        kept = cut_middle(texts, self.tokenizer, max_tokens=limit)
        tokens = self.tokenizer(kept, truncation=True, max_length=limit)["input_ids"]
        tokens = [torch.tensor(ids, dtype=torch.long) for ids in tokens]

        def run(positions: Sequence[int]) -> list[Tensor]:
            ids, mask = _pad([tokens[p] for p in positions], self.device)
            hidden = self.lower(input_ids=ids, attention_mask=mask).last_hidden_state.half().cpu()
            return [row[: len(tokens[p])].clone() for row, p in zip(hidden, positions, strict=True)]

        result: list[Tensor] = [torch.empty(0)] * len(tokens)
        with torch.no_grad():
            for positions in iter_batches([len(ids) for ids in tokens], batch_size(FORWARD_BATCH)):
                for position, row in zip(positions, run_halving(run, positions), strict=True):
                    result[position] = row
        return result


@dataclass(frozen=True, eq=False)
class TrainedClassifier:
    """A trained classifier and what its training showed.

    `train_logits`: float32, shape (epochs, n, C), each training item's logits in train mode (with dropout),
    from the very forward pass of that epoch that trained on it.
    """

    model: nn.ModuleDict
    device: str
    train_logits: Logits

    def predict(self, examples: Sequence[Tensor]) -> Logits:
        """Return the logits of cached activations, without dropout: float32, shape (m, C)."""
        return self._run(_forward, examples, width=self.train_logits.shape[2])

    def pool(self, examples: Sequence[Tensor]) -> NDArray[np.float32]:
        """Return the mean hidden state the head reads off each example, without dropout: float32, shape (m, hidden)."""
        body: Any = self.model["body"]
        return self._run(_pool, examples, width=body.config.hidden_size)

    def _run(
        self, forward: Callable[[Any, Sequence[Tensor], Any], Tensor], examples: Sequence[Tensor], *, width: int
    ) -> NDArray[np.float32]:
        import torch

        def run(positions: Sequence[int]) -> list[NDArray[np.float32]]:
            return list(forward(self.model, [examples[p] for p in positions], self.device).cpu().numpy())

        rows = np.zeros((len(examples), width), dtype=np.float32)
        self.model.eval()
        with torch.no_grad():
            for positions in iter_batches([len(example) for example in examples], batch_size(FORWARD_BATCH)):
                rows[positions] = run_halving(run, positions)
        return rows


def load_classifier(settings: ClassifierSettings, model_dir: Path) -> Classifier:
    """Load a BERT-like encoder from a local folder or package and split it below its trained layers."""
    folder = model_folder(settings.model, model_dir)
    import torch
    from transformers import AutoModel, AutoTokenizer

    device = "cuda" if torch.cuda.is_available() else "cpu"
    with torch.random.fork_rng():  # loading draws initial weights before it overwrites them
        model = AutoModel.from_pretrained(folder, local_files_only=True)
    lower, upper = _split(model, settings)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    logger.info("loaded classifier %s on %s", settings.model, device)
    return Classifier(settings, tokenizer, lower.to(device).eval(), upper.to(device), device)


def _split(model: Any, settings: ClassifierSettings) -> tuple[nn.Module, nn.Module]:
    from torch import nn

    class PassThrough(nn.Module):
        """Stand in for the word embeddings: what comes in is embedded already."""

        def forward(self, inputs_embeds: Tensor, **_: Any) -> Tensor:
            return inputs_embeds

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


def train_classifier(
    classifier: Classifier, examples: Sequence[Tensor], *, labels: IntArray, n_classes: int, seed: int
) -> TrainedClassifier:
    """Train the upper layers and a linear head on cached activations; no global random state moves.

    `examples`: one tensor of `Classifier.activations` an item; `labels`: int64, shape (n,). The same seed on
    the same machine gives the same bits.
    """
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        trainer = _build_trainer(classifier, examples, labels=labels, n_classes=n_classes)
        order = np.random.default_rng(seed)
        logits = np.stack([trainer.run_epoch(order) for _ in range(classifier.settings.epochs)])
    return TrainedClassifier(trainer.model, classifier.device, logits)


@dataclass(frozen=True, eq=False)
class _Trainer:
    settings: ClassifierSettings
    model: nn.ModuleDict
    optimizer: AdamW
    schedule: LambdaLR
    examples: Sequence[Tensor]
    labels: Tensor
    n_classes: int

    def run_epoch(self, rng: np.random.Generator) -> Logits:
        logits = np.zeros((len(self.examples), self.n_classes), dtype=np.float32)
        self.model.train()
        for batch in iter_shuffled([len(e) for e in self.examples], batch_size=self.settings.batch_size, rng=rng):
            logits[batch] = self.step(batch)
        return logits

    def step(self, batch: Sequence[int]) -> list[Logits]:
        """Take one optimiser step over a batch, computed in parts that fit in memory."""
        self.optimizer.zero_grad()
        part = batch_size(len(batch))
        logits: list[Logits] = []
        for start in range(0, len(batch), part):
            logits += run_halving(lambda p: self._add_gradients(p, share=1 / len(batch)), batch[start : start + part])
        self.optimizer.step()
        self.schedule.step()
        return logits

    def _add_gradients(self, positions: Sequence[int], *, share: float) -> list[Logits]:
        import torch

        labels = self.labels[list(positions)]
        logits = _forward(self.model, [self.examples[p] for p in positions], labels.device)
        loss = torch.nn.functional.cross_entropy(logits, labels, reduction="sum") * share
        parameters = list(self.model.parameters())
        # grad() and not backward(): a part that runs out of memory half-way must leave no gradient behind
        for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient
        return list(logits.detach().cpu().numpy())


def _build_trainer(classifier: Classifier, examples: Sequence[Tensor], *, labels: IntArray, n_classes: int) -> _Trainer:
    import torch

    settings, device = classifier.settings, classifier.device
    body: Any = copy.deepcopy(classifier.upper)
    head = torch.nn.Sequential(
        torch.nn.Dropout(body.config.hidden_dropout_prob), torch.nn.Linear(body.config.hidden_size, n_classes)
    )
    model = torch.nn.ModuleDict({"body": body, "head": head}).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    n_steps = settings.epochs * -(-len(examples) // settings.batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _warm_up_and_decay(n_steps, settings.warmup))
    target = torch.tensor(labels, dtype=torch.long, device=device)
    return _Trainer(settings, model, optimizer, schedule, examples, target, n_classes)


def _warm_up_and_decay(n_steps: int, warmup: float) -> Callable[[int], float]:
    n_warm = max(1, round(n_steps * warmup))
    return lambda step: min((step + 1) / n_warm, (n_steps - step) / max(1, n_steps - n_warm + 1))


def _forward(model: Any, examples: Sequence[Tensor], device: Any) -> Tensor:
    logits: Tensor = model["head"](_pool(model, examples, device))
    return logits


def _pool(model: Any, examples: Sequence[Tensor], device: Any) -> Tensor:
    hidden, mask = _pad([example.float() for example in examples], device)
    hidden = model["body"](inputs_embeds=hidden, attention_mask=mask).last_hidden_state
    weights = mask.unsqueeze(-1).to(hidden.dtype)
    pooled: Tensor = (hidden * weights).sum(1) / weights.sum(1)
    return pooled


def _pad(rows: Sequence[Tensor], device: Any) -> tuple[Tensor, Tensor]:
    """Stack rows of unlike length; returns them and the mask of what is not padding, int64, shape (b, longest)."""
    import torch

    padded = torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True)
    lengths = torch.tensor([len(row) for row in rows])
    mask = (torch.arange(padded.shape[1])[None, :] < lengths[:, None]).long()
    return padded.to(device), mask.to(device)


def iter_shuffled(lengths: Sequence[int], *, batch_size: int, rng: np.random.Generator) -> Iterator[list[int]]:
    """Yield every position once, in shuffled batches of near length."""
    order = rng.permutation(len(lengths))
    size = batch_size * POOL_BATCHES
    pools = (order[start : start + size] for start in range(0, len(order), size))
    by_length = [p for pool in pools for p in sorted(pool.tolist(), key=lengths.__getitem__)]
    batches = [by_length[start : start + batch_size] for start in range(0, len(by_length), batch_size)]
    yield from (batches[b] for b in rng.permutation(len(batches)))
