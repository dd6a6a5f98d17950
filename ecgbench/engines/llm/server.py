"""The connection to an OpenAI-compatible server: address, retries, what it does not know, errors in one line.

The key is read from OPENAI_API_KEY and given to the client alone: no error, log, repr or record holds it.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.pool import ThreadPool
from typing import Any, TypeVar
from urllib.parse import urlsplit

from ecgbench.errors import EcgbenchError, UsageError
from ecgbench.profiles import LlmSettings, ServerSettings
from ecgbench.registry import missing_package

logger = logging.getLogger(__name__)

KEY, BASE_URL = "OPENAI_API_KEY", "OPENAI_BASE_URL"
_SET_URL = "--set profile.llm.server.base_url=http://HOST:PORT/v1"
_THINKING = "chat_template_kwargs"
_SHOWN = 300
"""How many characters of a server's own words an error shows."""

_OF_A_REQUEST = (400, 403, 413, 422)
"""The statuses that may come of what one request says: too long a prompt, one that a content filter stops."""

T = TypeVar("T")
R = TypeVar("R")


class RefusedError(EcgbenchError):
    """Report a request that the server does not answer; it may answer others."""


@dataclass
class Server:
    """A server with the model it is asked for; several threads may ask at once."""

    settings: LlmSettings
    client: Any = field(repr=False)
    _refused: set[str] = field(default_factory=set)

    @classmethod
    def connect(cls, settings: LlmSettings) -> Server:
        """Set up the client; asks the server nothing.

        Raises MissingPackageError, UsageError without a base URL or with a key that is none.
        """
        try:
            import openai
        except ImportError:
            raise missing_package("openai", needed_for="profile.llm.engine=openai") from None
        client = openai.OpenAI(
            base_url=find_base_url(settings.server),
            api_key=_find_key() or "none",  # a server of one's own needs no key, the client does
            max_retries=settings.server.retries,
            timeout=settings.server.timeout,
        )
        return cls(settings, client)

    def close(self) -> None:
        """Close the connections."""
        self.client.close()

    def run(self, ask: Callable[[T], R], asked: Sequence[T], *, bare: T) -> list[R | None]:
        """Return `ask` of each, `concurrency` at a time; None where the server refuses it.

        After the first other error nothing more is asked, and nothing that hangs is waited for. Where all are refused
        `bare` is asked, which holds no text: if that is refused, too, it is not for what texts say, and RefusedError is
        raised.
        """
        refusals: list[str] = []

        def attempt(position: int) -> tuple[int, R | None]:
            try:
                return position, ask(asked[position])
            except RefusedError as error:
                refusals.append(str(error))
                return position, None

        # Its threads are daemons: neither an error nor the end of the process waits for a server that hangs.
        with ThreadPool(min(self.settings.server.concurrency, len(asked))) as pool:
            found = dict(pool.imap_unordered(attempt, range(len(asked))))
        if len(refusals) == len(asked):
            ask(bare)
        if refusals:
            logger.warning("%d of %d prompts were refused: %s", len(refusals), len(asked), refusals[0])
        return [found[position] for position in range(len(asked))]

    def send(self, request: dict[str, Any]) -> Any:
        """Return the server's answer with at least one choice; a request with messages is a chat.

        429, 5xx, lost connections and timeouts are repeated by the client, which waits as long as the server says.
        Raises RefusedError, one line, where that may be due to this request, else EcgbenchError.
        """
        import openai

        answer, problem = None, "it answered without choices"
        kind: type[EcgbenchError] = RefusedError
        try:
            answer = self._send_known(request)
        except openai.OpenAIError as error:
            problem = self._explain(error)
            kind = RefusedError if getattr(error, "status_code", None) in _OF_A_REQUEST else EcgbenchError
        except ValueError as error:
            problem, kind = f"its answer is no JSON: {error}", EcgbenchError
        choices = getattr(answer, "choices", None)
        if isinstance(choices, list) and choices:
            return answer
        # Raised out here, where it has no context: the client's errors hold the request and so the key.
        raise kind(_one_line(f"server {self.client.base_url}, model {self.settings.model!r}: {problem}"))

    def _send_known(self, request: dict[str, Any]) -> Any:
        """Send a request, where the server refuses an option without it; what helped is remembered."""
        import openai

        create = (self.client.chat if "messages" in request else self.client).completions.create
        refused = set(self._refused)
        while True:
            adapted = _adapt(request, refused)
            try:
                answer = create(model=self.settings.model, **adapted)
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                option = _refused_option(error.message, adapted)
                if option is None:
                    raise
                refused.add(option)
            else:
                self._refused |= refused
                return answer

    def _explain(self, error: Any) -> str:
        """Say what went wrong and what to do about it."""
        import openai

        server, status = self.settings.server, getattr(error, "status_code", None)
        if isinstance(error, openai.APITimeoutError):
            return f"no answer within {server.timeout:g} s; raise profile.llm.server.timeout"
        if isinstance(error, openai.APIConnectionError):
            return f"it cannot be reached; start it, or {_SET_URL}"
        if status == 401:
            return f"it refuses the key ({status}); set {KEY} in the environment"
        if status == 403:
            return f"it refuses the key or the prompt ({status}, {_own_words(error)}); set {KEY} in the environment"
        if status == 404:
            return f"not found ({_own_words(error)}); most servers' base_url ends in /v1, and serve models by name"
        if status == 429:
            return f"too many requests after {server.retries} retries; lower profile.llm.server.concurrency, or wait"
        return f"{status or type(error).__name__}: {_own_words(error)}"


