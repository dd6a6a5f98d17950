"""Language models: one interface, several engines."""

from __future__ import annotations

import importlib
from pathlib import Path

from ecgbench.engines.llm.base import LanguageModel, Prompt, TokenUsage
from ecgbench.errors import UnknownNameError
from ecgbench.profiles import LlmSettings

__all__ = ["LanguageModel", "Prompt", "TokenUsage", "load_llm"]

_ENGINES = {"transformers": "TransformersLlm", "vllm": "VllmLlm", "openai": "OpenAiLlm"}
"""Each engine is a module here, of its name, and a class with `load(settings, model_dir)`."""


def load_llm(settings: LlmSettings, model_dir: Path) -> LanguageModel:
    """Load the language model of these settings; raise UnknownNameError for an engine that is not there."""
    if settings.engine not in _ENGINES:
        raise UnknownNameError("LLM engine", settings.engine, _ENGINES)
    module = importlib.import_module(f"{__name__}.{settings.engine}")
    llm: LanguageModel = getattr(module, _ENGINES[settings.engine]).load(settings, model_dir)
    return llm
