"""A real instruct model, SmolLM2 135M: labels, JSON and evidence of movie snippets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from small_llm import small_model

from ecgbench.data import LabeledTexts
from ecgbench.datasets.movie_snippets import MovieSnippets
from ecgbench.engines.llm import LanguageModel, load_llm
from ecgbench.profiles import LlmSettings
from ecgbench.prompts import (
    Prompt,
    explanation_prompt,
    explanation_schema,
    label_prompt,
    parse_json_reply,
    parse_stated,
    stated_schema,
)
from ecgbench.specs import DatasetContext
from ecgbench.store.cache import default_cache_folder
from ecgbench.subsample import subsample

BATCH = 30

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def settings() -> LlmSettings:
    return LlmSettings(str(small_model()), style="chat", counterfactual=False)


@pytest.fixture(scope="module")
def llm(settings: LlmSettings) -> LanguageModel:
    return load_llm(settings, Path())


@pytest.fixture(scope="module")
def data() -> LabeledTexts:
    """Draw two hundred snippets, about half of them positive."""
    return subsample(MovieSnippets().load(DatasetContext(default_cache_folder() / "datasets")), 200)


def batched(ask: Any, prompts: list[Prompt]) -> list[Any]:
    return [answer for i in range(0, len(prompts), BATCH) for answer in ask(prompts[i : i + BATCH])]


def test_labels_are_better_than_chance(llm, settings, data):
    names = data.description.label_names
    prompts = [label_prompt(data.description, (), text, settings) for text in data.texts]
    logits = np.stack(batched(lambda batch: llm.label_logits(batch, names), prompts))
    auroc = roc_auc_score(data.labels, logits[:, 1] - logits[:, 0])
    assert auroc > 0.5 + 3 / np.sqrt(3 * len(data)), f"chance is a half, with three standard errors: {auroc}"


def test_explanations_are_json_for_the_asked_label_and_their_evidence_stands_in_the_text(llm, settings, data):
    description = data.description
    texts, labels = data.texts[:20], [description.label_names[i] for i in data.labels[:20]]
    replies = llm.generate(
        [explanation_prompt(description, (), texts[i], settings, label=label) for i, label in enumerate(labels)],
        max_new_tokens=400,
        schemas=[explanation_schema(label, counterfactual=False) for label in labels],
    )
    assert [json.loads(reply, strict=False)["label"] for reply in replies] == labels
    found = [
        parse_json_reply(reply, text, label=label, label_names=description.label_names)
        for reply, text, label in zip(replies, texts, labels, strict=True)
    ]
    usable = [(e, text) for e, text in zip(found, texts, strict=True) if e is not None]
    assert len(usable) >= 3, "so small a model seldom quotes, but it does"
    assert all(span in text for e, text in usable for span in e.evidence)


def test_stated_labels_are_always_valid(llm, settings, data):
    names = data.description.label_names
    stated = LlmSettings(settings.model, style="chat", label_answers="stated")
    prompts = [label_prompt(data.description, (), text, stated) for text in data.texts[:20]]
    replies = llm.generate(prompts, max_new_tokens=40, schemas=[stated_schema(names)] * len(prompts))
    assert None not in [parse_stated(reply, names) for reply in replies], replies


def test_a_reply_without_schema_ends_with_the_models_turn(llm, settings, data):
    (prompt,) = [label_prompt(data.description, (), text, settings) for text in data.texts[:1]]
    before = llm.usage.reply
    (reply,) = llm.generate([prompt], max_new_tokens=200)
    assert reply.strip()
    assert "<|im_" not in reply
    assert llm.usage.reply - before < 200
