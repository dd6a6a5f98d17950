"""Run a causal language model through transformers, with each prompt prefix computed once."""

from __future__ import annotations

import logging
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ecgbench.data import FloatArray
from ecgbench.engines.llm import shared_prefix
from ecgbench.engines.llm.base import Prompt, TokenUsage
from ecgbench.engines.llm.json_grammar import JsonGrammar
from ecgbench.engines.llm.shared_prefix import PADDING, Rows, SharedPrefix
from ecgbench.engines.llm.tokens import PromptTokens
from ecgbench.engines.models import model_folder
from ecgbench.profiles import LlmSettings

logger = logging.getLogger(__name__)

if TYPE_CHECKING:
    import torch
    from torch import Tensor

KEPT_PREFIXES = 4
"""How many prefixes keep their keys and values; a task uses two."""
SCREENED = 16
"""How many tokens the rough output layer proposes; the exact one decides among them."""
SAMPLED = 64
"""Draws are among so many of the likeliest tokens (top-k): the tail of a small model is noise."""

_SCALES = ("final_logit_softcapping", "logits_scaling", "logit_scale")
"""Settings of models that change their logits after the output layer."""


@dataclass
class _Batch:
    """Rows being continued: their own cache, the position of each of its slots (b, s), the last output (b, x)."""

    prefix: SharedPrefix
    cache: Any
    positions: Tensor
    last: Tensor

    def take(self, rows: Tensor) -> None:
        """Go on with these rows, some of them perhaps more than once."""
        for layer in self.cache.layers:
            layer.keys, layer.values = layer.keys[rows], layer.values[rows]
        self.positions, self.last = self.positions[rows], self.last[rows]


