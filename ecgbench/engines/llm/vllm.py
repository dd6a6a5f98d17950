"""Run a causal language model through vLLM, in this process's own engine."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ecgbench.data import FloatArray
from ecgbench.engines.llm.base import Prompt, TokenUsage
from ecgbench.engines.llm.tokens import PromptTokens
from ecgbench.engines.llm.transformers import SAMPLED
from ecgbench.engines.models import model_folder
from ecgbench.errors import EcgbenchError, UsageError
from ecgbench.profiles import LlmSettings
from ecgbench.registry import missing_package

logger = logging.getLogger(__name__)

MOST_SCORED = 128
"""How many tokens vLLM scores for one request."""
END_SECONDS = 20.0
"""How long the engine's processes may take to end."""
_QUIET = {"VLLM_LOGGING_STREAM": "ext://sys.stderr", "VLLM_LOGGING_LEVEL": "WARNING", "VLLM_NO_USAGE_STATS": "1"}
"""Unless the user says otherwise: results alone go to stdout, and nobody is told of the run."""


@dataclass
class VllmLlm:
    """A causal language model in vLLM, which keeps the keys and values of what prompts begin with alike."""

    engine: Any
    tokens: PromptTokens
    context_tokens: int
    usage: TokenUsage = field(default_factory=TokenUsage)
    processes: Set[Any] = frozenset()

    @classmethod
    def load(cls, settings: LlmSettings, model_dir: Path) -> VllmLlm:
        """Load the model of these settings; safetensors only, no code from the model's folder.

        Raises MissingPackageError without vLLM, EcgbenchError where vLLM cannot run the model.
        """
        for name, value in _QUIET.items():
            os.environ.setdefault(name, value)
        try:
            import vllm
        except ImportError:
            raise missing_package("vllm", needed_for="profile.llm.engine=vllm") from None
        from transformers import AutoTokenizer
        from vllm.platforms import current_platform

        folder = str(model_folder(settings.model, model_dir))
        others = _list_children()
        try:
            engine = vllm.LLM(
                model=folder,
                dtype=number_format(settings.dtype, current_platform),
                load_format="safetensors",
                trust_remote_code=False,
                tensor_parallel_size=settings.vllm.tensor_parallel,
                gpu_memory_utilization=settings.vllm.gpu_memory,
                max_model_len=settings.vllm.context_tokens,
                enable_prefix_caching=True,
                enforce_eager=current_platform.is_cpu(),
                generation_config="vllm",  # the model's own would change temperature and penalties unasked
                logprobs_mode="raw_logprobs",
                structured_outputs_config={"backend": "xgrammar", "disable_any_whitespace": True},
                use_tqdm_on_load=False,
            )
        except Exception as error:  # whatever it is, it ends up in one line
            raise EcgbenchError(f"vLLM cannot load {settings.model!r}: {_first_line(error)}") from error
        logger.info("loaded language model %s in vLLM %s", settings.model, vllm.__version__)
        tokens = PromptTokens(AutoTokenizer.from_pretrained(folder, trust_remote_code=False), settings.model)
        return cls(engine, tokens, settings.vllm.context_tokens, processes=_list_children() - others)

    def close(self) -> None:
        """End the engine's processes, which hold the device's memory; a second call does nothing."""
        import psutil

        engine, self.engine = self.engine, None
        if engine is not None:
            engine.llm_engine.engine_core.shutdown()
            psutil.wait_procs(self.processes, timeout=END_SECONDS)  # killed is not yet gone

    def label_logits(self, prompts: Sequence[Prompt], labels: Sequence[str]) -> FloatArray:
        """Return log-probabilities of the labels as continuations: float64, shape (b, C).

        Where the labels' first tokens differ they decide; else the whole label and its end are scored, a request
        for each distinct start of a label, all but the last tokens of which vLLM has in its cache. NaN where a prompt
        is too long.
        """
        answers = self.tokens.encode_labels(labels, chat=prompts[0].chat)
        questions = list(_iter_questions(answers))
        rows = self._encode(prompts, room=max(map(len, answers)))
        outputs = iter(
            self._run(
                [[*rows[i], *start] for i in rows for start, _ in questions],
                [{"max_tokens": 1, "logprob_token_ids": tokens} for _ in rows for _, tokens in questions],
            )
        )
        scores = np.full((len(prompts), len(answers)), np.nan)
        for i in rows:
            found: dict[tuple[int, ...], float] = {}
            for start, tokens in questions:
                (scored,) = next(outputs).logprobs
                found |= {(*start, token): scored[token].logprob for token in tokens}
            scores[i] = [sum(found[tuple(ids[: end + 1])] for end in range(len(ids))) for ids in answers]
        return scores

    def generate(
        self,
        prompts: Sequence[Prompt],
        *,
        max_new_tokens: int,
        stop: str | None = None,
        schemas: Sequence[str] | None = None,
        temperature: float = 0.0,
        seeds: Sequence[int] | None = None,
    ) -> list[str | None]:
        """Continue each prompt up to `stop` (left out), its own end or `max_new_tokens`; see LanguageModel.

        Each draw is a request with its row's seed, so a reply does not follow from what else is in the batch;
        vLLM reads the prompt of several once.
        """
        chat = prompts[0].chat
        drawn: Sequence[int | None] = (seeds or range(len(prompts))) if temperature else [None] * len(prompts)
        forms: Sequence[str | None] = schemas if schemas else [None] * len(prompts)
        asked = list(zip(prompts, forms, drawn, strict=True))
        distinct = list(dict.fromkeys(asked))
        shared: dict[str, Any] = {
            "max_tokens": max_new_tokens,
            "temperature": temperature,
            "top_k": SAMPLED if temperature else 0,
            "stop": stop,
            "stop_token_ids": self.tokens.ends(chat=chat),
        }
        rows = self._encode([prompt for prompt, _, _ in distinct], room=max_new_tokens)
        kept = [distinct[i] for i in rows]
        outputs = self._run(
            list(rows.values()),
            [{**shared, "seed": seed, "structured_outputs": _decoded_under(schema)} for _, schema, seed in kept],
        )
        replies = {request: output.text for request, output in zip(kept, outputs, strict=True)}
        return [replies.get(request) for request in asked]

    def _encode(self, prompts: Sequence[Prompt], *, room: int) -> dict[int, list[int]]:
        """Return whole prompts as token ids by position, without those too long for `room` tokens to go on.

        Raises UsageError where even an empty text would leave no room.
        """
        encoded = self.tokens.encode([*prompts, prompts[0].without_text()])
        *rows, empty = [encoded.head + row for row in encoded.rows]
        limit = f"profile.llm.vllm.context_tokens is {self.context_tokens}; raise it"
        if len(empty) + room > self.context_tokens:
            raise UsageError(f"a prompt without its text takes {len(empty) + room} tokens with its reply, {limit}")
        kept = {i: row for i, row in enumerate(rows) if len(row) + room <= self.context_tokens}
        if len(kept) < len(rows):
            logger.warning(
                "%d of %d prompts were refused: the longest takes %d tokens with its reply, %s, or lower %s",
                len(rows) - len(kept),
                len(rows),
                max(map(len, rows)) + room,
                limit,
                "profile.llm.text_words",
            )
        return kept

    def _run(self, rows: Sequence[list[int]], settings: Sequence[dict[str, Any]]) -> list[Any]:
        """Return vLLM's one output a request, and count its tokens."""
        if not rows:
            return []
        from vllm import SamplingParams
        from vllm.inputs import TokensPrompt

        asked = [TokensPrompt(prompt_token_ids=row) for row in rows]
        params = [SamplingParams(**{"temperature": 0.0, **chosen}) for chosen in settings]
        found = [result.outputs[0] for result in self.engine.generate(asked, params, use_tqdm=False)]
        self.usage.calls += len(rows)
        self.usage.prompt += sum(map(len, rows))
        self.usage.reply += sum(len(output.token_ids) for output in found)
        return found


def _list_children() -> Set[Any]:
    """Return the processes that this one has started, and those that they have."""
    import psutil

    return frozenset(psutil.Process().children(recursive=True))


def number_format(dtype: str, platform: Any) -> str:
    """Return the number format that a setting stands for on a platform of vLLM's."""
    import torch

    if dtype != "auto":
        return dtype
    return "float32" if platform.is_cpu() or torch.bfloat16 not in platform.supported_dtypes else "bfloat16"


def _iter_questions(answers: Sequence[Sequence[int]]) -> Iterator[tuple[tuple[int, ...], list[int]]]:
    """Yield each distinct start of the answers with the tokens that follow it, at most MOST_SCORED at a time."""
    following: dict[tuple[int, ...], dict[int, None]] = {}
    for ids in answers:
        for end, token in enumerate(ids):
            following.setdefault(tuple(ids[:end]), {})[token] = None
    for start, after in following.items():
        tokens = list(after)
        for i in range(0, len(tokens), MOST_SCORED):
            yield start, tokens[i : i + MOST_SCORED]


def _decoded_under(schema: str | None) -> Any:
    if schema is None:
        return None
    from vllm.sampling_params import StructuredOutputsParams

    return StructuredOutputsParams(json=schema)


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
