"""What all questions to the language model share: settings, keys, batches, a second attempt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from typing import Protocol, TypeVar

from ecgbench.engines.batching import iter_batches, run_halving
from ecgbench.engines.context import batch_size
from ecgbench.engines.llm import LanguageModel, Prompt
from ecgbench.profiles import LlmSettings
from ecgbench.prompts import STOP
from ecgbench.store.keys import digest

LLM_BATCH = 64
RETRY_TEMPERATURE = 0.7

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Question(Protocol[T_co]):
    """A prompt whose reply is read; `schema` None: a reply that ends at an empty line, else JSON."""

    @property
    def prompt(self) -> Prompt: ...

    @property
    def schema(self) -> str | None: ...

    def read(self, reply: str) -> T_co | None:
        """Return what a reply says, None where it is not valid."""
        ...


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


def head_key(kind: str, version: int, llm: LlmSettings, prompt: Prompt) -> str:
    """Return the digest of what thousands of requests share, so that it is hashed once."""
    return _head_key(kind, version, llm.model_key, (prompt.prefix, prompt.chat))


@lru_cache(maxsize=64)
def _head_key(kind: str, version: int, model_key: tuple[str, ...], head: tuple[str, bool]) -> str:
    return digest("llm-head/1", [kind, version, model_key, *head])


def seed_of(key: str) -> int:
    """Return the seed that belongs to a key, so that draws follow from what is asked."""
    return int(key[:15], 16)


def ask_twice(
    llm: LanguageModel,
    questions: Sequence[Question[T]],
    seeds: Sequence[int],
    *,
    settings: LlmSettings,
    temperatures: tuple[float, float] = (0.0, RETRY_TEMPERATURE),
) -> list[T | None]:
    """Return what each reply says; where it is not valid once more is asked, with another seed, then it is None.

    A prompt that the model refuses would be refused again: None at once.
    """
    found: list[T | None] = [None] * len(questions)
    unanswered = list(range(len(questions)))
    for attempt, temperature in enumerate(temperatures):
        if not unanswered:
            break
        asked = [(i, seeds[i] + attempt) for i in unanswered]
        replies = run_halving(
            partial(_generate, llm, questions, max_new_tokens=settings.reply_tokens, temperature=temperature), asked
        )
        answered = [(i, reply) for i, reply in zip(unanswered, replies, strict=True) if reply is not None]
        for i, reply in answered:
            found[i] = questions[i].read(reply)
        unanswered = [i for i, _ in answered if found[i] is None]
    return found


def _generate(
    llm: LanguageModel,
    questions: Sequence[Question[T]],
    asked: Sequence[tuple[int, int]],
    *,
    max_new_tokens: int,
    temperature: float,
) -> Sequence[str | None]:
    """Ask the questions at these positions, each with its seed."""
    schemas = [schema for i, _ in asked if (schema := questions[i].schema) is not None]
    return llm.generate(
        [questions[i].prompt for i, _ in asked],
        max_new_tokens=max_new_tokens,
        stop=None if schemas else STOP,
        schemas=schemas or None,
        temperature=temperature,
        seeds=[seed for _, seed in asked],
    )
