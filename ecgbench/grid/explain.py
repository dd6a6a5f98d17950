"""What the language model says of texts of one's own, and of all texts it was ever asked about."""

from __future__ import annotations

import contextlib
import heapq
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ecgbench.artifacts.base import TextArtifact, artifact_title
from ecgbench.artifacts.llm import (
    CalibratedLabels,
    Explanations,
    ExplanationSamples,
    FewShots,
    LabelLogits,
    Reliability,
    ReliabilityScores,
)
from ecgbench.data import DetectionTask, LabeledTexts
from ecgbench.errors import UsageError
from ecgbench.grid.executors.local import LocalExecutor
from ecgbench.grid.jobs import Job, JobRunner
from ecgbench.grid.prepare import load_dataset
from ecgbench.grid.suite import DatasetChoice
from ecgbench.grid.values import TaskValues
from ecgbench.plugins import Plugins
from ecgbench.profiles import Profile
from ecgbench.progress import Reporter
from ecgbench.prompts import Explanation
from ecgbench.store.cache import Cache
from ecgbench.store.rows import RowStore
from ecgbench.subsample import subsample

FEWEST = 2
"""Items without which a label prior is none."""
ANSWER = ("label", "evidence", "rationale", "counterfactual", "confidence", "samples")
"""What a stored answer holds beside its text."""


@dataclass(frozen=True)
class TextReliability:
    """How far the explanations of one text agree, 0 to 1: `rho` is the mean of the other three."""

    rho: float
    label_agreement: float
    evidence_jaccard: float
    rationale_cosine: float


@dataclass(frozen=True)
class ExplainedText:
    """What the language model says of one text.

    `probabilities` are calibrated, in the order of `label_names`; `explanation` is for the likeliest label.
    It and each of `samples` are None where two replies were not valid, `reliability` where fewer than two are.
    """

    text: str
    label_names: tuple[str, ...]
    probabilities: tuple[float, ...]
    explanation: Explanation | None
    samples: tuple[Explanation | None, ...]
    reliability: TextReliability | None

    @property
    def probability(self) -> float:
        """Return the calibrated probability of the label."""
        return max(self.probabilities)

    @property
    def label(self) -> str:
        """Return the likeliest label."""
        return self.label_names[self.probabilities.index(self.probability)]


def check_texts(texts: Sequence[str]) -> tuple[str, ...]:
    """Return the texts; raises UsageError where there is none, or one that says nothing."""
    if not texts:
        raise UsageError("no text to explain; give TEXT, or lines on standard input")
    for number, text in enumerate(texts, 1):
        if not text.strip():
            raise UsageError(f"text {number} of {len(texts)} is empty; give words to explain")
        if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
            raise UsageError(f"text {number} of {len(texts)} is not UTF-8; convert it first")
    return tuple(texts)


def load_calibration(
    choice: DatasetChoice, n: int, plugins: Plugins, cache: Cache, *, offline: bool, reporter: Reporter
) -> LabeledTexts:
    """Load the first `n` items of a dataset's stratified order, all where it has fewer; raises UsageError."""
    if n < FEWEST:
        raise UsageError(f"--calibration is {n}; give at least {FEWEST} items to estimate the label prior on")
    data = load_dataset(
        choice.model_copy(update={"n": "all", "sample_seed": 0}), plugins, cache, offline=offline, reporter=reporter
    )
    return subsample(data, min(n, len(data)), seed=choice.sample_seed)


def explain_texts(
    texts: Sequence[str], data: LabeledTexts, profile: Profile, *, plugins: Plugins, cache: Cache, reporter: Reporter
) -> tuple[ExplainedText, ...]:
    """Explain texts under a dataset's task; what the cache holds is not computed again.

    The label prior is that of the dataset's items and the texts together. Worked examples, where the task has
    none, come from the items alone, since the texts have no label. Raises StoppedEarlyError at the first failure.
    """
    source = _values(data.texts, data, profile, cache, labels=data.given_labels)
    pooled = _values(tuple(dict.fromkeys([*data.texts, *texts])), data, profile, cache)
    asked = _values(tuple(texts), data, profile, cache)
    position = {text: i for i, text in enumerate(pooled.task.texts)}
    rows = [position[text] for text in texts]
    for values in (pooled, asked):
        values.preset(FewShots(), lambda: source.view([FewShots()])[FewShots()])
    asked.preset(CalibratedLabels(), lambda: pooled.view([CalibratedLabels()])[CalibratedLabels()][rows])
    # One call for all: the models then stay loaded from the first job that needs them to the last.
    jobs = [] if data.description.shots else _text_jobs(source, FewShots())
    jobs += [*_text_jobs(pooled, LabelLogits()), *_text_jobs(asked, ReliabilityScores())]
    executor = LocalExecutor(plugins, cache.models, reporter)
    with contextlib.closing(executor):
        JobRunner(cache, executor, reporter, fail_fast=True).run(jobs)
    return _read(asked)


def iter_stored_explanations(rows: RowStore) -> Iterator[dict[str, Any]]:
    """Yield every stored explanation and set of samples, in order of key, as plain values.

    A failed attempt has `"failed": true` in place of text and answer: its text was never stored.
    """
    streams = [_iter_kind(rows, artifact_title(artifact)) for artifact in (Explanations(), ExplanationSamples())]
    yield from heapq.merge(*streams, key=lambda fields: str(fields["key"]))


def _iter_kind(rows: RowStore, kind: str) -> Iterator[dict[str, Any]]:
    for key, row in rows.iter_rows(kind):
        head = {"key": key, "kind": kind}
        if row.value is None:
            yield head | {"failed": True}
        else:
            fields = json.loads(row.value)
            yield head | {name: fields.get(name) for name in ("text", *(n for n in ANSWER if n in fields))}


def _values(
    texts: tuple[str, ...], data: LabeledTexts, profile: Profile, cache: Cache, *, labels: Any = None
) -> TaskValues:
    """Return the values of texts under the dataset's task; without `labels`, nothing that is asked reads them."""
    labels = np.zeros(len(texts), dtype=np.int64) if labels is None else labels
    return TaskValues(DetectionTask(texts, labels, data.description), 0, profile, cache)


def _text_jobs(values: TaskValues, need: Any) -> list[Job]:
    """Return the jobs of all texts' answers that a need rests on; what is derived from them is so where it is read."""
    return [Job(artifact, (values,)) for artifact in values.closure([need]) if isinstance(artifact, TextArtifact)]


def _read(asked: TaskValues) -> tuple[ExplainedText, ...]:
    view = asked.view([CalibratedLabels(), Explanations(), ExplanationSamples(), ReliabilityScores()])
    probabilities, reliability = view[CalibratedLabels()], view[ReliabilityScores()]
    explanations, samples = view[Explanations()], view[ExplanationSamples()]
    names = asked.task.description.label_names
    return tuple(
        ExplainedText(
            text, names, tuple(probabilities[i].tolist()), explanations[i], samples[i], _of_item(reliability, i)
        )
        for i, text in enumerate(asked.task.texts)
    )


def _of_item(reliability: Reliability, item: int) -> TextReliability | None:
    if not reliability.is_known[item]:
        return None
    return TextReliability(
        rho=float(reliability.rho[item]),
        label_agreement=float(reliability.label_agreement[item]),
        evidence_jaccard=float(reliability.evidence_jaccard[item]),
        rationale_cosine=float(reliability.rationale_cosine[item]),
    )
