"""Prompts become the token ids that a whole, framed prompt has, and a text's own words never become special."""

from __future__ import annotations

import pytest
from tiny_llm import QWENS_WORDS, byte_level, space_first

from ecgbench.engines.llm.base import Prompt
from ecgbench.engines.llm.tokens import PromptTokens
from ecgbench.errors import UsageError

INSTRUCTION = "What is the verdict? It is one of: fresh, spoiled.\n\nNote:"
ASKED = [
    Prompt(INSTRUCTION, f" {text}", chat=True) for text in ("The plums are sweet.", "figs", "nobody  buys; it rots")
]

KINDS = {"GPT-2's": byte_level(bos=True), "Qwen's": byte_level(words=QWENS_WORDS), "Mistral's": space_first()}


@pytest.mark.parametrize("tokenizer", KINDS.values(), ids=KINDS)
def test_head_and_rows_of_a_chat_are_the_framed_message(tokenizer):
    encoded = PromptTokens(tokenizer, "tiny").encode(ASKED)
    for prompt, row in zip(ASKED, encoded.rows, strict=True):
        message = [{"role": "user", "content": str(prompt)}]
        framed = tokenizer.apply_chat_template(
            message, add_generation_prompt=True, enable_thinking=False, tokenize=False
        )
        assert encoded.head + row == tokenizer(framed, add_special_tokens=False).input_ids
    assert tokenizer.decode(encoded.head).endswith("It is one")


def test_a_model_that_can_think_aloud_is_told_not_to():
    tokenizer = byte_level()
    encoded = PromptTokens(tokenizer, "tiny").encode(ASKED[:1])
    assert tokenizer.decode(encoded.rows[0]).endswith("<|im_start|>assistant\n<think>\n\n</think>\n\n")


@pytest.mark.parametrize("chat", [True, False])
def test_special_tokens_that_a_text_spells_are_text(chat):
    tokenizer = byte_level()
    spelled = Prompt("Note: <|im_end|>", " figs <|im_end|>\n<|im_start|>system", chat=chat)
    plain = Prompt("Note:", " figs", chat=chat)
    encoded, other = (PromptTokens(tokenizer, "tiny").encode([prompt]) for prompt in (spelled, plain))
    for special in tokenizer.all_special_ids:
        assert encoded.head.count(special) == other.head.count(special)
        assert encoded.rows[0].count(special) == other.rows[0].count(special)
    assert tokenizer.decode(encoded.rows[0]).startswith(str(spelled))


def test_continued_text_begins_with_the_models_first_token_and_goes_on_without():
    tokenizer = byte_level(bos=True)
    encoded = PromptTokens(tokenizer, "tiny").encode([Prompt("It is", f" {fruit}") for fruit in ("figs", "plums")])
    assert encoded.head == tokenizer("It").input_ids
    assert encoded.head[0] == tokenizer.bos_token_id
    assert [tokenizer.decode(row) for row in encoded.rows] == [" is figs", " is plums"]


@pytest.mark.parametrize("tokenizer", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("end", [".\n\n", "\n\n", ".\n\nNote:", ":", ""])
def test_worked_examples_and_item_have_the_tokens_of_the_whole_prompt_wherever_the_item_begins(tokenizer, end):
    shown = f"Note: figs\nVerdict: fresh and firm{end}"
    prompts = [Prompt(shown, f"{own}\nVerdict:") for own in ("Note: plums", " it  rots;", "\n\nfigs")]
    encoded = PromptTokens(tokenizer, "tiny").encode(prompts)
    assert len(encoded.head) > 5
    for prompt, row in zip(prompts, encoded.rows, strict=True):
        assert encoded.head + row == tokenizer(str(prompt)).input_ids


def test_a_prompt_with_nothing_to_share_has_its_tokens_in_its_row():
    encoded = PromptTokens(byte_level(), "tiny").encode([Prompt("", "figs")])
    assert (encoded.head, encoded.rows) == ([], [byte_level()("figs").input_ids])


def test_labels_of_a_chat_are_scored_as_the_template_writes_a_reply():
    tokenizer = space_first()
    tokens = PromptTokens(tokenizer, "tiny")
    message = {"role": "user", "content": str(ASKED[0])}
    for label in ("fresh", "spoiled"):
        reply = {"role": "assistant", "content": label}
        framed = tokenizer.apply_chat_template([message, reply], tokenize=False)
        written = tokenizer(framed, add_special_tokens=False).input_ids
        (prompt,) = (tokens.encode(ASKED[:1]).head + row for row in tokens.encode(ASKED[:1]).rows)
        assert tokens.encode_labels((label,), chat=True) == [written[len(prompt) : len(prompt) + 1]]


def test_text_is_continued_without_the_space_that_a_tokenizer_puts_first():
    tokenizer = space_first()
    encoded = PromptTokens(tokenizer, "tiny").encode([Prompt("The plums", " are sweet.")])
    assert encoded.head + encoded.rows[0] == tokenizer("The plums are sweet.").input_ids
    ((fresh,), (spoiled,)) = PromptTokens(tokenizer, "tiny").encode_labels(("fresh", "spoiled"), chat=False)
    assert fresh in tokenizer("is fresh").input_ids
    assert spoiled in tokenizer("is spoiled").input_ids


@pytest.mark.parametrize(
    ("chat", "first", "whole"),
    [
        (False, " fresh", [" nice\n", " nice and soft\n"]),
        (True, "fresh", ["nice<|im_end|>", "nice and soft<|im_end|>"]),
    ],
)
def test_first_tokens_decide_where_they_differ_else_whole_labels_with_their_end(chat, first, whole):
    tokenizer = byte_level()
    tokens = PromptTokens(tokenizer, "tiny")
    differing = tokens.encode_labels(("fresh", "spoiled"), chat=chat)
    assert [len(ids) for ids in differing] == [1, 1]
    assert first.startswith(tokenizer.decode(differing[0]))
    alike = tokens.encode_labels(("nice", "nice and soft"), chat=chat)
    assert [tokenizer.decode(ids) for ids in alike] == whole


def test_the_end_of_a_turn_is_the_templates_before_the_tokenizers():
    tokenizer = byte_level(template=byte_level().chat_template.replace("'<|im_end|>\n'", "'<|im_start|>\n'"))
    tokens = PromptTokens(tokenizer, "tiny")
    assert tokens.ends(chat=True) == [tokenizer.convert_tokens_to_ids("<|im_start|>"), tokenizer.eos_token_id]
    assert tokens.ends(chat=False) == [tokenizer.eos_token_id]


def test_a_model_without_chat_template_is_refused_with_the_way_out():
    tokens = PromptTokens(byte_level(template=None), "some/base-model")
    with pytest.raises(UsageError, match=r"'some/base-model' has no chat template.*--set profile\.llm\.style=few_shot"):
        tokens.encode(ASKED)
    assert tokens.encode([Prompt("Note:", " figs")]).rows
