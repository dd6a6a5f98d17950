"""What all questions to the language model share: settings, keys, batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

from ecgbench.engines.batching import iter_batches
from ecgbench.engines.context import batch_size
from ecgbench.engines.llm import Prompt
from ecgbench.profiles import LlmSettings
from ecgbench.store.keys import digest

LLM_BATCH = 64


def settled(llm: LlmSettings | None) -> LlmSettings:
    """Return the settings, which the harness has filled in before anything is computed."""
    assert llm is not None, "resolve the artifact with a profile first"
    return llm


def iter_prompt_batches(prompts: Sequence[Prompt]) -> Iterator[list[int]]:
    """Yield batches that share one prefix, prefixes in alphabetical order, short suffixes first."""
    for prefix in sorted({prompt.prefix for prompt in prompts}):
        members = [i for i, prompt in enumerate(prompts) if prompt.prefix == prefix]
        for batch in iter_batches([len(prompts[i].suffix) for i in members], batch_size(LLM_BATCH)):
            yield [members[i] for i in batch]


@lru_cache(maxsize=64)
def head_key(kind: str, version: int, model_key: tuple[str, str], prefix: str) -> str:
    """Return the digest of what thousands of requests share, so that it is hashed once."""
    return digest("llm-head/1", [kind, version, model_key, prefix])
