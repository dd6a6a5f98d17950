"""A server on this machine with the interface of OpenAI's, which answers as it is told."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from ecgbench.engines.llm import Prompt, load_llm
from ecgbench.engines.llm.openai import OpenAiLlm
from ecgbench.profiles import EMBEDDED, LlmSettings, ServerSettings

KEY = "sk-planted-4711-do-not-show"
SCHEMA = '{"type":"object","properties":{"label":{"enum":["yes","no"]}},"required":["label"]}'
ASKED = Prompt("Is it fresh? ", "The plums are firm.", chat=True)
OTHER = Prompt("Is it fresh? ", "The apples rot.", chat=True)


@dataclass(frozen=True)
class Answer:
    """What the server says to one request; a str is sent as it stands."""

    body: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"retry-after-ms": "1"})
    delay: float = 0.0


@dataclass
class StandIn:
    """A server that answers by a function of the request, and remembers what it was asked."""

    answer: Callable[[dict[str, Any]], Answer]
    url: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    def settings(self, **changed: Any) -> LlmSettings:
        """Return settings that name this server."""
        server = ServerSettings(**{"base_url": self.url, "timeout": 20.0, "retries": 3, **changed})
        return replace(EMBEDDED.llm, model="plum-1", engine="openai", style="chat", server=server)

    def llm(self, **changed: Any) -> OpenAiLlm:
        """Load the engine."""
        loaded = load_llm(self.settings(**changed), None)  # type: ignore[arg-type]
        assert isinstance(loaded, OpenAiLlm)
        return loaded


@contextmanager
def standing_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """Start a server that says `fine` to everything until it is told otherwise."""
    for name in ("OPENAI_BASE_URL", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    state = StandIn(lambda body: chat(["fine"] * body.get("n", 1)))
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"state": state}))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    state.url = f"http://127.0.0.1:{server.server_port}/v1"
    yield state
    server.shutdown()
    server.server_close()


class _Handler(BaseHTTPRequestHandler):
    state: StandIn
    _lock = threading.Lock()

    def do_POST(self) -> None:
        state, body = self.state, json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self._lock:
            state.bodies.append(body)
            state.paths.append(self.path)
            state.keys.append(self.headers["Authorization"])
            state.at_once += 1
            state.most_at_once = max(state.most_at_once, state.at_once)
        answer = state.answer(body)
        time.sleep(answer.delay)
        with self._lock:
            state.at_once -= 1
        raw = (answer.body if isinstance(answer.body, str) else json.dumps(answer.body)).encode()
        try:
            self.send_response(answer.status)
            for name, value in {"Content-Type": "application/json", **answer.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)
        except BrokenPipeError:
            pass  # the client waited no longer

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def chat(texts: list[str | None], top: list[tuple[str, float]] | None = None) -> Answer:
    """Return a chat completion of these replies, with the likeliest first tokens where given."""
    logprobs = None
    if top is not None:
        likeliest = [{"token": t, "logprob": p, "bytes": list(t.encode())} for t, p in top]
        logprobs = {"content": [{**likeliest[0], "top_logprobs": likeliest}]}
    choices = [
        {"index": i, "message": {"role": "assistant", "content": t}, "logprobs": logprobs, "finish_reason": "stop"}
        for i, t in enumerate(texts)
    ]
    return Answer({"id": "1", "choices": choices, "usage": {"prompt_tokens": 20, "completion_tokens": 3 * len(texts)}})


def continuation(text: str, top: dict[str, float] | None = None) -> Answer:
    """Return a text completion, with the likeliest first tokens where given."""
    logprobs = top and {"top_logprobs": [top], "tokens": [text], "token_logprobs": [0.0], "text_offset": [0]}
    choice = {"index": 0, "text": text, "logprobs": logprobs, "finish_reason": "stop"}
    return Answer({"id": "1", "choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": 1}})


def refusal(message: str, status: int = 400) -> Answer:
    """Return an error as servers word it."""
    return Answer({"error": {"message": message, "type": "invalid_request_error"}}, status=status)


def in_turn(*answers: Answer) -> Callable[[dict[str, Any]], Answer]:
    """Answer with these, one after the other; with the last from then on."""
    left = list(answers)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]
