"""What a run would do: cells, artifact jobs, missing rows, model calls, tokens, time, price; nothing is computed."""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from ecgbench.artifacts.base import Artifact, TaskArtifact, TextArtifact, artifact_title
from ecgbench.errors import INTERRUPTS, EcgbenchError, StoreError
from ecgbench.grid.build import build_cells, build_jobs, build_values
from ecgbench.grid.jobs import Job
from ecgbench.grid.measuring import asks_llm
from ecgbench.grid.prepare import Grid
from ecgbench.grid.prompt_counts import NO_PROMPTS, PromptCount, count_prompts, guess_prompts
from ecgbench.grid.random_states import guard_random_states
from ecgbench.grid.rates import Device, find_device, find_rate
from ecgbench.grid.rerun import Rerun, is_due
from ecgbench.grid.statuses import describe_failure
from ecgbench.grid.values import NotComputedError, TaskValues, resolve_closure
from ecgbench.profiles import Profile
from ecgbench.results import read_known
from ecgbench.store.cache import Cache
from ecgbench.store.calibration import CALIBRATION_FILE, Calibration, Measurement

logger = logging.getLogger(__name__)

BASE_MEMORY = 400
"""MiB of an interpreter with the usual libraries loaded."""


@dataclass(frozen=True)
class PlannedJob:
    """One artifact: how many of its rows (texts) or tasks the cache holds and lacks.

    `is_estimate`: its requests or keys follow from values that are themselves missing, so `missing` is about that.
    `llm_calls` is an estimate: a reply that breaks the form is asked for once more. `seconds` are those of one
    worker on one device; `seconds_from` and `tokens_from` say what they and the tokens rest on. `memory` is None for
    models that lie on a GPU or a server.
    """

    artifact: str
    unit: str
    cached: int
    missing: int
    is_estimate: bool
    llm_calls: int
    prompt_tokens: int
    reply_tokens: int
    tokens_from: str
    seconds: float
    seconds_from: str
    seconds_source: str
    memory: int | None


@dataclass(frozen=True)
class Prices:
    """USD an hour of the machine and a million tokens of a server; None where none is set or none is needed."""

    hour: float | None
    input: float | None
    output: float | None
    is_served: bool

    @classmethod
    def of(cls, profile: Profile) -> Prices:
        """Read a profile's prices; 0 is no price."""
        server, is_served = profile.llm.server, profile.llm.engine == "openai"
        has_price = is_served and bool(server.input_price or server.output_price)
        return cls(
            hour=profile.hour_price or None,
            input=server.input_price if has_price else None,
            output=server.output_price if has_price else None,
            is_served=is_served,
        )


@dataclass(frozen=True)
class Plan:
    """The work of a run before it is done; memory in MiB, of the largest job with the interpreter, without GPUs."""

    profile: str
    prices: Prices
    n_cells: int
    n_due: int
    n_tasks: int
    jobs: tuple[PlannedJob, ...]

    @property
    def llm_calls(self) -> int:
        """Return about how many times a language model would be asked."""
        return sum(job.llm_calls for job in self.jobs)

    @property
    def prompt_tokens(self) -> int:
        """Return about how many tokens the language model would read."""
        return sum(job.prompt_tokens for job in self.jobs)

    @property
    def reply_tokens(self) -> int:
        """Return about how many tokens the language model would write."""
        return sum(job.reply_tokens for job in self.jobs)

    @property
    def hours(self) -> float:
        """Return the estimated time of all jobs on one worker."""
        return sum(job.seconds for job in self.jobs) / 3600

    @property
    def machine_price(self) -> float | None:
        """Return what the hours cost in USD; None where no price is set."""
        return None if self.prices.hour is None else self.hours * self.prices.hour

    @property
    def server_price(self) -> float | None:
        """Return what the tokens cost in USD; None where no server is asked or no price is set."""
        if self.prices.input is None or self.prices.output is None:
            return None
        return (self.prompt_tokens * self.prices.input + self.reply_tokens * self.prices.output) / 1e6

    @property
    def memory(self) -> int:
        """Return the estimated peak in MiB."""
        return BASE_MEMORY + max((job.memory or 0 for job in self.jobs if job.missing), default=0)


def plan_grid(grid: Grid, *, cache: Cache, results: Path, rerun: Rerun = Rerun.MISSING) -> Plan:
    """Return what running the grid would take, given the cache and the records there are."""
    cells = build_cells(grid)
    known = read_known(results)
    due = [cell for cell in cells if is_due(known.get(cell.blank.cell_key), rerun)]
    jobs = build_jobs(due, build_values(grid, cache))
    found = _estimate(jobs, cache, retry_failed=rerun is not Rerun.MISSING)
    return Plan(grid.profile.name, Prices.of(grid.profile), len(cells), len(due), len(grid.rows), found)


def plan_jobs(jobs: Sequence[Job], profile: Profile, *, cache: Cache) -> Plan:
    """Return what the jobs of one task and one detector would take, given the cache."""
    return Plan(profile.name, Prices.of(profile), 1, 1, 1, _estimate(jobs, cache, retry_failed=False))


def _estimate(jobs: Sequence[Job], cache: Cache, *, retry_failed: bool) -> tuple[PlannedJob, ...]:
    measured = Calibration(cache.folder / CALIBRATION_FILE).read()
    estimator = _Estimator(cache, measured, frozenset(cache.rows.counts()), retry_failed=retry_failed)
    planned = [estimator.plan_or_warn(job) for job in jobs]
    return tuple(job for job in planned if job is not None)


