"""What is measured of a unit of work, and under which name it is kept for later plans."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ecgbench.artifacts.base import Artifact, artifact_title
from ecgbench.engines.llm import Prompt, TokenUsage
from ecgbench.grid.work import Outcome
from ecgbench.profiles import LlmSettings
from ecgbench.store.calibration import Measurement
from ecgbench.store.spending import Spending

SERVER = "server"
"""The device of what a server does, whatever that runs on."""


def name_work(artifact: Artifact[Any]) -> str:
    """Name what takes its time: artifact and models, `Explanations with Qwen/Qwen3-8B (vllm)`."""
    asked = asks_llm(artifact)
    models = [_name_model(settings) for settings in artifact.models() if asked or not isinstance(settings, LlmSettings)]
    return f"{artifact_title(artifact)} with {', '.join(models)}" if models else artifact_title(artifact)


def is_served(artifact: Artifact[Any]) -> bool:
    """Say whether a server's model answers it."""
    engines = {settings.engine for settings in artifact.models() if isinstance(settings, LlmSettings)}
    return artifact.cost.llm_calls > 0 and "openai" in engines


def asks_llm(artifact: Artifact[Any]) -> bool:
    """Say whether prompts go to a language model for it, and not only an answer of one is read."""
    return artifact.cost.llm_calls > 0 and any(isinstance(settings, LlmSettings) for settings in artifact.models())


def measure(artifact: Artifact[Any], outcome: Outcome, *, items: int, characters: int = 0) -> Measurement:
    """Return what came of a unit of work as a measurement; of a server's work the time is the server's."""
    return Measurement(
        work=name_work(artifact),
        device=SERVER if is_served(artifact) else outcome.device,
        items=items,
        seconds=outcome.seconds - outcome.loading,
        characters=characters,
        prompt_tokens=outcome.usage.prompt,
        reply_tokens=outcome.usage.reply,
    )


def measure_spending(artifact: Artifact[Any], outcome: Outcome, *, characters: int | None = None) -> Spending:
    """Return what a unit of work took beside time; no counts where a language model was asked that counts nothing.

    `characters`: those of the prompts; None where that is not known.
    """
    used = outcome.usage
    if used == TokenUsage() and asks_llm(artifact) and characters != 0:
        return Spending(peak_memory=outcome.peak_memory)
    is_counted = used.calls > 0 or used.prompt == 0
    return Spending(used.calls if is_counted else None, used.prompt, used.reply, outcome.peak_memory)


def describe_usage(artifact: Artifact[Any], usage: TokenUsage) -> str:
    """Say how many tokens language models read and wrote for it, and what that cost where a server has a price."""
    servers = [one.server for one in artifact.models() if isinstance(one, LlmSettings) and one.engine == "openai"]
    prices = [server.price(prompt=usage.prompt, reply=usage.reply) for server in servers]
    said = f"read {usage.prompt:,} tokens and wrote {usage.reply:,}"
    return f"{said}: {prices[0]:.4f} USD" if any(prices) else said


def count_characters(requests: Iterable[Any]) -> int:
    """Count the characters of all prompts in requests; none where a request holds no prompt."""
    return sum(len(prompt.prefix) + len(prompt.suffix) for request in requests for prompt in find_prompts(request))


def find_prompts(request: Any) -> list[Prompt]:
    """Return the prompts of a request, or of each request in a tuple of them; an empty one is not asked."""
    if isinstance(request, tuple):
        return [prompt for part in request for prompt in find_prompts(part)]
    prompt = getattr(request, "prompt", None)
    return [prompt] if isinstance(prompt, Prompt) and str(prompt) else []


def _name_model(settings: Any) -> str:
    """Name a model: by its reference alone where only one engine could run it."""
    model = str(getattr(settings, "model", settings))
    return f"{model} ({settings.engine})" if isinstance(settings, LlmSettings) else model
