"""How often the language model is asked, counted at the model: what a grid shares, it asks once."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecgbench.data import FloatArray
from ecgbench.engines.llm import Prompt, TokenUsage
from ecgbench.engines.llm.transformers import TransformersLlm
from ecgbench.grid.build import build_cells, build_jobs, build_values
from ecgbench.grid.cells import Condition, corrupt
from ecgbench.grid.executors.local import LocalExecutor
from ecgbench.grid.jobs import JobRunner
from ecgbench.grid.measuring import asks_llm
from ecgbench.grid.plan import Plan, plan_grid
from ecgbench.grid.prepare import prepare
from ecgbench.grid.selection import Selection
from ecgbench.grid.suite import validate_suite
from ecgbench.plugins import load_plugins
from ecgbench.profiles import EMBEDDED
from ecgbench.progress import SilentReporter
from ecgbench.specs import DatasetContext
from ecgbench.store.cache import Cache
from ecgbench.store.calibration import CALIBRATION_FILE, Calibration

DESCRIBED = Path(__file__).parents[1] / "plugins" / "described.py"
UNIFORM, MARKED = "uniform", "artifact_aligned"
RATES, SEEDS = (0.05, 0.10, 0.20), (0, 1, 2)
REPLY_TOKENS = 7
LLM_ARTIFACTS = ("LabelLogits", "Explanations", "ExplanationSamples", "LlmNli")


@dataclass
class Counting:
    """A language model that counts; what it says of a prompt follows from the prompt."""

    labels: int = 0
    replies: int = 0
    asked_labels: list[str] = field(default_factory=list)
    usage: TokenUsage = field(default_factory=TokenUsage)

    def label_logits(self, prompts: Sequence[Prompt], labels: Sequence[str]) -> FloatArray:
        self.labels += len(prompts)
        if labels == ("bad", "good"):  # not those of the NLI question, which has a third
            self.asked_labels += map(str, prompts)
        self._note(prompts, 0)
        draws = [np.random.default_rng(list(hashlib.sha256(str(p).encode()).digest())) for p in prompts]
        return np.log(np.stack([draw.dirichlet(np.ones(len(labels))) for draw in draws]))

    def generate(self, prompts: Sequence[Prompt], **_: Any) -> list[str]:
        self.replies += len(prompts)
        self._note(prompts, REPLY_TOKENS)
        words = [prompt.suffix.splitlines()[0].split()[-2:] for prompt in prompts]
        return [f'"{" ".join(pair)}"\nReason: These words tell it.' for pair in words]

    def _note(self, prompts: Sequence[Prompt], written: int) -> None:
        if usage := getattr(self, "usage", None):
            usage.prompt += sum(len(str(prompt)) // 2 for prompt in prompts)
            usage.reply += written * len(prompts)


@dataclass
class Bench:
    """Plan grids on one cache and ask for them what only the language model gives."""

    cache: Cache
    llm: Counting

    def run(self, noises: Sequence[str], rates: Sequence[float], seeds: Sequence[int], **dataset: Any) -> Plan:
        """Return the plan of a grid, made before its questions were asked."""
        suite = validate_suite(
            {
                "name": "calls",
                "datasets": [{"name": "described", **dataset}],
                "noises": [{"name": name, "rates": list(rates), "seeds": list(seeds)} for name in noises],
                "detectors": [{"name": "ecg", "params": {"aggregation": "fixed"}}],
            },
            where="the test",
        )
        plugins = load_plugins((DESCRIBED,))
        grid = prepare(suite, plugins, self.cache, offline=True)
        planned = plan_grid(grid, cache=self.cache, results=self.cache.folder / "none.jsonl")
        jobs = [job for job in build_jobs(build_cells(grid), build_values(grid, self.cache)) if asks_llm(job.artifact)]
        JobRunner(self.cache, LocalExecutor(plugins, self.cache.models, SilentReporter()), SilentReporter()).run(jobs)
        return planned


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    llm = Counting()
    monkeypatch.setattr(TransformersLlm, "load", lambda *_: llm)
    return Bench(Cache.open(tmp_path), llm)


def calls_of(planned: Plan, artifact: str) -> int:
    return next(job.llm_calls for job in planned.jobs if job.artifact == artifact)


def test_a_plan_of_one_cell_counts_what_is_then_asked(bench: Bench) -> None:
    planned = bench.run([UNIFORM], [0.1], [0])
    assert calls_of(planned, "LabelLogits") + calls_of(planned, "LlmNli") == bench.llm.labels == 400
    assert calls_of(planned, "Explanations") + calls_of(planned, "ExplanationSamples") == bench.llm.replies == 600


def test_uniform_noise_at_any_rate_under_any_seed_asks_nothing_again(bench: Bench) -> None:
    bench.run([UNIFORM], [0.1], [0])
    first = (bench.llm.labels, bench.llm.replies)
    planned = bench.run([UNIFORM], RATES, SEEDS)
    assert (bench.llm.labels, bench.llm.replies) == first
    assert planned.llm_calls == 0


def test_two_noises_at_three_rates_under_three_seeds_cost_little_more_than_one_cell(bench: Bench) -> None:
    bench.run([UNIFORM], [0.1], [0])
    labels, replies = bench.llm.labels, bench.llm.replies
    bench.run([UNIFORM, MARKED], RATES, SEEDS)
    # Of n texts a share of 1 - (1 - .2) ** 3 is flipped under one of three seeds and then also asked with its marker.
    assert bench.llm.labels <= 1.5 * labels
    # An explanation is for the calibrated label: where other texts of its task shift that, one more is asked for.
    assert bench.llm.labels + bench.llm.replies <= 1.6 * (labels + replies)


def test_each_distinct_text_is_asked_for_its_label_once_whatever_the_grid(bench: Bench) -> None:
    bench.run([UNIFORM, MARKED], RATES, SEEDS)
    grid = [corrupted(noise, rate, seed) for noise in (UNIFORM, MARKED) for rate in RATES for seed in SEEDS]
    n_texts = len({text for texts in grid for text in texts})
    assert len(bench.llm.asked_labels) == len(set(bench.llm.asked_labels)) == n_texts


def test_a_run_notes_what_it_took_and_the_next_plan_says_so(bench: Bench) -> None:
    guessed = bench.run([UNIFORM], [0.1], [0])
    measured = bench.run([UNIFORM], [0.1], [0], params={"size": 300})
    for planned, figures in ((guessed, "measured elsewhere, 2 CPU cores"), (measured, "measured here on ")):
        job = next(job for job in planned.jobs if job.artifact == "LabelLogits")
        assert job.seconds_from.startswith(figures)
    before = next(job for job in guessed.jobs if job.artifact == "Explanations")
    after = next(job for job in measured.jobs if job.artifact == "Explanations")
    assert (before.tokens_from, before.reply_tokens) == ("characters / 4", 200 * EMBEDDED.llm.reply_tokens)
    assert (after.tokens_from, after.reply_tokens) == ("measured here", after.missing * REPLY_TOKENS)
    assert after.prompt_tokens / after.missing == pytest.approx(2 * before.prompt_tokens / before.missing, rel=0.1)


def test_what_is_noted_of_a_job_is_its_items_characters_and_tokens_by_work_and_device(bench: Bench) -> None:
    bench.run([UNIFORM], [0.1], [0])
    noted = {one.work: one for one in Calibration(bench.cache.folder / CALIBRATION_FILE).read()}
    assert set(noted) == {f"{name} with {EMBEDDED.llm.model} (transformers)" for name in LLM_ARTIFACTS}
    labels = noted[f"LabelLogits with {EMBEDDED.llm.model} (transformers)"]
    assert (labels.items, labels.reply_tokens) == (200, 0)
    assert labels.prompt_tokens == pytest.approx(labels.characters / 2, rel=0.01)
    assert labels.device.startswith(("cpu, ", "NVIDIA"))
    assert labels.seconds > 0


def test_prompts_that_cannot_be_rendered_yet_are_planned_nearly_as_long_as_they_come_out(bench: Bench) -> None:
    planned = bench.run([UNIFORM], [0.1], [0])
    noted = {one.work.split()[0]: one for one in Calibration(bench.cache.folder / CALIBRATION_FILE).read()}
    for name, tolerance in (
        ("Explanations", 0.01),
        ("ExplanationSamples", 0.01),
        ("LlmNli", 0.25),
    ):  # the stand-in for an explanation is of usual length
        job = next(job for job in planned.jobs if job.artifact == name)
        assert job.is_estimate
        assert 4 * job.prompt_tokens == pytest.approx(noted[name].characters, rel=tolerance)


def test_values_whose_keys_follow_from_missing_answers_are_counted_about(bench: Bench) -> None:
    planned = bench.run([UNIFORM], RATES, [0])
    about = {job.artifact: job.is_estimate for job in planned.jobs if job.unit == "tasks"}
    assert (about["Neighbours(ExplanationEmbeddings)"], about["TrainingDynamics"]) == (True, False)


def test_an_engine_that_counts_no_tokens_leaves_the_guess(bench: Bench) -> None:
    del bench.llm.usage
    bench.run([UNIFORM], [0.1], [0])
    planned = bench.run([UNIFORM], [0.1], [0], params={"size": 300})
    job = next(job for job in planned.jobs if job.artifact == "LabelLogits")
    assert (job.seconds_from[:13], job.tokens_from) == ("measured here", "characters / 4")


def test_tokens_of_a_batch_that_fails_are_in_the_log(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(prompts: Sequence[Prompt], **_: Any) -> list[str]:
        bench.llm._note(prompts, REPLY_TOKENS)
        raise RuntimeError("the server is tired")

    monkeypatch.setattr(bench.llm, "generate", fail, raising=False)
    caplog.set_level(logging.INFO, logger="ecgbench.grid.jobs")
    bench.run([UNIFORM], [0.1], [0])
    lines = [line for line in caplog.messages if " tokens and wrote " in line]
    assert [line.split()[0] for line in lines] == ["LabelLogits", "Explanations", "ExplanationSamples"]
    read, written = (sum(int(line.split()[at].replace(",", "")) for line in lines) for at in (2, -1))
    assert (read, written) == (bench.llm.usage.prompt, bench.llm.usage.reply)
    assert written > 0


def corrupted(noise: str, rate: float, seed: int) -> tuple[str, ...]:
    """Return the texts of one task."""
    plugins = load_plugins((DESCRIBED,))
    data = plugins.datasets["described"].build({}).load(DatasetContext(Path(), True))
    condition = Condition(Selection("described"), len(data), Selection(noise), rate, seed)
    return corrupt(condition, data, plugins.noise_models[noise].build({})).task.texts
