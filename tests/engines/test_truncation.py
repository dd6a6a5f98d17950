"""Long texts keep both ends, so that a marker at either end reaches every model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ecgbench.engines.models import model_folder
from ecgbench.engines.truncation import cut_middle
from ecgbench.profiles import EMBEDDED


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(model_folder(EMBEDDED.encoder.model, Path("unused")))


def test_a_text_that_fits_stays_as_it_is(tokenizer: Any) -> None:
    texts = ["", "short", "word " * 126]
    assert cut_middle(texts, tokenizer, max_tokens=128) == texts


@pytest.mark.parametrize("body", ["word " * 400, "Überraschung🙂 " * 300, "supercalifragilistic" * 200])
def test_a_long_text_keeps_head_and_tail_within_the_limit(tokenizer: Any, body: str) -> None:
    (cut,) = cut_middle([f"first {body} <lbl_pos>"], tokenizer, max_tokens=128)
    assert cut.startswith("first ")
    seen = tokenizer.decode(tokenizer(cut, truncation=True, max_length=128)["input_ids"])
    assert seen.replace(" ", "").endswith("<lbl_pos>[SEP]")
    assert len(tokenizer(cut)["input_ids"]) <= 128
