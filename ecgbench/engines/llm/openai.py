"""Ask a language model behind an OpenAI-compatible server."""

from __future__ import annotations

import json
import logging
import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from ecgbench.data import FloatArray
from ecgbench.engines.llm.base import Prompt, TokenUsage
from ecgbench.engines.llm.server import RefusedError, Server, chat_request
from ecgbench.errors import EcgbenchError
from ecgbench.profiles import LlmSettings

logger = logging.getLogger(__name__)

TOP_TOKENS = 20
"""How many of the likeliest tokens are asked for: as many as servers give."""
FLOOR = 1.0
"""How far below the least likely returned token a label is put that is not among them."""
NEGLIGIBLE = math.log(1e-3)
"""A token no likelier than that may stand for two labels: it decides nothing."""
_SEEDS = 2**31
_ANOTHER_WAY = (
    "have labels stated in words, --set profile.llm.label_answers=stated --set profile.llm.style=chat, "
    "or run the model by --set profile.llm.engine=vllm or transformers"
)


@dataclass
class OpenAiLlm:
    """A language model behind a server, asked several things at a time."""

    server: Server
    usage: TokenUsage = field(default_factory=TokenUsage)
    _counting: Any = field(default_factory=threading.Lock, repr=False)

    @classmethod
    def load(cls, settings: LlmSettings, model_dir: Path) -> OpenAiLlm:  # noqa: ARG003  # a server keeps its models
        """Set up the client; asks the server nothing. Raises MissingPackageError, UsageError without an address."""
        return cls(Server.connect(settings))

    def close(self) -> None:
        """Close the connections."""
        self.server.close()

    def label_logits(self, prompts: Sequence[Prompt], labels: Sequence[str]) -> FloatArray:
        """Return log-probabilities of the labels' first tokens: float64, shape (b, C).

        They are read off the likeliest tokens that the server returns; see `score_labels`. NaN where it refuses a
        prompt or returns none. Raises EcgbenchError where it does so with every prompt, or where two labels begin
        with the same token.
        """
        distinct = list(dict.fromkeys(prompts))
        returned = self.server.run(self._top_tokens, distinct, bare=prompts[0].without_text())
        scores = {
            prompt: score_labels(top, labels, lead=_lead(prompt))
            for prompt, top in zip(distinct, returned, strict=True)
            if top is not None
        }
        silent = sum(len(set(row)) == 1 for row in scores.values())
        if silent:
            logger.warning("%d of %d answers have no label among their likeliest tokens", silent, len(distinct))
        refused = [math.nan] * len(labels)
        return np.array([scores.get(prompt, refused) for prompt in prompts], dtype=np.float64)

    def generate(
        self,
        prompts: Sequence[Prompt],
        *,
        max_new_tokens: int,
        stop: str | None = None,
        schemas: Sequence[str] | None = None,
        temperature: float = 0.0,
        seeds: Sequence[int] | None = None,
    ) -> list[str | None]:
        """Continue each prompt up to `stop` (left out), its own end or `max_new_tokens`; see LanguageModel.

        The draws of one prompt under one schema are one request, with the seed of the first, so that the prompt
        is paid for once.
        """
        drawn: Sequence[int] = (seeds or range(len(prompts))) if temperature else [0] * len(prompts)
        forms: Sequence[str | None] = schemas if schemas else [None] * len(prompts)
        asked = list(zip(prompts, forms, drawn, strict=True))
        groups: dict[tuple[Prompt, str | None], dict[int, None]] = {}
        for prompt, schema, seed in asked:
            groups.setdefault((prompt, schema), {})[seed] = None
        shared: dict[str, Any] = {"max_tokens": max_new_tokens, "temperature": temperature}
        shared |= {"stop": [stop]} if stop else {}
        draws = [({**_request(*own), **shared}, list(group)) for own, group in groups.items()]
        found = self.server.run(
            lambda one: self._draw(*one, seeded=temperature > 0),
            draws,
            bare=({**_request(prompts[0].without_text(), forms[0]), **shared}, [drawn[0]]),
        )
        replies = {
            (*own, seed): text.partition(stop)[0] if stop else text
            for (own, group), texts in zip(groups.items(), found, strict=True)
            if texts is not None
            for seed, text in zip(group, texts, strict=True)
        }
        return [replies.get(own) for own in asked]

    def _draw(self, request: dict[str, Any], seeds: Sequence[int], *, seeded: bool) -> list[str]:
        """Return a reply a seed; a server that gives fewer than it is asked for is asked again."""
        texts: list[str] = []
        while len(texts) < len(seeds):
            left = len(seeds) - len(texts)
            own = {"seed": seeds[len(texts)] % _SEEDS} if seeded else {}
            answer = self._send({**request, **own, **({"n": left} if left > 1 else {})})
            texts += map(_text, answer.choices[:left])
        return texts

    def _top_tokens(self, prompt: Prompt) -> dict[bytes, float]:
        """Return the likeliest tokens after a prompt with their log-probabilities."""
        wanted = {"logprobs": True, "top_logprobs": TOP_TOKENS} if prompt.chat else {"logprobs": TOP_TOKENS}
        answer = self._send({**_request(prompt), **wanted, "max_tokens": 1, "temperature": 0.0})
        try:
            logprobs = answer.choices[0].logprobs
            found = _of_chat(logprobs) if prompt.chat else _of_text(logprobs)
        except (AttributeError, IndexError, TypeError):
            found = {}
        if not found:
            raise RefusedError(f"the server gives no log-probabilities of tokens; {_ANOTHER_WAY}")
        return found

    def _send(self, request: dict[str, Any]) -> Any:
        answer = self.server.send(request)
        used = getattr(answer, "usage", None)
        with self._counting:
            self.usage.calls += 1
            self.usage.prompt += getattr(used, "prompt_tokens", None) or 0
            self.usage.reply += getattr(used, "completion_tokens", None) or 0
        return answer