@dataclass
class TransformersLlm:
    """A causal language model on the GPU where there is one, else on the CPU."""

    model: Any
    tokens: PromptTokens
    screen: Tensor | None = None
    usage: TokenUsage = field(default_factory=TokenUsage)
    _prefixes: dict[tuple[int, ...], SharedPrefix] = field(default_factory=dict)
    _grammars: dict[bool, JsonGrammar] = field(default_factory=dict)

    @classmethod
    def load(cls, settings: LlmSettings, model_dir: Path) -> TransformersLlm:
        """Load the model of these settings; safetensors only, no code from the model's folder."""
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()  # type: ignore[no-untyped-call]
        shared_prefix.register()
        folder = model_folder(settings.model, model_dir)
        with torch.random.fork_rng():  # loading may draw initial weights before it overwrites them
            model: Any = AutoModelForCausalLM.from_pretrained(
                folder,
                dtype=number_format(settings.dtype),
                attn_implementation=shared_prefix.NAME,
                use_safetensors=True,
                trust_remote_code=False,
            )
        device = "cuda" if torch.cuda.is_available() else "cpu"
        logger.info("loaded language model %s on %s in %s", settings.model, device, model.dtype)
        tokens = PromptTokens(AutoTokenizer.from_pretrained(folder, trust_remote_code=False), settings.model)
        return cls(model.eval().to(device), tokens, _screen(model))

    @property
    def tokenizer(self) -> Any:
        """Return the model's own tokenizer."""
        return self.tokens.tokenizer

    def label_logits(self, prompts: Sequence[Prompt], labels: Sequence[str]) -> FloatArray:
        """Return log-probabilities of the labels as continuations: float64, shape (b, C).

        Where the labels' first tokens differ they decide; else the whole label and its end are scored.
        """
        import torch

        answers = self.tokens.encode_labels(labels, chat=prompts[0].chat)
        with torch.inference_mode():
            batch = self._start(prompts, logits=True)
            first = torch.log_softmax(batch.last, dim=-1)
            scores = torch.stack([self._sequence_score(batch, first, ids) for ids in answers], dim=1)
        return np.asarray(scores.cpu().numpy(), dtype=np.float64)

    def generate(
        self,
        prompts: Sequence[Prompt],
        *,
        max_new_tokens: int,
        stop: str | None = None,
        schemas: Sequence[str] | None = None,
        temperature: float = 0.0,
        seeds: Sequence[int] | None = None,
    ) -> list[str]:
        """Continue each prompt up to `stop` (left out), its own end or `max_new_tokens`; see LanguageModel."""
        import torch

        draw = _Draw(temperature, seeds or range(len(prompts))) if temperature else _likeliest
        # A grammar judges all tokens, and so needs all their logits.
        json_replies = self._grammar(chat=prompts[0].chat).start(schemas) if schemas else None
        exact = json_replies is not None or self.screen is None
        ends = set(self.tokens.ends(chat=prompts[0].chat))
        replies: list[list[int]] = [[] for _ in prompts]
        alive = list(range(len(prompts)))
        with torch.inference_mode():
            batch = self._start_once(prompts, logits=exact)
            for step in range(1, max_new_tokens + 1):
                if json_replies:
                    json_replies.allow(batch.last, alive)
                proposed = self._propose(batch.last, SAMPLED if temperature else SCREENED, exact=exact)
                chosen = draw(*proposed, alive)
                for row, token in zip(alive, chosen.tolist(), strict=True):
                    replies[row].append(token)
                going = [
                    i
                    for i, row in enumerate(alive)
                    if not (json_replies and json_replies.accept(row, replies[row][-1]))
                    and not self._is_done(replies[row], ends, stop)
                ]
                if step == max_new_tokens or not going:
                    break
                if len(going) < len(alive):
                    kept = torch.tensor(going, device=self.model.device)
                    batch.take(kept)
                    alive, chosen = [alive[i] for i in going], chosen[kept]
                self._advance(batch, chosen[:, None], logits=exact)
        self.usage.reply += sum(map(len, replies))
        texts = map(self._decode, replies)
        return [text.partition(stop)[0] for text in texts] if stop else list(texts)

    def _decode(self, ids: Sequence[int]) -> str:
        text: str = self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text

    def _is_done(self, reply: Sequence[int], ends: Set[int], stop: str | None) -> bool:
        return reply[-1] in ends or (stop is not None and stop in self._decode(reply))

    def _grammar(self, *, chat: bool) -> JsonGrammar:
        """Return what keeps replies to a schema, set up on first use."""
        if chat not in self._grammars:
            width = self.model.get_output_embeddings().weight.shape[0]
            self._grammars[chat] = JsonGrammar.of(self.tokenizer, width, self.tokens.ends(chat=chat))
        return self._grammars[chat]

    def _propose(self, last: Tensor, count: int, *, exact: bool) -> tuple[Tensor, Tensor]:
        """Return the likeliest next tokens and their logits, (b, count), likeliest first.

        `last`: if `exact` logits (b, vocabulary), else hidden states (b, d). The output layer is most of the cost
        of a small model. Where bfloat16 is fast it proposes the tokens in that, and only their logits are computed
        exactly.
        """
        if exact or self.screen is None:
            logits, tokens = last.topk(min(count, last.shape[1]), dim=-1)
            return tokens, logits
        weight = self.model.get_output_embeddings().weight
        proposed = (last.to(self.screen.dtype) @ self.screen.T).topk(count, dim=-1).indices
        scores, order = (weight[proposed] @ last[:, :, None]).squeeze(-1).sort(dim=-1, descending=True)
        return proposed.gather(1, order), scores

    def _prefix(self, head: Sequence[int]) -> SharedPrefix:
        """Return the keys and values of a prefix, computed on first use."""
        import torch

        if not head:
            return SharedPrefix()
        key = tuple(head)
        if key not in self._prefixes:
            if len(self._prefixes) >= KEPT_PREFIXES:
                del self._prefixes[next(iter(self._prefixes))]
            ids = torch.tensor([head], device=self.model.device)
            positions = torch.arange(ids.shape[1], device=ids.device)[None]
            cache, _ = self._forward(ids, Rows(SharedPrefix(), positions, positions), None, logits=False)
            self._prefixes[key] = SharedPrefix([(layer.keys[0], layer.values[0]) for layer in cache.layers])
        return self._prefixes[key]

    def _start_once(self, prompts: Sequence[Prompt], *, logits: bool) -> _Batch:
        """Run each different prompt once; a prompt that was given several times is continued as often."""
        import torch

        place = {prompt: i for i, prompt in enumerate(dict.fromkeys(prompts))}
        batch = self._start(list(place), logits=logits)
        if len(place) < len(prompts):
            batch.take(torch.tensor([place[prompt] for prompt in prompts], device=self.model.device))
        return batch

    def _start(self, prompts: Sequence[Prompt], *, logits: bool) -> _Batch:
        """Run the suffixes, padded on the left, behind the prefix they share."""
        import torch

        encoded = self.tokens.encode(prompts)
        prefix, suffixes = self._prefix(encoded.head), encoded.rows
        width = max(map(len, suffixes))
        self.usage.calls += len(prompts)
        self.usage.prompt += sum(len(encoded.head) + len(own) for own in suffixes)
        ids = torch.tensor([[self.tokenizer.pad_token_id or 0] * (width - len(s)) + s for s in suffixes])
        positions = torch.tensor([[PADDING] * (width - len(s)) + list(range(len(s))) for s in suffixes])
        positions = torch.where(positions == PADDING, PADDING, positions + len(prefix)).to(self.model.device)
        # A padding token may see the prefix, or its row of the softmax would be empty and NaN.
        queries = positions.clamp(min=len(prefix))
        rows = Rows(prefix, queries, positions)
        cache, out = self._forward(ids.to(self.model.device), rows, None, logits=logits)
        return _Batch(prefix, cache, positions, out[:, -1])

    def _advance(self, batch: _Batch, tokens: Tensor, *, logits: bool) -> None:
        """Append one token a row, shape (b, 1), and compute what comes next."""
        import torch

        queries = batch.positions[:, -1:] + 1
        batch.positions = torch.cat([batch.positions, queries], dim=1)
        rows = Rows(batch.prefix, queries, batch.positions)
        batch.cache, out = self._forward(tokens, rows, batch.cache, logits=logits)
        batch.last = out[:, -1]

    def _sequence_score(self, batch: _Batch, first: Tensor, ids: list[int]) -> Tensor:
        """Return the log-probability (b,) of a continuation, given those of all first tokens."""
        import torch

        if len(ids) == 1:
            return first[:, ids[0]]
        tokens = torch.tensor(ids[:-1], device=first.device).expand(len(first), -1)
        queries = batch.positions[:, -1:] + torch.arange(1, len(ids), device=first.device)
        rows = Rows(batch.prefix, queries, torch.cat([batch.positions, queries], dim=1))
        _, logits = self._forward(tokens, rows, _branch(batch.cache), logits=True, keep=len(ids) - 1)
        later = torch.log_softmax(logits, dim=-1)[:, torch.arange(len(ids) - 1), ids[1:]]
        return first[:, ids[0]] + later.sum(dim=1)

    def _forward(self, ids: Tensor, rows: Rows, cache: Any, *, logits: bool, keep: int = 1) -> tuple[Any, Tensor]:
        """Run the model; return its cache and float32 logits (b, keep, vocabulary), else hidden states (b, t, d)."""
        from transformers import DynamicCache

        cache = DynamicCache() if cache is None else cache
        given = {
            "input_ids": ids,
            "position_ids": rows.queries,
            "past_key_values": cache,
            "use_cache": True,
            "rows": rows,
        }
        if logits:
            return cache, self.model(**given, logits_to_keep=keep).logits.float()
        return cache, self.model.base_model(**given).last_hidden_state


