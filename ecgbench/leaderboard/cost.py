"""The board's cost: what each detector takes by itself, and the artifacts that detectors share, each once."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ecgbench.leaderboard.board import Group, Table, render_name
from ecgbench.leaderboard.text import ABSENT, escape, render_pipe_table, render_seconds
from ecgbench.results import ArtifactCost, CellRecord, Status

_TITLE = """## Cost

What one task takes (a dataset under one noise, rate and seed; means over the tasks of a dataset). Detectors read
artifacts, which are computed once for all of them: the first table holds what a detector's own `score` takes and names
by number what it reads, the second table holds each artifact once. LLM calls and tokens of a detector are those of all
that it reads. An answer that several tasks share counts for each of them. Seconds and memory are orders of magnitude,
calls and tokens are rounded to two digits. Memory is the main memory of the computing process, by how much it rose at
its peak; what was loaded before, other processes and GPUs are not in it.
"""
_SHOWN_DIGITS = 2
_COUNTS = ("llm_calls", "prompt_tokens", "reply_tokens")


@dataclass(frozen=True)
class DetectorCost:
    """What one detector takes by itself, seconds and MiB; calls and tokens are those of all artifacts it reads."""

    name: str
    seconds: float
    peak_memory: float | None
    llm_calls: float | None
    tokens: float | None
    reads: tuple[int, ...]


@dataclass(frozen=True)
class Costs:
    """The cost of one task of a dataset, size and profile, detectors and artifacts in order of name.

    `group`: that of the first table; `reads` of a detector counts artifacts from 1; `total`: of all artifacts.
    """

    group: Group
    detectors: tuple[DetectorCost, ...]
    artifacts: Mapping[str, ArtifactCost]
    total: ArtifactCost


def build_costs(tables: Iterable[Table]) -> list[Costs]:
    """Average the cost over the tasks of each dataset, size and profile; those whose records tell none are left out."""
    return [
        _average_records(group, records)
        for group, own in _group_tables(tables).items()
        if (records := [record for table in own for record in _telling(table)])
    ]


def render_costs(tables: Iterable[Table], titles: Mapping[Group, str]) -> list[str]:
    """Render a section for each dataset, size and profile with records that tell their cost; none without."""
    parts = [_render_section(costs, _title(costs.group, titles)) for costs in build_costs(tables)]
    return [_TITLE, *parts] if parts else []


def _title(group: Group, titles: Mapping[Group, str]) -> str:
    return titles[group].removesuffix(f", rate {group.rate:g}")


def _group_tables(tables: Iterable[Table]) -> dict[Group, list[Table]]:
    """Return the tables of each dataset, size and profile by the group of the first."""
    found: dict[Group, list[Table]] = {}
    for table in tables:
        found.setdefault(table.group._replace(rate=0.0, noise=""), []).append(table)
    return {own[0].group: own for own in found.values()}


def _telling(table: Table) -> list[CellRecord]:
    """Return the records of detectors that say what their artifacts took here, on no other machine."""
    records = [record for row in table.rows for record in row.records if record.origin is None]
    return [r for r in records if r.status is Status.OK and not r.sanity and r.artifacts is not None]


def _average_records(group: Group, records: Sequence[CellRecord]) -> Costs:
    artifacts = _average_artifacts(records)
    numbers = {artifact: number for number, artifact in enumerate(artifacts, start=1)}
    detectors: dict[str, list[CellRecord]] = {}
    for record in records:
        detectors.setdefault(render_name(record.detector, record.detector_params), []).append(record)
    found = tuple(_average_detector(name, detectors[name], numbers) for name in sorted(detectors))
    return Costs(group, found, artifacts, _total(artifacts.values()))


def _average_detector(name: str, records: Sequence[CellRecord], numbers: Mapping[str, int]) -> DetectorCost:
    totals = [_total((record.artifacts or {}).values()) for record in records]
    return DetectorCost(
        name,
        seconds=statistics.fmean(record.seconds for record in records),
        peak_memory=_greatest(record.peak_memory for record in records),
        llm_calls=_mean(total["llm_calls"] for total in totals),
        tokens=_mean(_add(total["prompt_tokens"], total["reply_tokens"]) for total in totals),
        reads=tuple(sorted({numbers[artifact] for record in records for artifact in record.artifacts or ()})),
    )


def _render_section(costs: Costs, title: str) -> str:
    heading = ["detector", "own seconds", "own peak MiB", "LLM calls", "tokens", "reads"]
    lines = [f"### {title}\n", *render_pipe_table(heading, [_detector_cells(one) for one in costs.detectors]), ""]
    if costs.artifacts:
        heading = ["artifact", "no.", "seconds", "peak MiB", "LLM calls", "tokens read", "tokens written"]
        named = enumerate(costs.artifacts.items(), start=1)
        cells = [_artifact_cells(name, str(number), cost) for number, (name, cost) in named]
        lines += [*render_pipe_table(heading, [*cells, _artifact_cells("all", "", costs.total)]), ""]
    return "\n".join(lines)


def _detector_cells(cost: DetectorCost) -> list[str]:
    return [
        escape(cost.name),
        render_seconds(cost.seconds),
        _render_memory(cost.peak_memory),
        _render_count(cost.llm_calls),
        _render_count(cost.tokens),
        render_numbers(cost.reads),
    ]


def _artifact_cells(name: str, number: str, cost: ArtifactCost) -> list[str]:
    counts = [_render_count(cost[count]) for count in _COUNTS]
    return [escape(name), number, render_seconds(cost["seconds"]), _render_memory(cost["peak_memory"]), *counts]


def _average_artifacts(records: Sequence[CellRecord]) -> dict[str, ArtifactCost]:
    """Return each artifact's mean cost over tasks, in order of title; of one task the newest record tells it."""
    found: dict[str, dict[tuple[object, ...], ArtifactCost]] = {}
    for record in sorted(records, key=lambda record: (record.created_at, record.to_json_line())):
        for title, cost in (record.artifacts or {}).items():
            found.setdefault(title, {})[*record.group, record.seed] = cost
    return {title: _average(list(found[title].values())) for title in sorted(found)}


