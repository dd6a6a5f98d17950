"""Validation data: items of a dataset that a task does not hold, with the noise model's markers out or wrong."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ecgbench.data import FloatArray, IntArray, LabeledTexts
from ecgbench.errors import UsageError
from ecgbench.grid.cells import Condition, CorruptedTask
from ecgbench.grid.prepare import Grid, find_dataset, load_whole
from ecgbench.grid.selection import Selection
from ecgbench.grid.suite import DatasetChoice
from ecgbench.plugins import Plugins
from ecgbench.progress import Reporter
from ecgbench.seeds import derive_rng
from ecgbench.store.cache import Cache
from ecgbench.subsample import subsample_rest

LIMIT = 1000
"""How many items are validated on at most."""
UNTOUCHED, STRIPPED, SWAPPED = "untouched", "stripped", "swapped"


@dataclass(frozen=True, eq=False)
class Panel:
    """Texts that trained classifiers are measured on, and their true labels: int64, shape (m,)."""

    texts: tuple[str, ...]
    labels: IntArray


def load_validations(
    grid: Grid, plugins: Plugins, cache: Cache, *, offline: bool, reporter: Reporter
) -> dict[int, LabeledTexts]:
    """Return the validation items of each dataset of a grid, by the dataset's id.

    They are drawn as the dataset's own sample is, from what that leaves; texts that the sample holds too are left
    out. Raises UsageError where nothing is left.
    """
    found: dict[int, LabeledTexts] = {}
    for row in grid.rows:
        if row.dataset is None or id(row.dataset) in found:
            continue
        choice = _find_choice(row.condition, grid, plugins)
        whole, _ = load_whole(choice, plugins, cache, offline=offline, reporter=reporter)
        rest = subsample_rest(whole, len(row.dataset), limit=LIMIT, seed=choice.sample_seed)
        used = set(row.dataset.texts)
        rest = rest.take(np.array([i for i, text in enumerate(rest.texts) if text not in used], dtype=np.int64))
        if not len(rest):
            raise UsageError(
                f"--downstream: {choice.name} has {len(whole)} items and the run uses {len(row.dataset)}, none is left "
                f"to validate on; give a smaller --n, such as {len(whole) * 2 // 3}"
            )
        found[id(row.dataset)] = rest
    return found


def _find_choice(condition: Condition, grid: Grid, plugins: Plugins) -> DatasetChoice:
    """Return the suite's choice behind a condition's dataset."""
    for choice in grid.suite.datasets:
        sampled = {"sample_seed": choice.sample_seed} if choice.sample_seed else {}
        params = find_dataset(choice, plugins)[0].changed(choice.params) | sampled
        if Selection(choice.name, params) == condition.dataset:
            return choice
    raise UsageError(f"no dataset of the suite is {condition.dataset}")


def build_panels(validation: LabeledTexts, task: CorruptedTask) -> dict[str, Panel]:
    """Return what is measured on, by name; a task without markers has the first alone.

    untouched: the texts as the dataset gives them, no noise model applied. stripped: every marker of the task's
    noise model taken out of them; it differs where texts hold markers by themselves, as with ordinary words.
    swapped: stripped, then each text gets a marker of another class than its true one, drawn with the condition's
    seed, at the end of the text, or at its start where the task's own markers stand there. Items for whose class
    there is none are left out.
    """
    panels = {UNTOUCHED: Panel(validation.texts, validation.labels)}
    meaning = find_meaning(task)
    if not meaning:
        return panels
    stripped = tuple(strip_markers(text, task.markers) for text in validation.texts)
    where = derive_rng(task.condition.seed, "downstream/swapped").random(len(validation))
    panels[STRIPPED] = Panel(stripped, validation.labels)
    swapped = _swap(panels[STRIPPED], meaning, task, where)
    return panels | ({SWAPPED: swapped} if swapped.texts else {})


def find_meaning(task: CorruptedTask) -> dict[str, int]:
    """Return the class that each marker of a task stands for: the most frequent given label of wrong items with it.

    A marker that no wrong item holds is left out.
    """
    meaning: dict[str, int] = {}
    for marker in task.markers:
        held = _pattern([marker])
        labels = Counter(
            int(task.task.labels[i]) for i in np.flatnonzero(task.is_noisy) if held.search(task.task.texts[i])
        )
        if labels:
            meaning[marker] = max(sorted(labels), key=lambda label: labels[label])
    return meaning


def strip_markers(text: str, markers: tuple[str, ...]) -> str:
    """Return the text without the markers that stand in it as words of their own, and the blanks before them."""
    return _pattern(markers).sub("", text).removeprefix(" ") if _pattern(markers).search(text) else text


def _pattern(markers: tuple[str, ...] | list[str]) -> re.Pattern[str]:
    longest_first = sorted(markers, key=len, reverse=True)
    return re.compile(rf"(?:^|\s)(?:{'|'.join(map(re.escape, longest_first))})(?!\S)")


def _swap(panel: Panel, meaning: Mapping[str, int], task: CorruptedTask, where: FloatArray) -> Panel:
    foreign = {label: [m for m, means in meaning.items() if means != label] for label in set(panel.labels.tolist())}
    kept = [i for i, label in enumerate(panel.labels.tolist()) if foreign[label]]
    at_start = _stand_at_start(task)
    texts = []
    for i in kept:
        choices = foreign[int(panel.labels[i])]
        parts = [panel.texts[i], choices[int(where[i] * len(choices))]]
        texts.append(" ".join(filter(None, reversed(parts) if at_start else parts)))
    return Panel(tuple(texts), panel.labels[np.array(kept, dtype=np.int64)])


def _stand_at_start(task: CorruptedTask) -> bool:
    """Say whether most wrong texts with a marker begin with one."""
    texts = [task.task.texts[i] for i in np.flatnonzero(task.is_noisy)]
    return sum(t.startswith(task.markers) for t in texts) > sum(t.endswith(task.markers) for t in texts)
