"""Ways to clean a task: what each makes of its items and labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ecgbench.cleaning.guards import Action, Evidence, Guard, find_held_back
from ecgbench.data import DetectionTask, FloatArray, IntArray
from ecgbench.grid.cells import CorruptedTask
from ecgbench.seeds import derive_rng


@dataclass(frozen=True, eq=False)
class Cleaned:
    """A cleaned task, and of its changed items how many there are, had a wrong label, and have the right one now."""

    task: DetectionTask
    n_changed: int = 0
    n_hits: int = 0
    n_repaired: int = 0
    held_back: Mapping[Guard, int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Proposals:
    """The language model's label of each item, int64, shape (n,), and what the guards of a relabelling go by."""

    labels: IntArray
    evidence: Evidence


def select_top(scores: FloatArray, k: int, *, seed: int) -> IntArray:
    """Return the k items of highest score, int64, in order of position.

    Ties are broken at random, for all detectors of a seed alike: equal rankings choose the same items.
    """
    ties = derive_rng(seed, "downstream/ties").permutation(len(scores))
    return np.sort(np.lexsort((ties, -scores))[:k])


def draw_random(n: int, k: int, *, seed: int, training_seed: int) -> IntArray:
    """Return k of n items at random, others for each training seed."""
    rng = derive_rng(seed, f"downstream/random/{training_seed}")
    return np.sort(rng.permutation(n)[:k])


def find_wrong(task: CorruptedTask, k: int) -> IntArray:
    """Return k of the items whose label is wrong, all of them where there are fewer."""
    top = select_top(task.is_noisy.astype(np.float64), k, seed=task.condition.seed)
    return top[task.is_noisy[top]]


def remove(task: CorruptedTask, items: IntArray) -> Cleaned:
    """Leave items out of a task."""
    kept = np.setdiff1d(np.arange(len(task.task)), items)
    texts = tuple(task.task.texts[i] for i in kept)
    reduced = DetectionTask(texts, task.task.labels[kept], task.task.description)
    return Cleaned(reduced, len(items), int(task.is_noisy[items].sum()))


def relabel(task: CorruptedTask, items: IntArray, labels: IntArray) -> Cleaned:
    """Give items the labels that are proposed for them: `labels` (n,)."""
    new = task.task.labels.copy()
    new[items] = labels[items]
    changed = DetectionTask(task.task.texts, new, task.task.description)
    is_repaired = task.is_noisy[items] & (new[items] == np.asarray(task.true_labels)[items])
    return Cleaned(changed, len(items), int(task.is_noisy[items].sum()), int(is_repaired.sum()))


def relabel_guarded(task: CorruptedTask, items: IntArray, proposals: Proposals) -> Cleaned:
    """Relabel those of the items that no guard holds back; the others stay as they are."""
    masks = find_held_back(proposals.evidence, Action.RELABEL)
    is_held = np.logical_or.reduce(list(masks.values()))
    cleaned = relabel(task, items[~is_held[items]], proposals.labels)
    counts = {guard: int(mask[items].sum()) for guard, mask in masks.items()}
    return Cleaned(cleaned.task, cleaned.n_changed, cleaned.n_hits, cleaned.n_repaired, counts)