@dataclass
class _Draw:
    """Draw the next token of each row from the row's own generator."""

    temperature: float
    seeds: Sequence[int]
    _generators: list[Any] = field(default_factory=list)

    def __call__(self, tokens: Tensor, logits: Tensor, rows: Sequence[int]) -> Tensor:
        import torch

        if not self._generators:
            self._generators = [np.random.default_rng(seed) for seed in self.seeds]
        edges = torch.softmax(logits.double() / self.temperature, dim=-1).cumsum(dim=-1)
        where = torch.tensor([[self._generators[row].random()] for row in rows], device=edges.device)
        drawn = (edges <= where * edges[:, -1:]).sum(dim=-1, keepdim=True)
        return tokens.gather(1, drawn.clamp(max=tokens.shape[1] - 1)).squeeze(1)


def _likeliest(tokens: Tensor, _: Tensor, __: Sequence[int]) -> Tensor:
    """Return the first, likeliest proposal of each row."""
    return tokens[:, 0]


def number_format(dtype: str) -> torch.dtype:
    """Return the number format that a setting stands for on this machine."""
    import torch

    if dtype != "auto":
        chosen: torch.dtype = getattr(torch, dtype)
        return chosen
    return torch.bfloat16 if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else torch.float32


def _screen(model: Any) -> Tensor | None:
    """Return the output layer in bfloat16 where the CPU multiplies that several times faster, else None.

    Only where the output layer is all there is between hidden states and logits.
    """
    import torch

    head = model.get_output_embeddings()
    fast = getattr(torch.cpu, "_is_avx512_bf16_supported", bool)()
    is_plain = getattr(head, "bias", None) is None and all(
        getattr(model.config, name, None) is None for name in _SCALES
    )
    if model.dtype != torch.float32 or torch.cuda.is_available() or not fast or not is_plain:
        return None
    screen: Tensor = head.weight.detach().to(torch.bfloat16)
    return screen


def _branch(cache: Any) -> Any:
    """Return a cache that starts from this one's tensors; appending copies, so neither sees the other."""
    from transformers import DynamicCache

    return DynamicCache([(layer.keys, layer.values) for layer in cache.layers])
