"""The engines of language models side by side on the same small model and texts: tokens per second of each."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_llm import serve, skip_without_vllm, small_model, small_settings

from ecgbench.datasets.movie_snippets import MovieSnippets
from ecgbench.engines.llm import LanguageModel, load_llm
from ecgbench.profiles import EMBEDDED, ServerSettings
from ecgbench.prompts import Prompt, explanation_prompt, explanation_schema, label_prompt
from ecgbench.specs import DatasetContext
from ecgbench.store.cache import default_cache_folder

pytestmark = [pytest.mark.slow, pytest.mark.vllm]

TEXTS = 16
NEW_TOKENS = 32
ROUNDS = 2
ENGINES = ("transformers", "vllm", "openai")


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, LanguageModel]]:
    """Load the model in all three engines; the server is vLLM's own."""
    skip_without_vllm()
    folder = small_model()
    with serve(folder, tmp_path_factory.mktemp("server") / "log") as url:
        server = ServerSettings(base_url=url, concurrency=16, timeout=300)
        chosen: dict[str, dict[str, Any]] = {name: {} for name in ENGINES} | {"openai": {"server": server}}
        loaded = {name: load_llm(small_settings(folder, name, **own), folder.parent) for name, own in chosen.items()}
        yield loaded
        loaded["vllm"].close()  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def asked() -> tuple[list[Prompt], list[Prompt], list[str]]:
    """Return the label prompts, the explanation prompts and their schemas, as an instruct model gets them."""
    data = MovieSnippets().load(DatasetContext(Path(default_cache_folder() / "datasets")))
    settings = replace(EMBEDDED.llm, style="chat", counterfactual=False)
    texts = data.texts[:: len(data) // TEXTS][:TEXTS]
    labels = [label_prompt(data.description, (), text, settings) for text in texts]
    whys = [explanation_prompt(data.description, (), text, settings, label="positive") for text in texts]
    return labels, whys, [explanation_schema("positive", counterfactual=False)] * TEXTS


def test_tokens_per_second_of_each_engine(
    benchmark: Any, engines: dict[str, LanguageModel], asked: tuple[list[Prompt], list[Prompt], Sequence[str]]
) -> None:
    labels, whys, schemas = asked
    read: dict[str, list[float]] = {name: [] for name in ENGINES}
    written: dict[str, list[float]] = {name: [] for name in ENGINES}

    def measure() -> None:
        for name, llm in engines.items():  # in turn, so that what else the machine does meets all of them
            before, started = llm.usage.prompt, time.perf_counter()
            llm.label_logits(labels, ("positive", "negative"))
            read[name].append((llm.usage.prompt - before) / (time.perf_counter() - started))
            before, started = llm.usage.reply, time.perf_counter()
            llm.generate(whys, max_new_tokens=NEW_TOKENS, schemas=schemas)
            written[name].append((llm.usage.reply - before) / (time.perf_counter() - started))

    benchmark.pedantic(measure, rounds=ROUNDS, warmup_rounds=1)
    for kind, speeds in (("read", read), ("written", written)):
        best = {name: max(found[1:]) for name, found in speeds.items()}
        ratios = {name: round(speed / best["transformers"], 2) for name, speed in best.items()}
        benchmark.extra_info |= {f"{kind}_per_second": {name: round(speed) for name, speed in best.items()}}
        benchmark.extra_info |= {f"{kind}_ratio": ratios}
        print(f"\ntokens {kind} per second: " + ", ".join(f"{n} {s:.0f} ({ratios[n]:.2f}x)" for n, s in best.items()))
