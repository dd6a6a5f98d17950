"""What the vLLM engine makes of prompts too long for its context, with a stand-in for vLLM itself."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ecgbench.engines.llm import Prompt
from ecgbench.engines.llm.tokens import EncodedPrompts
from ecgbench.engines.llm.vllm import VllmLlm
from ecgbench.errors import UsageError

CONTEXT = 40
SHORT, LONG = Prompt("Is it fresh? ", "The plums."), Prompt("Is it fresh? ", "苹果" * 20)


class FakeTokens:
    """Take each character for a token."""

    def encode(self, prompts: Sequence[Prompt]) -> EncodedPrompts:
        return EncodedPrompts([*map(ord, prompts[0].prefix)], [[*map(ord, prompt.suffix)] for prompt in prompts])

    def encode_labels(self, labels: Sequence[str], *, chat: bool) -> list[list[int]]:  # noqa: ARG002
        return [[ord(label[0])] for label in labels]

    def ends(self, *, chat: bool) -> list[int]:  # noqa: ARG002
        return []


class FakeEngine:
    """Answer each request with how long its prompt is, and refuse what vLLM would refuse."""

    def generate(self, asked: Sequence[Any], params: Sequence[Any], *, use_tqdm: bool) -> list[Any]:  # noqa: ARG002
        return [self._answer(prompt["prompt_token_ids"], own) for prompt, own in zip(asked, params, strict=True)]

    def _answer(self, ids: list[int], params: dict[str, Any]) -> Any:
        assert len(ids) + params["max_tokens"] <= CONTEXT
        scored = {token: SimpleNamespace(logprob=-float(len(ids))) for token in params.get("logprob_token_ids", ())}
        return SimpleNamespace(outputs=[SimpleNamespace(text=str(len(ids)), token_ids=[1], logprobs=[scored])])


@pytest.fixture
def llm(monkeypatch: pytest.MonkeyPatch) -> VllmLlm:
    monkeypatch.setitem(sys.modules, "vllm", SimpleNamespace(SamplingParams=dict))
    monkeypatch.setitem(sys.modules, "vllm.inputs", SimpleNamespace(TokensPrompt=dict))
    return VllmLlm(FakeEngine(), FakeTokens(), CONTEXT)  # type: ignore[arg-type]


def test_a_prompt_beyond_the_context_is_refused_and_the_others_are_answered(llm, caplog):
    assert llm.generate([LONG, SHORT, LONG, SHORT], max_new_tokens=9) == [None, "23", None, "23"]
    assert "1 of 2 prompts were refused: the longest takes 62 tokens with its reply" in caplog.text
    assert "profile.llm.vllm.context_tokens is 40; raise it, or lower profile.llm.text_words" in caplog.text
    found = llm.label_logits([LONG, SHORT], ("fresh", "spoiled"))
    assert np.isnan(found).tolist() == [[True, True], [False, False]]
    assert found[1].tolist() == [-23.0, -23.0]


def test_a_batch_of_long_prompts_alone_is_refused_without_an_error(llm):
    assert llm.generate([LONG], max_new_tokens=9) == [None]
    assert np.isnan(llm.label_logits([LONG], ("fresh", "spoiled"))).all()


def test_a_context_that_no_text_fits_is_one_line_that_says_what_to_raise(llm):
    with pytest.raises(UsageError, match=r"takes 43 tokens.*profile\.llm\.vllm\.context_tokens is 40; raise it"):
        llm.generate([SHORT], max_new_tokens=30)