@dataclass(frozen=True)
class _Count:
    """Cached and missing rows of a text artifact or values of another, the missing prompts, all exact or not."""

    cached: int
    missing: int
    prompts: PromptCount = NO_PROMPTS
    is_estimate: bool = False


@dataclass
class _Estimator:
    """Plan jobs; `stored`: titles of which the cache holds rows, `retry_failed`: failed attempts count as missing."""

    cache: Cache
    measured: Sequence[Measurement]
    stored: frozenset[str]
    retry_failed: bool

    def plan_or_warn(self, job: Job) -> PlannedJob | None:
        """Leave out a job whose own code fails: the run will say so in the records of its cells."""
        try:
            with guard_random_states():
                return self._plan(job)
        except (StoreError, *INTERRUPTS):
            raise
        except BaseException as error:
            logger.warning("%s", describe_failure(error, what=job.title).reason)
            return None

    def _plan(self, job: Job) -> PlannedJob | None:
        artifact = job.artifact
        if isinstance(artifact, TextArtifact):
            count, unit = self._count_rows(job, artifact), "texts"
            items = count.missing
        elif isinstance(artifact, TaskArtifact) and artifact.stored:
            keys = {_key_or_task(task, artifact): len(task.task) for task in job.tasks}
            absent = [n for key, n in keys.items() if not (isinstance(key, str) and self.cache.objects.has(key))]
            is_estimate = not all(isinstance(key, str) for key in keys)  # tasks without a key may share a value
            count, unit = _Count(len(keys) - len(absent), len(absent), is_estimate=is_estimate), "tasks"
            items = sum(absent)
        else:
            return None
        rate = find_rate(artifact, self.measured)
        return PlannedJob(
            artifact=job.title,
            unit=unit,
            cached=count.cached,
            missing=count.missing,
            is_estimate=count.is_estimate,
            llm_calls=round(count.prompts.n) if asks_llm(artifact) else artifact.cost.llm_calls * count.missing,
            prompt_tokens=round(rate.tokens_a_character * count.prompts.characters),
            reply_tokens=round(rate.reply_tokens * items),
            tokens_from=rate.tokens_from if asks_llm(artifact) else "",
            seconds=rate.seconds * items,
            seconds_from=rate.seconds_from,
            seconds_source=rate.seconds_source,
            memory=artifact.cost.memory if find_device(artifact) is Device.CPU else None,
        )

    def _count_rows(self, job: Job, artifact: TextArtifact[Any]) -> _Count:
        """Count requests where they can be rendered, else texts, and their prompts where they are an LLM's."""
        asks = asks_llm(artifact)
        prompts: dict[str, PromptCount] = {}
        keys_of: dict[int, list[str]] = {}
        unknown: set[str] = set()
        likely: set[str] = set()
        each = NO_PROMPTS
        for task in job.tasks:
            try:
                keys, requests = task.requests(artifact)
                keys_of[id(task)] = keys
                new = {key: request for key, request in zip(keys, requests, strict=True) if key not in prompts}
                prompts |= {key: count_prompts([request]) if asks else each for key, request in new.items()}
            except EcgbenchError:  # what it is rendered from is not computed yet
                if asks and not unknown:
                    each = guess_prompts(artifact, task)
                unknown |= set(task.task.texts)
                likely |= self._likely_missing(task, artifact)
            task.forget()
        missing = set(self.cache.rows.missing(sorted(prompts), retry_failed=self.retry_failed))
        for task in job.tasks:
            if not missing.isdisjoint(keys_of.get(id(task), ())):
                task.preset(artifact, _NotThere(artifact))  # so that what rests on it need not look for its rows again
        total = functools.reduce(PromptCount.plus, (prompts[key] for key in sorted(missing)), NO_PROMPTS)
        cached = len(prompts) - len(missing) + len(unknown - likely)
        return _Count(cached, len(missing) + len(likely), total.plus(each, len(likely)), bool(unknown))

    def _likely_missing(self, task: TaskValues, artifact: TextArtifact[Any]) -> set[str]:
        """Return the texts that a row itself is missing for further up; all of them in a cache without such rows.

        The other texts were most likely computed to the end when they were first seen.
        """
        if artifact_title(artifact) not in self.stored:
            return set(task.task.texts)
        texts: set[str] = set()
        for source in resolve_closure(artifact.inputs(), task.profile):
            if not isinstance(source, TextArtifact):
                continue
            try:
                keys, _ = task.requests(source)
            except EcgbenchError:
                continue  # what it is rendered from stands in the closure too
            missing = set(self.cache.rows.missing(keys))
            texts |= {text for text, key in zip(task.task.texts, keys, strict=True) if key in missing}
        return texts


@dataclass(frozen=True)
class _NotThere:
    """Stand for a value of which rows are missing."""

    artifact: Artifact[Any]

    def __call__(self) -> NoReturn:
        raise NotComputedError(self.artifact)


def _key_or_task(task: TaskValues, artifact: TaskArtifact[Any]) -> str | int:
    """Return the key of a value, or what stands for its task where the key follows from missing answers."""
    try:
        return task.key(artifact)
    except EcgbenchError:
        return id(task)
    finally:
        task.forget()
