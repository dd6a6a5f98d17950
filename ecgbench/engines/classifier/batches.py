"""Rows of unlike length: how texts become tokens, and batches of them tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ecgbench.engines.batching import iter_batches, run_halving
from ecgbench.engines.context import batch_size
from ecgbench.engines.truncation import cut_middle

if TYPE_CHECKING:
    from torch import Tensor

FORWARD_BATCH = 64
POOL_BATCHES = 16
"""Each epoch is cut into shuffled pools of so many batches, each pool sorted by length: near lengths, new company."""


def tokenize(texts: Sequence[str], tokenizer: Any, *, max_tokens: int) -> list[Tensor]:
    """Return the token ids of each text, special ones included: int64, cut in the middle at max_tokens."""
    import torch

    kept = cut_middle(texts, tokenizer, max_tokens=max_tokens)
    ids = tokenizer(kept, truncation=True, max_length=max_tokens)["input_ids"] if kept else []
    return [torch.tensor(row, dtype=torch.long) for row in ids]


def pad(rows: Sequence[Tensor], device: Any, *, value: int = 0) -> tuple[Tensor, Tensor]:
    """Stack rows of unlike length; returns them and the mask of what is not padding, int64, shape (b, longest)."""
    import torch

    padded = torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True, padding_value=value)
    lengths = torch.tensor([len(row) for row in rows])
    mask = (torch.arange(padded.shape[1])[None, :] < lengths[:, None]).long()
    return padded.to(device), mask.to(device)


def run_by_length(
    forward: Callable[[Sequence[Tensor]], Tensor], examples: Sequence[Tensor], *, width: int
) -> NDArray[np.float32]:
    """Run `forward` over all examples without gradients, those of near length together: float32, shape (n, width)."""
    import torch

    def run(positions: Sequence[int]) -> list[NDArray[np.float32]]:
        return list(forward([examples[p] for p in positions]).float().cpu().numpy())

    rows = np.zeros((len(examples), width), dtype=np.float32)
    with torch.no_grad():
        for positions in iter_batches([len(example) for example in examples], batch_size(FORWARD_BATCH)):
            rows[positions] = run_halving(run, positions)
    return rows


def iter_shuffled(lengths: Sequence[int], *, batch_size: int, rng: np.random.Generator) -> Iterator[list[int]]:
    """Yield every position once, in shuffled batches of near length."""
    order = rng.permutation(len(lengths))
    size = batch_size * POOL_BATCHES
    pools = (order[start : start + size] for start in range(0, len(order), size))
    by_length = [p for pool in pools for p in sorted(pool.tolist(), key=lengths.__getitem__)]
    batches = [by_length[start : start + batch_size] for start in range(0, len(by_length), batch_size)]
    yield from (batches[b] for b in rng.permutation(len(batches)))