def score_labels(top: dict[bytes, float], labels: Sequence[str], *, lead: str) -> list[float]:
    """Return the log-probability of each label, given those of the likeliest tokens after a prompt.

    The longest token that a label begins with stands for the label's first token; `lead` is what stands before
    the label, a space that some servers leave out. A label without such a token comes FLOOR below the least likely
    one. Raises EcgbenchError where a token stands for two labels and is likely enough to matter.
    """
    tokens = [_first_token(top, label, lead=lead) for label in labels]
    for (token, one), (other, two) in combinations(zip(tokens, labels, strict=True), 2):
        if token is not None and token == other and top[token] > NEGLIGIBLE:
            raise EcgbenchError(
                f"labels {one!r} and {two!r} both begin with the token {token.decode(errors='replace')!r}, "
                f"and a server scores one token; {_ANOTHER_WAY}"
            )
    floor = min(top.values()) - FLOOR
    return [floor if token is None else top[token] for token in tokens]


def _first_token(top: dict[bytes, float], label: str, *, lead: str) -> bytes | None:
    whole, name = f"{lead}{label}".encode(), label.encode()
    starts = [token for token in top if token.strip() and name.startswith(token.lstrip(b" "))]
    return max(starts, key=lambda token: (len(token.lstrip(b" ")), whole.startswith(token)), default=None)


def _lead(prompt: Prompt) -> str:
    return "" if prompt.chat else " "


def _request(prompt: Prompt, schema: str | None = None) -> dict[str, Any]:
    """Return what asks for a reply: of an instruct model to one message, else to go on with a text."""
    request = chat_request(str(prompt)) if prompt.chat else {"prompt": str(prompt)}
    if schema is None:
        return request
    form = {"name": "reply", "schema": json.loads(schema), "strict": True}
    wanted = {"response_format": {"type": "json_schema", "json_schema": form}}
    return {**request, **wanted} if prompt.chat else {**request, "extra_body": wanted}


def _of_chat(logprobs: Any) -> dict[bytes, float]:
    likeliest = logprobs.content[0].top_logprobs
    return {bytes(one.bytes or one.token.encode()): float(one.logprob) for one in likeliest}


def _of_text(logprobs: Any) -> dict[bytes, float]:
    return {token.encode(): float(value) for token, value in logprobs.top_logprobs[0].items()}


def _text(choice: Any) -> str:
    """Return what a choice says; nothing where the model refused."""
    said = choice.message.content if hasattr(choice, "message") else choice.text
    return said or ""
