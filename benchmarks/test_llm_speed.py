"""The language model stage beside plain batched `generate` on the same prompts, in one run."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from ecgbench.data import Shot, TaskDescription
from ecgbench.engines.llm import load_llm
from ecgbench.engines.llm.transformers import TransformersLlm
from ecgbench.engines.models import model_folder
from ecgbench.profiles import EMBEDDED
from ecgbench.prompts import STOP, Prompt, explanation_prompt, label_prompt
from ecgbench.store.cache import default_cache_folder

NEW_TOKENS = 36
LEAST_RATIO = 2.0
SHOTS = tuple(
    Shot(f"{opening} {rest}", label, (rest,), reason)
    for opening in ("Honestly,", "After two weeks,", "For what it costs,", "As a present,")
    for rest, label, reason in (
        ("the kettle is quick and quiet.", "content", "The writer names what works well."),
        ("the lid cracked and the handle burns.", "unhappy", "The writer names what broke."),
    )
)
KETTLES = TaskDescription(
    noun="mood of the buyer", label_names=("content", "unhappy"), text_heading="Note", label_heading="Mood", shots=SHOTS
)
TEXTS = tuple(
    f"{time_} the {part} {what}."
    for time_ in ("From the first day", "Since last week", "Now and then", "To my surprise")
    for part, what in (
        ("switch", "sticks and I have to hold it down with my thumb"),
        ("spout", "pours without a drop on the table"),
        ("base", "stays cool"),
        ("whole thing", "smells of plastic whatever I clean it with"),
    )
)


def asked() -> tuple[list[Prompt], list[Prompt]]:
    """Return the prompts of both passes."""
    labels = [label_prompt(KETTLES, SHOTS, text, EMBEDDED.llm) for text in TEXTS]
    whys = [explanation_prompt(KETTLES, SHOTS, text, EMBEDDED.llm, label="unhappy") for text in TEXTS]
    return labels, whys


@pytest.fixture(scope="module")
def llm() -> TransformersLlm:
    loaded = load_llm(EMBEDDED.llm, default_cache_folder() / "models")
    assert isinstance(loaded, TransformersLlm)
    return loaded


@pytest.fixture(scope="module")
def run_plain(llm: TransformersLlm) -> Callable[[], None]:
    """Both passes as transformers alone does them: whole prompts, padded, in one batch."""
    import torch
    from transformers import AutoModelForCausalLM

    folder = model_folder(EMBEDDED.llm.model, default_cache_folder() / "models")
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval().to(llm.model.device)

    def generate(prompts: Sequence[Prompt], tokens: int) -> None:
        batch = llm.tokenizer([str(p) for p in prompts], return_tensors="pt", padding=True, padding_side="left")
        model.generate(**batch.to(model.device), min_new_tokens=tokens, max_new_tokens=tokens, do_sample=False)

    def both() -> None:
        labels, whys = asked()
        generate(labels, 1)
        generate(whys, NEW_TOKENS)

    return both


def run_ours(llm: TransformersLlm) -> None:
    """Do both passes, nothing kept from an earlier one, every reply at its full length."""
    llm._prefixes.clear()
    labels, whys = asked()
    llm.label_logits(labels, KETTLES.label_names)
    llm.generate(whys, max_new_tokens=NEW_TOKENS, stop=STOP + "never")


def test_llm_stage_is_at_least_twice_as_fast_as_plain_generate(benchmark, llm, run_plain):
    start = time.perf_counter()
    run_plain()
    plain = time.perf_counter() - start
    benchmark.pedantic(run_ours, args=(llm,), rounds=2)
    ratio = plain / benchmark.stats.stats.mean
    benchmark.extra_info |= {"ratio": round(ratio, 2), "plain_texts_per_second": round(len(TEXTS) / plain, 2)}
    print(f"\nLLM stage: {len(TEXTS) / benchmark.stats.stats.mean:.2f} texts/s, {ratio:.1f} times plain generate")
    assert ratio >= LEAST_RATIO