def _average(costs: Sequence[ArtifactCost]) -> ArtifactCost:
    means = {name: _mean(cost[name] for cost in costs) for name in ("seconds", *_COUNTS)}
    return {**means, "peak_memory": _greatest(cost["peak_memory"] for cost in costs)}


def _total(costs: Iterable[ArtifactCost]) -> ArtifactCost:
    """Return the sums, and of the memory the greatest: artifacts are computed one after another."""
    known = list(costs)
    sums = {name: _sum([cost[name] for cost in known]) for name in ("seconds", *_COUNTS)}
    return {**sums, "peak_memory": _greatest(cost["peak_memory"] for cost in known)}


def _sum(values: Sequence[float | None]) -> float | None:
    """Return the sum; None where a part is missing, as a sum would hide it."""
    known = [value for value in values if value is not None]
    return math.fsum(known) if len(known) == len(values) else None


def _add(one: float | None, other: float | None) -> float | None:
    return _sum([one, other])


def _mean(values: Iterable[float | None]) -> float | None:
    found = list(values)
    total = _sum(found)
    return None if total is None else total / len(found)


def _greatest(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _render_memory(peak: float | None) -> str:
    """Render an order of magnitude from 10 MiB on: below, what an allocator keeps at hand decides."""
    return render_seconds(None if peak is None else max(peak, 1.0))


def _render_count(count: float | None) -> str:
    return ABSENT if count is None else f"{float(f'{count:.{_SHOWN_DIGITS}g}'):,.0f}"


def render_numbers(numbers: Sequence[int]) -> str:
    """Render ascending numbers: "1-3, 7"; none as absent."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs) or ABSENT
