"""Language models: one interface, several engines."""

from __future__ import annotations

from pathlib import Path

from ecgbench.engines.llm.base import LanguageModel, Prompt, TokenUsage
from ecgbench.errors import UnknownNameError
from ecgbench.profiles import LlmSettings

__all__ = ["LanguageModel", "Prompt", "TokenUsage", "load_llm"]


def load_llm(settings: LlmSettings, model_dir: Path) -> LanguageModel:
    """Load the language model of these settings; raise UnknownNameError for an engine that is not there."""
    from ecgbench.engines.llm.transformers import TransformersLlm

    engines = {"transformers": TransformersLlm.load}
    if settings.engine not in engines:
        raise UnknownNameError("LLM engine", settings.engine, engines)
    return engines[settings.engine](settings.model, model_dir)
