"""What a cell cost: the sums over all that it reads, and each artifact's own part."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ecgbench.artifacts.base import Artifact, artifact_title
from ecgbench.grid.measuring import asks_llm
from ecgbench.grid.values import TaskValues, Usage
from ecgbench.results import ArtifactCost
from ecgbench.store.spending import Spending, sum_spendings


@dataclass(frozen=True)
class CellUsage:
    """What the artifacts of a cell took when they were computed, their failed attempts and their facts."""

    seconds: float = 0.0
    failed_attempts: int = 0
    facts: Mapping[str, float] = field(default_factory=dict)
    artifacts: Mapping[str, ArtifactCost] = field(default_factory=dict)


def sum_usage(closure: Iterable[Artifact[Any]], values: TaskValues) -> CellUsage:
    """Sum up what was noted of the artifacts as they were loaded."""
    used = {artifact: values.usage[artifact] for artifact in closure if artifact in values.usage}
    return CellUsage(
        sum(usage.seconds for usage in used.values()),
        sum(usage.failed_attempts for usage in used.values()),
        {f"{artifact_title(a)}.{name}": value for a, usage in used.items() for name, value in usage.facts.items()},
        _describe(used),
    )


def _describe(used: Mapping[Artifact[Any], Usage]) -> dict[str, ArtifactCost]:
    """Return what each took by its title; artifacts that differ in their models' settings alone may share one."""
    by_title: dict[str, list[tuple[float, Spending]]] = {}
    for artifact, usage in used.items():
        by_title.setdefault(artifact_title(artifact), []).append((usage.seconds, _complete(artifact, usage.spending)))
    return {
        title: _render(sum(seconds for seconds, _ in same), sum_spendings(spending for _, spending in same))
        for title, same in by_title.items()
    }


def _complete(artifact: Artifact[Any], spending: Spending) -> Spending:
    """Return zero counts for what asks no language model, also where an older version of the harness noted none."""
    if spending.llm_calls is None and spending.prompt_tokens is None and not asks_llm(artifact):
        return Spending(0, 0, 0, spending.peak_memory)
    return spending


def _render(seconds: float, spending: Spending) -> ArtifactCost:
    """Round to what is meant: counts of a batch are spread over its rows."""
    return {
        "seconds": round(seconds, 3),
        "llm_calls": _whole(spending.llm_calls),
        "prompt_tokens": _whole(spending.prompt_tokens),
        "reply_tokens": _whole(spending.reply_tokens),
        "peak_memory": None if spending.peak_memory is None else round(spending.peak_memory, 1),
    }


def _whole(count: float | None) -> int | None:
    return None if count is None else round(count)
