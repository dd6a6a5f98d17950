"""One way to train: AdamW, linear warm-up and decay, each batch in parts that fit in memory.

The number of a batch never depends on how much memory there is: a batch of `settings.batch_size` is computed in
parts and its gradients added up (the dropout masks are drawn part by part).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ecgbench.engines.batching import run_halving
from ecgbench.engines.classifier.base import Logits
from ecgbench.engines.classifier.batches import iter_shuffled
from ecgbench.engines.context import batch_size
from ecgbench.profiles import ClassifierSettings

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch inside the block, on every device; its random states come back afterwards."""
    import torch

    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield


@dataclass(frozen=True, eq=False)
class Trainer:
    """Trains what `optimizer` holds.

    `forward`: positions to logits, float32, shape (b, C), with gradients; `lengths`: how long each example is;
    `labels`: int64, shape (n,), on the model's device.
    """

    settings: ClassifierSettings
    optimizer: Optimizer
    forward: Callable[[Sequence[int]], Tensor]
    lengths: Sequence[int]
    labels: Tensor
    n_classes: int

    def run_epoch(self, epoch: int, rng: np.random.Generator) -> Logits:
        """Train on every example once; returns the logits that it was trained from, float32, shape (n, C)."""
        logits = np.zeros((len(self.lengths), self.n_classes), dtype=np.float32)
        batches = list(iter_shuffled(self.lengths, batch_size=self.settings.batch_size, rng=rng))
        for number, batch in enumerate(batches):
            self._set_rate(epoch * len(batches) + number, n_steps=self.settings.epochs * len(batches))
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
        return logits

    def _set_rate(self, step: int, *, n_steps: int) -> None:
        """Set the learning rate from the step alone, so that a resumed training needs no schedule of its own."""
        rate = self.settings.learning_rate * warm_up_and_decay(step, n_steps=n_steps, warmup=self.settings.warmup)
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def _add_gradients(self, positions: Sequence[int], *, share: float) -> list[Logits]:
        import torch

        logits = self.forward(positions)
        loss = torch.nn.functional.cross_entropy(logits, self.labels[list(positions)], reduction="sum") * share
        parameters = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        # grad() and not backward(): a part that runs out of memory half-way must leave no gradient behind
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            if gradient is not None:
                parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient
        return list(logits.detach().cpu().numpy())


def warm_up_and_decay(step: int, *, n_steps: int, warmup: float) -> float:
    """Return the share of the learning rate at a step: up over the first `warmup` of all steps, then down to near 0.

    Never 0 itself: the first and the last batch train too.
    """
    n_warm = max(1, round(n_steps * warmup))
    return min((step + 1) / n_warm, (n_steps - step) / max(1, n_steps - n_warm + 1))
