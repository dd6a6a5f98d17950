"""Models on the model hub: what lies in the hub's cache, and fetching what does not."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

from ecgbench.errors import EcgbenchError, UsageError

logger = logging.getLogger(__name__)

SHORT_NAMES = {
    "Qwen3-8B": "Qwen/Qwen3-8B",
    "Qwen2.5-7B-Instruct": "Qwen/Qwen2.5-7B-Instruct",
    "Mistral-7B-Instruct-v0.2": "mistralai/Mistral-7B-Instruct-v0.2",
    "Llama-3.1-8B-Instruct": "meta-llama/Llama-3.1-8B-Instruct",
}
"""Names on the hub that need no organisation here."""
FETCHED: dict[str, Any] = {
    "allow_patterns": ["*.safetensors", "*.json", "*.txt", "*.model", "*.jinja"],
    "ignore_patterns": ["original/*", "onnx/*", "openvino/*", "consolidated*"],
}
"""What is fetched of a hub's model: weights that hold no code, configuration, tokenizer, chat template; not the
same weights again for other programs."""
HUB_SECONDS = 10.0
"""How long the hub may take to say that it is there."""
WAYS_OUT = "give a folder (--set profile.llm.model=FOLDER, or .classifier, .encoder), or use --profile embedded"


def cached_folder(reference: str) -> Path | None:
    """Return where a hub's model lies whole in the hub's cache."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    name, revision = _hub_name(reference)
    try:
        found = snapshot_download(name, revision=revision, local_files_only=True, **FETCHED)
    except (LocalEntryNotFoundError, HFValidationError):
        return None
    return Path(found) if _is_whole(Path(found)) else None


def fetch_model(reference: str) -> Path:
    """Fetch a model from the hub into the hub's cache; whatever keeps it from coming is one line."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        raise EcgbenchError(f"model {reference!r} is not in the hub's cache and this run is offline; {WAYS_OUT}")
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    name, revision = _hub_name(reference)
    logger.info("fetching %s from the model hub", name)
    try:
        # First a question with a time limit: without one, snapshot_download waits minutes for a silent network.
        HfApi().model_info(name, revision=revision, timeout=HUB_SECONDS)
        folder = Path(snapshot_download(name, revision=revision, **FETCHED))
    except GatedRepoError:
        raise EcgbenchError(
            f"model {reference!r} is gated: accept its terms on its page on the hub and set HF_TOKEN, or {WAYS_OUT}"
        ) from None
    except (RepositoryNotFoundError, RevisionNotFoundError, HFValidationError):
        raise UsageError(f"model {reference!r} is neither a folder nor on the model hub; {WAYS_OUT}") from None
    except Exception as error:  # the hub's, its HTTP library's or the disk's
        reason = " ".join([type(error).__name__, *str(error).splitlines()[:1]])
        raise EcgbenchError(
            f"model {reference!r} cannot be fetched from the model hub ({reason}); {WAYS_OUT}"
        ) from error
    if not _is_whole(folder):
        raise UsageError(f"model {reference!r} has no safetensors or no tokenizer on the model hub; {WAYS_OUT}")
    return folder


def _hub_name(reference: str) -> tuple[str, str | None]:
    """Split a reference into the hub's full name and a revision."""
    name, _, revision = reference.partition("@")
    return SHORT_NAMES.get(name, name), revision or None


def _is_whole(folder: Path) -> bool:
    """Tell whether a folder holds a model and its tokenizer; another program may have fetched a part of it."""
    index = folder / "model.safetensors.index.json"
    weights = set(json.loads(index.read_text())["weight_map"].values()) if index.is_file() else {"model.safetensors"}
    has_tokenizer = any(folder.glob("tokenizer*")) or any(folder.glob("vocab*"))
    return has_tokenizer and all((folder / name).is_file() for name in ("config.json", *weights))
