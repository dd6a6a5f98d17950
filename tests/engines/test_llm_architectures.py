"""The engine on random models of many kinds: what plain transformers gives, and JSON where a schema asks for it."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_llm import ARCHITECTURES, byte_level, save_model

from ecgbench.engines.llm import Prompt, load_llm
from ecgbench.engines.llm.transformers import TransformersLlm, number_format
from ecgbench.errors import MissingPackageError
from ecgbench.profiles import LlmSettings
from ecgbench.prompts import explanation_schema, parse_stated, stated_schema

LABELS = ("fresh", "spoiled")
ASKED = [
    Prompt("What is the verdict? It is one of: fresh, spoiled.\n\nNote:", f" {text}", chat=True)
    for text in ("The plums are firm and sweet.", "rot", "A crate of figs leaks; nobody buys them any more.")
]


def load(folder: Path, **settings: Any) -> TransformersLlm:
    loaded = load_llm(LlmSettings(str(folder), style="chat", **{"dtype": "float32", **settings}), folder)
    assert isinstance(loaded, TransformersLlm)
    return loaded


@pytest.fixture(scope="module", params=ARCHITECTURES)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp(request.param), request.param, byte_level())


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> TransformersLlm:
    return load(save_model(tmp_path_factory.mktemp("llama"), "Llama", byte_level()))


def plain_model(folder: Path, dtype: str) -> Any:
    """Load the model with the attention that transformers ships."""
    import torch
    from transformers import AutoModelForCausalLM

    chosen = getattr(torch, dtype)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=chosen, attn_implementation="eager")
    return model.eval()


def whole_ids(llm: TransformersLlm, prompt: Prompt) -> Any:
    import torch

    encoded = llm.tokens.encode([prompt])
    return torch.tensor([encoded.head + encoded.rows[0]])


@pytest.mark.parametrize(("dtype", "error"), [("float32", 1e-4), ("bfloat16", 0.2)])
def test_label_logits_are_those_of_the_whole_prompt(folder, dtype, error):
    import torch

    llm, plain = load(folder, dtype=dtype), plain_model(folder, dtype)
    assert llm.model.dtype == getattr(torch, dtype)
    first = [ids[0] for ids in llm.tokens.encode_labels(LABELS, chat=True)]
    with torch.inference_mode():
        rows = [torch.log_softmax(plain(whole_ids(llm, p)).logits[0, -1].float(), -1)[first].numpy() for p in ASKED]
    found = llm.label_logits(ASKED, LABELS)
    assert np.abs(found - np.stack(rows)).max() < error
    assert np.ptp(found, axis=0).min() > 0.05, "prompts differ, so must their answers"


def test_greedy_replies_are_those_of_plain_generate(folder):
    llm, plain = load(folder), plain_model(folder, "float32")
    found = llm.generate(ASKED, max_new_tokens=20)
    for prompt, reply in zip(ASKED, found, strict=True):
        ids = whole_ids(llm, prompt)
        whole = plain.generate(ids, attention_mask=ids.new_ones(ids.shape), max_new_tokens=20, do_sample=False)
        assert reply == llm.tokenizer.decode(whole[0, ids.shape[1] :], skip_special_tokens=True)
    assert len(set(found)) > 1


def test_automatic_number_format_is_bfloat16_only_on_a_gpu_that_has_it(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert number_format("auto") == torch.float32
    assert number_format("float16") == torch.float16
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for has_it, expected in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda has_it=has_it: has_it)
        assert number_format("auto") == expected


@pytest.mark.parametrize("temperature", [0.0, 1.5])
def test_even_a_random_model_replies_in_json_of_each_rows_own_schema(llama, temperature):
    pytest.importorskip("xgrammar")
    schemas = [stated_schema(LABELS), stated_schema(("nice and soft", "nice")), stated_schema(("a", 'b "quoted"'))]
    found = llama.generate(ASKED, max_new_tokens=80, schemas=schemas, temperature=temperature, seeds=[1, 2, 3])
    for reply, labels in zip(found, (LABELS, ("nice and soft", "nice"), ("a", 'b "quoted"')), strict=True):
        assert parse_stated(reply, labels) is not None, reply
        assert list(json.loads(reply)) == ["label", "confidence"]
    assert all(reply.endswith("}") for reply in found)


def test_an_explanation_has_the_label_of_its_schema_and_fields_in_order(llama):
    pytest.importorskip("xgrammar")
    (reply,) = llama.generate(ASKED[:1], max_new_tokens=1500, schemas=[explanation_schema("nice", counterfactual=True)])
    said = json.loads(reply, strict=False)
    assert list(said) == ["label", "evidence", "rationale", "counterfactual", "confidence"]
    assert said["label"] == "nice"
    assert 1 <= len(said["evidence"]) <= 3
    assert 0 <= said["confidence"] <= 100


def test_json_is_never_left_to_chance_where_the_grammar_is_not_installed(llama, monkeypatch):
    monkeypatch.setitem(sys.modules, "xgrammar", None)
    bare = replace(llama, _grammars={})
    with pytest.raises(MissingPackageError, match="xgrammar, which is not installed: pip install"):
        bare.generate(ASKED, max_new_tokens=5, schemas=[stated_schema(LABELS)] * 3)


def test_a_prompt_given_twice_is_read_once_and_its_tokens_counted_once(llama):
    before = replace(llama.usage)
    replies = llama.generate([ASKED[0]] * 3, max_new_tokens=4, temperature=1.0, seeds=[1, 2, 1])
    assert replies[0] == replies[2] != replies[1]
    assert llama.usage.prompt - before.prompt == whole_ids(llama, ASKED[0]).shape[1]
    assert 3 <= llama.usage.reply - before.reply <= 12
    assert llama.usage.calls - before.calls == 1


def test_tokens_of_label_questions_are_counted_as_read(llama):
    before = replace(llama.usage)
    llama.label_logits(ASKED, LABELS)
    assert llama.usage.prompt - before.prompt == sum(whole_ids(llama, prompt).shape[1] for prompt in ASKED)
    assert llama.usage.reply == before.reply
    assert llama.usage.calls - before.calls == len(ASKED)
