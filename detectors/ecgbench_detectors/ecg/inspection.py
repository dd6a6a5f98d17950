"""What lies between the texts and ECG's scores, step by step: classifier, explanations, graph, signals."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecgbench.artifacts.base import Artifact, Artifacts
from ecgbench.artifacts.classifier import OutOfFoldProbs, TrainingDynamics, area_under_margin
from ecgbench.artifacts.graph import outlier_scores
from ecgbench.artifacts.llm import ExplanationEmbeddings, Explanations, ExplanationSamples, ReliabilityScores
from ecgbench.data import DetectionTask, FloatArray
from ecgbench.specs import Panel
from ecgbench_detectors.ecg.aggregate import scaled_ranks
from ecgbench_detectors.ecg.graph import ExplanationGraph
from ecgbench_detectors.ecg.signals import Signal, SignalSource


def inspection_needs(graph: ExplanationGraph, sources: Sequence[SignalSource]) -> tuple[Artifact[Any], ...]:
    """Return the artifacts `render_panels` reads."""
    embeddings = ExplanationEmbeddings(label_words=graph.label_words)
    shown = (
        OutOfFoldProbs(),
        TrainingDynamics(),
        Explanations(),
        ExplanationSamples(),
        ReliabilityScores(),
        embeddings,
    )
    return (*shown, *graph.needs(), *(need for source in sources for need in source.needs()))


def render_panels(
    task: DetectionTask,
    artifacts: Artifacts,
    *,
    graph: ExplanationGraph,
    sources: Sequence[SignalSource],
    scores: FloatArray,
    findings: Sequence[str],
) -> list[Panel]:
    """Return one panel a step; `scores`: the aggregated suspicion, shape (n,), `findings`: what led to it."""
    signals = [source.measure(task, artifacts) for source in sources]
    return [
        _classifier_panel(task, artifacts),
        _explanation_panel(artifacts),
        _graph_panel(task, artifacts, graph),
        _signal_panel(signals, scores),
        _correlation_panel([*signals, Signal("score", scores, np.ones(len(scores)))]),
        Panel("findings", ("",), tuple((finding,) for finding in findings)),
    ]


def count_label_words(strings: Sequence[str], label_names: Sequence[str]) -> int:
    """Count the strings in which a label name stands as a word of its own."""
    names = "|".join(map(re.escape, label_names))
    pattern = re.compile(rf"(?<!\w)(?:{names})(?!\w)", re.IGNORECASE)
    return sum(pattern.search(string) is not None for string in strings)


def correlate_ranks(signals: Sequence[Signal]) -> FloatArray:
    """Return Spearman's correlation of every pair of signals, shape (F, F); NaN where one of them is constant."""
    ranks = np.array([scaled_ranks(signal.values) for signal in signals])
    centred = ranks - ranks.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(centred, axis=1)
    product = np.outer(lengths, lengths)
    return np.asarray(np.divide(centred @ centred.T, product, out=np.full(product.shape, np.nan), where=product > 0))


def _classifier_panel(task: DetectionTask, artifacts: Artifacts) -> Panel:
    predicted = artifacts[OutOfFoldProbs()].argmax(axis=1)
    margins = area_under_margin(artifacts[TrainingDynamics()].logits, task.labels)
    return _facts(
        "classifier",
        ("out-of-fold accuracy on the given labels", _number(np.mean(predicted == task.labels))),
        ("AUM", _range(margins)),
    )


def _explanation_panel(artifacts: Artifacts) -> Panel:
    explanations, samples = artifacts[Explanations()], artifacts[ExplanationSamples()]
    drawn = [sample for row in samples for sample in row]
    reliability = artifacts[ReliabilityScores()]
    return _facts(
        "explanations",
        ("invalid explanations", f"{explanations.count(None)} of {len(explanations)}"),
        ("invalid samples", f"{drawn.count(None)} of {len(drawn)}"),
        ("mean reliability", _mean(reliability.rho)),
        ("label agreement", _mean(reliability.label_agreement)),
        ("evidence overlap", _mean(reliability.evidence_jaccard)),
        ("rationale similarity", _mean(reliability.rationale_cosine)),
    )


def _graph_panel(task: DetectionTask, artifacts: Artifacts, graph: ExplanationGraph) -> Panel:
    embeddings = ExplanationEmbeddings(label_words=graph.label_words)
    embedded = embeddings.requests(task, artifacts)
    neighbours = artifacts[graph.neighbours]
    n_edges = np.count_nonzero(graph.weights(artifacts))
    return _facts(
        "graph",
        ("embeddings", " x ".join(map(str, artifacts[embeddings].shape))),
        ("label words in", f"{count_label_words(embedded, task.description.label_names)} of {len(embedded)} strings"),
        ("nodes", str(len(neighbours.indices))),
        ("edges kept", f"{n_edges} of {neighbours.indices.size}"),
        ("mean similarity", _mean(neighbours.similarities)),
        ("outlier score", _range(outlier_scores(neighbours))),
    )


def _signal_panel(signals: Sequence[Signal], scores: FloatArray) -> Panel:
    rows = [(s.name, *_summary(s.values), _mean(s.confidence)) for s in signals]
    columns = ("signal", "lowest", "mean", "highest", "mean confidence")
    return Panel("signals", columns, (*rows, ("score", *_summary(scores), "")))


def _correlation_panel(signals: Sequence[Signal]) -> Panel:
    names = tuple(signal.name for signal in signals)
    table = correlate_ranks(signals)
    rows = tuple((name, *map(_number, row)) for name, row in zip(names, table, strict=True))
    return Panel("Spearman correlations", ("signal", *names), rows)


def _facts(title: str, *rows: tuple[str, str]) -> Panel:
    return Panel(title, ("what", "value"), rows)


def _summary(values: FloatArray) -> tuple[str, str, str]:
    return _number(values.min()), _number(values.mean()), _number(values.max())


def _range(values: FloatArray) -> str:
    return f"{_number(values.min())} to {_number(values.max())}"


def _mean(values: NDArray[Any]) -> str:
    """Return the mean of the values that are known."""
    known = values[~np.isnan(values)]
    return _number(known.mean()) if known.size else "-"


def _number(value: float | np.floating[Any]) -> str:
    return "-" if np.isnan(value) else f"{value:.3f}"
