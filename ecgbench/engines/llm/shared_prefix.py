"""Attention of many rows behind one prefix, whose keys and values exist once and are never repeated.

Scores against the prefix are one matrix product for the whole batch; only each row's own tokens need
a cache of their own. Positions are explicit, so padding leaves no trace in any result. Registered
with transformers under NAME; the state travels through the model's keyword arguments as `rows`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

NAME = "ecgbench_shared_prefix"
PADDING = -1


@dataclass
class SharedPrefix:
    """Keys and values of a prefix by layer, each (kv heads, length, head size)."""

    layers: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    def __len__(self) -> int:
        return int(self.layers[0][0].shape[1]) if self.layers else 0


@dataclass
class Rows:
    """One forward step of a batch: the shared prefix, and positions (b, t) and (b, s) of queries and own keys."""

    prefix: SharedPrefix
    queries: Tensor
    keys: Tensor
    _masks: dict[int | None, Tensor] = field(default_factory=dict)

    def hidden(self, window: int | None) -> Tensor:
        """Return what each query must not see, bool (b, t, prefix + s); computed once a step and window."""
        if window not in self._masks:
            self._masks[window] = self._hide(window)
        return self._masks[window]

    def _hide(self, window: int | None) -> Tensor:
        import torch

        before = torch.arange(len(self.prefix), device=self.keys.device).expand(len(self.keys), -1)
        keys = torch.cat([before, self.keys], dim=1)[:, None, :]
        queries = self.queries[:, :, None]
        hidden = (keys == PADDING) | (keys > queries)
        return hidden if window is None else hidden | (queries - keys >= window)


def register() -> None:
    """Make the attention known to transformers; repeating it does no harm."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, attend)


def attend(  # the signature is transformers'
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,  # noqa: ARG001  # masks follow from positions
    *,
    rows: Rows,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attend from query (b, heads, t, d) to the prefix and to own keys (b, kv heads, s, d)."""
    import torch

    b, heads, t, d = query.shape
    kv_heads = key.shape[1]
    query = query.reshape(b, kv_heads, heads // kv_heads * t, d) * (d**-0.5 if scaling is None else scaling)
    scores = query @ key.transpose(2, 3)
    if len(rows.prefix):
        before_keys, before_values = rows.prefix.layers[module.layer_idx]
        scores = torch.cat([_fold(query) @ before_keys.transpose(1, 2), _fold(scores)], dim=2)
        scores = _unfold(scores, b)
    if softcap is not None:
        scores = torch.tanh(scores / softcap) * softcap
    hidden = rows.hidden(sliding_window)[:, None, None]
    grouped = scores.view(b, kv_heads, -1, t, scores.shape[-1])
    grouped.masked_fill_(hidden, float("-inf"))
    # As in transformers: half precision is too coarse for a sum over a whole prompt.
    weights = torch.softmax(grouped, dim=-1, dtype=torch.float32).to(query.dtype).view(scores.shape)
    out = weights[..., len(rows.prefix) :] @ value
    if len(rows.prefix):
        out = out + _unfold(_fold(weights[..., : len(rows.prefix)]) @ before_values, b)
    return out.view(b, heads, t, d).transpose(1, 2).contiguous(), None


def _fold(rows: Tensor) -> Tensor:
    """Turn (b, kv heads, r, x) into (kv heads, b * r, x): all rows meet the prefix in one product."""
    return rows.transpose(0, 1).reshape(rows.shape[1], -1, rows.shape[3])


def _unfold(folded: Tensor, b: int) -> Tensor:
    return folded.view(folded.shape[0], b, -1, folded.shape[2]).transpose(0, 1).contiguous()
