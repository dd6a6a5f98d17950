"""Lay out the trainings of a downstream check: each ok cell's ways of cleaning its task, and the controls'."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ecgbench.artifacts.base import Artifact
from ecgbench.artifacts.retrained import RetrainedPredictions
from ecgbench.cleaning.guards import Action, count_top
from ecgbench.data import LabeledTexts
from ecgbench.downstream_results import NOTHING, DownstreamRecord
from ecgbench.errors import EcgbenchError, UsageError
from ecgbench.grid.build import dataset_key, installed_versions
from ecgbench.grid.cells import CorruptedTask
from ecgbench.grid.downstream.proposals import has_proposals, read_proposals
from ecgbench.grid.downstream.validation import Panel, build_panels
from ecgbench.grid.downstream.variants import (
    Cleaned,
    Proposals,
    draw_random,
    find_wrong,
    relabel,
    relabel_guarded,
    remove,
    select_top,
)
from ecgbench.grid.evaluate import validate_scores
from ecgbench.grid.prepare import Grid, TaskRow
from ecgbench.grid.values import TaskValues
from ecgbench.results import CellRecord, Status
from ecgbench.store.cache import Cache

logger = logging.getLogger(__name__)

DEFAULT_SHARES = (0.05,)
DEFAULT_SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Downstream:
    """What a downstream check tries: the shares of a task that are cleaned, and the seeds of each training."""

    shares: tuple[float, ...] = DEFAULT_SHARES
    training_seeds: tuple[int, ...] = DEFAULT_SEEDS

    def __post_init__(self) -> None:
        for name, values in (("shares", self.shares), ("training seeds", self.training_seeds)):
            if not values or len(set(values)) < len(values):
                raise UsageError(f"downstream {name} are {', '.join(map(str, values)) or 'none'}; give each once")
        if not all(0 < share < 1 for share in self.shares):
            raise UsageError(f"downstream shares are {', '.join(map(str, self.shares))}; give shares between 0 and 1")

    def count_at_most(self, grid: Grid) -> int:
        """Return how many trainings a grid takes where every cell is ok and no two rankings agree."""
        n = len(grid.columns)
        a_share = (n + 2) + (n + 1) * has_proposals(_artifacts(grid))
        return len(grid.rows) * (1 + len(self.shares) * a_share) * len(self.training_seeds)


@dataclass(frozen=True, eq=False)
class Variant:
    """A way of cleaning a task: its record to be filled, and the cleaned task for each training seed."""

    blank: DownstreamRecord
    trainings: tuple[TaskValues, ...]


@dataclass(frozen=True, eq=False)
class RowPlan:
    """The ways of cleaning one task, what they are measured on, and the artifact that measures them."""

    panels: Mapping[str, Panel]
    artifact: RetrainedPredictions
    variants: tuple[Variant, ...]


@dataclass(frozen=True, eq=False)
class RowPlanner:
    """Plan one task: `records` are those of its ok cells, sanity rows left out."""

    grid: Grid
    row: TaskRow
    task: CorruptedTask
    validation: LabeledTexts
    records: Sequence[CellRecord]
    downstream: Downstream
    cache: Cache

    def plan(self) -> RowPlan:
        """Return the plan; what the cache has lost is told in a warning and left out."""
        panels = build_panels(self.validation, self.task)
        asked = dict.fromkeys(text for panel in panels.values() for text in panel.texts)
        artifact = RetrainedPredictions(self.task.task.texts, tuple(asked)).resolve(self.grid.profile)
        return RowPlan(panels, artifact, tuple(self._iter_variants()))

    def _iter_variants(self) -> Iterator[Variant]:
        yield self._variant(self._blank(NOTHING, NOTHING, 0.0), [Cleaned(self.task.task)])
        proposals = self._read_proposals()
        for share in self.downstream.shares:
            yield from self._iter_controls(share, with_relabelling=proposals is not None)
            for record in self.records:
                yield from self._iter_of(record, share, proposals)

    def _iter_controls(self, share: float, *, with_relabelling: bool) -> Iterator[Variant]:
        task, seed = self.task, self.row.condition.seed
        n = len(task.task)
        k = count_top(share, n)
        draws = [draw_random(n, k, seed=seed, training_seed=t) for t in self.downstream.training_seeds]
        yield self._variant(self._blank("random", Action.REMOVE, share), [remove(task, items) for items in draws])
        wrong = find_wrong(task, k)
        yield self._variant(self._blank("oracle", Action.REMOVE, share), [remove(task, wrong)])
        if with_relabelling:
            blank = self._blank("oracle", Action.RELABEL, share)
            yield self._variant(blank, [relabel(task, wrong, task.true_labels)])

    def _iter_of(self, record: CellRecord, share: float, proposals: Proposals | None) -> Iterator[Variant]:
        arrays = None if record.scores is None else self.cache.objects.get(record.scores)
        if arrays is None:
            logger.warning("the raw scores of %s left the cache: --rerun all measures it downstream", record.detector)
            return
        scores = validate_scores(arrays["scores"], len(self.task.task))
        top = select_top(scores, count_top(share, len(scores)), seed=self.row.condition.seed)
        yield self._variant(self._blank_of(record, Action.REMOVE, share), [remove(self.task, top)])
        if proposals is not None:
            cleaned = relabel_guarded(self.task, top, proposals)
            yield self._variant(self._blank_of(record, Action.RELABEL, share), [cleaned])

    def _variant(self, blank: DownstreamRecord, cleaned: Sequence[Cleaned]) -> Variant:
        """Return a variant of one cleaned task for all training seeds, or of one for each."""
        seeds = self.downstream.training_seeds
        each = list(cleaned) if len(cleaned) == len(seeds) else [cleaned[0]] * len(seeds)
        values = (TaskValues(c.task, s, self.grid.profile, self.cache) for c, s in zip(each, seeds, strict=True))
        filled = dataclasses.replace(
            blank,
            n_changed=each[0].n_changed,
            n_hits=[c.n_hits for c in each],
            n_repaired=[c.n_repaired for c in each],
            held_back={str(guard): n for guard, n in each[0].held_back.items()},
        )
        return Variant(filled, tuple(values))

    def _blank_of(self, record: CellRecord, action: str, share: float) -> DownstreamRecord:
        return dataclasses.replace(
            self._blank(record.detector, action, share),
            cleaner_params=record.detector_params,
            control=False,
            scores=record.scores,
            versions=record.versions,
        )

    def _blank(self, cleaner: str, action: str, share: float) -> DownstreamRecord:
        some = self.records[0]
        return DownstreamRecord(
            run=some.run,
            dataset=some.dataset,
            data_key=some.data_key,
            n=some.n,
            profile=some.profile,
            noise=some.noise,
            noise_params=some.noise_params,
            rate=some.rate,
            seed=some.seed,
            cleaner=cleaner,
            control=True,
            action=str(action),
            share=share,
            training_seeds=self.downstream.training_seeds,
            status=Status.FAILED,
            n_wrong=int(self.task.is_noisy.sum()),
            n_validation=len(self.validation),
            validation_key=self._validation_key,
            versions=installed_versions(),
            created_at="",
        )

    @cached_property
    def _validation_key(self) -> str:
        return dataset_key(self.validation)

    def _read_proposals(self) -> Proposals | None:
        artifacts = _artifacts(self.grid)
        if not has_proposals(artifacts):
            return None
        values = TaskValues(self.task.task, self.row.condition.seed, self.grid.profile, self.cache)
        try:
            return read_proposals(values, artifacts)
        except EcgbenchError as error:
            logger.warning("no relabelling on %s: %s", self.row.condition, error)
            return None


def _artifacts(grid: Grid) -> list[Artifact[Any]]:
    """Return what the detectors of a grid need, and what that is computed from."""
    return [artifact for column in grid.columns for artifact in column.closure]