def find_base_url(settings: ServerSettings) -> str:
    """Return the server's address from the settings, else from OPENAI_BASE_URL, without a slash at its end.

    Raises UsageError where there is none, or one that could carry a secret into logs.
    """
    given = (settings.base_url or os.environ.get(BASE_URL, "")).strip().rstrip("/")
    if not given:
        raise UsageError(
            f"profile.llm.engine=openai needs a server's address: {_SET_URL}, or {BASE_URL} in the environment"
        )
    try:
        parts = urlsplit(given)
    except ValueError:
        parts = urlsplit("")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise UsageError(
            f"the server's address holds a user, a password or a query; leave it out: a key goes into {KEY}"
        )
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"profile.llm.server.base_url is {given!r}, which is no address: {_SET_URL}")
    return given


def _find_key() -> str:
    """Return the key less the white space around it, which files of secrets end in; empty: there is none."""
    key = os.environ.get(KEY, "").strip()
    if not re.fullmatch(r"[!-~]*", key):
        raise UsageError(f"{KEY} holds other characters than visible ASCII, as no key does; set it anew")
    return key


def chat_request(content: str) -> dict[str, Any]:
    """Return what asks for a reply to one message, of models that think aloud without their thoughts."""
    message = {"role": "user", "content": content}
    return {"messages": [message], "extra_body": {_THINKING: {"enable_thinking": False}}}


def _adapt(request: dict[str, Any], refused: set[str]) -> dict[str, Any]:
    """Return the request without what the server refused before."""
    adapted = dict(request)
    if _THINKING in refused and _THINKING in adapted.get("extra_body", {}):
        del adapted["extra_body"]
    if "max_tokens" in refused and "messages" in adapted:
        adapted["max_completion_tokens"] = adapted.pop("max_tokens")
    return adapted


def _refused_option(message: str, request: dict[str, Any]) -> str | None:
    """Return the option to do without after a refusal; None: there is none left.

    Servers name what they do not know in many ways, so thinking is the one to go unless the other is named.
    """
    if "max_tokens" in request and "max_completion_tokens" in message:
        return "max_tokens"
    return _THINKING if _THINKING in request.get("extra_body", {}) else None


def _own_words(error: Any) -> str:
    body = getattr(error, "body", None)
    said = body.get("message") if isinstance(body, dict) else None
    return _one_line(str(said or getattr(error, "message", error)))[:_SHOWN]


def _one_line(text: str) -> str:
    """Return a text as one line, without the key, which a server may repeat."""
    key = os.environ.get(KEY, "").strip()
    return " ".join((text.replace(key, "***") if key else text).split())
