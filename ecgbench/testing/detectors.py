"""Checks of detectors, on made-up tasks with stand-ins for all artifacts."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ecgbench.artifacts.base import Artifact
from ecgbench.data import DetectionTask, FloatArray
from ecgbench.errors import InvalidScoresError, NotApplicableError, UndeclaredArtifactError
from ecgbench.grid.evaluate import validate_scores
from ecgbench.grid.values import ArtifactView
from ecgbench.metrics.curves import Auroc
from ecgbench.seeds import derive_rng
from ecgbench.specs import Detector
from ecgbench.store.keys import digest
from ecgbench.testing.base import Seen, Subject, check
from ecgbench.testing.fakes import FAKE_PROFILE, fake_values
from ecgbench.testing.looking import snapshot, untouched_random_state
from ecgbench.testing.tasks import ODD_TEXTS, plant_task, take_items

LEAST_AUROC = 0.65
"""A ranking that knows nothing has .5 with a deviation of .04 over the three tasks."""
TOLERANCE = 1e-4
"""Of the range of the scores: sums in another order have other last bits, and what is fitted to them more of them."""


@dataclass(frozen=True)
class _RecordingView(ArtifactView):
    """A view that notes what was refused, for a plugin may catch the error."""

    refused: list[str] = field(default_factory=list, compare=False)

    def __getitem__(self, artifact: Artifact[Any]) -> Any:
        try:
            return super().__getitem__(artifact)
        except UndeclaredArtifactError as error:
            self.refused.append(str(error))
            raise


def _view(needs: Iterable[Artifact[Any]], task: DetectionTask) -> _RecordingView:
    return _RecordingView(fake_values(needs, task), FAKE_PROFILE)


def _score(detector: Detector, task: DetectionTask, view: ArtifactView | None = None, *, seed: int = 0) -> Any:
    return detector.score(task, view or _view(detector.needs(), task), derive_rng(seed, "detector"))


def _validated(detector: Detector, task: DetectionTask) -> FloatArray:
    return validate_scores(_score(detector, task), len(task))


def _draw_fitting(subject: Subject, n: int = 40) -> DetectionTask:
    """Return a task of two classes, of three where the detector does not take two."""
    try:
        _score(subject.instance, plant_task(n).task)
    except NotApplicableError:
        return plant_task(n, n_classes=3).task
    return plant_task(n).task


def _see_invalid(subject: Subject, task: DetectionTask) -> Seen:
    """Return what is wrong with the scores of an odd task; saying that it is not applicable is an answer."""
    try:
        _validated(subject.instance, task)
    except NotApplicableError:
        return None
    except InvalidScoresError as error:
        return str(error)
    return None


@check()
def needs_stable(subject: Subject) -> Seen:
    """needs() and inspection_needs() give the same artifacts each time, and these can be cache keys."""
    for name in ("needs", "inspection_needs"):
        first, second = (tuple(getattr(subject.instance, name)()) for _ in range(2))
        if other := [need for need in first if not isinstance(need, Artifact)]:
            return f"{name}() holds {other[0]!r}, which is no artifact"
        for need in first:
            digest("check/1", need.resolve(FAKE_PROFILE))
        if set(first) != set(second) or len(first) != len(second):
            return f"{name}() gave {first} and then {second}"
    return None


@check()
def undeclared_artifact_refused(subject: Subject) -> Seen:
    """score() and both findings read only what needs() declares, inspect() only what inspection_needs() does."""
    detector, task = subject.instance, _draw_fitting(subject)
    view, shown = _view(detector.needs(), task), _view(detector.inspection_needs(), task)
    _ignore_refusal(lambda: _score(detector, task, view))
    _ignore_refusal(lambda: detector.findings(task, view))
    _ignore_refusal(lambda: detector.item_findings(task, view, [0]))
    _ignore_refusal(lambda: detector.inspect(task, shown))
    return next(iter([*view.refused, *shown.refused]), None)


def _ignore_refusal(act: Any) -> None:
    try:
        act()
    except UndeclaredArtifactError:  # it is in the view's notes
        return


@check()
def scores_valid(subject: Subject) -> Seen:
    """score() gives one finite number an item, shape (n,)."""
    try:
        _validated(subject.instance, _draw_fitting(subject))
    except InvalidScoresError as error:
        return str(error)
    return None


@check()
def higher_is_more_suspicious(subject: Subject) -> Seen:
    """Planted wrong labels are ranked above chance, on tasks whose texts and artifacts tell them."""
    found, refused = [], []
    for n_classes, seed in ((2, 0), (2, 1), (4, 0)):
        planted = plant_task(100, n_classes, seed=seed)
        try:
            found.append(Auroc().compute(planted.is_wrong, _validated(subject.instance, planted.task)))
        except NotApplicableError as error:
            refused.append(error)
    if not found:
        raise refused[0]
    mean = float(np.mean(found))
    if mean >= LEAST_AUROC:
        return None
    return f"the mean AUROC of {len(found)} tasks is {mean:.2f}, at least {LEAST_AUROC} is asked"


@check()
def inputs_untouched(subject: Subject) -> Seen:
    """score() changes neither the task nor an artifact's value; their arrays are read-only, copy them."""
    task = _draw_fitting(subject)
    view = _view(subject.instance.needs(), task)
    before = snapshot(task), {need: snapshot(value) for need, value in view.values.items()}
    _score(subject.instance, task, view)
    if snapshot(task) != before[0]:
        return "the task was changed"
    changed = [type(need).__name__ for need, value in view.values.items() if snapshot(value) != before[1][need]]
    return f"the value of {', '.join(changed)} was changed" if changed else None


@check()
def deterministic(subject: Subject) -> Seen:
    """The same seed gives the same scores to the last bit, also by an equal detector."""
    detectors = (subject.instance, subject.instance, dataclasses.replace(subject.instance))
    first, *others = (np.asarray(_score(detector, _draw_fitting(subject))) for detector in detectors)
    differs = any(snapshot(first) != snapshot(other) for other in others)
    return "the scores differ between two calls" if differs else None


def _prepare_score(subject: Subject) -> Callable[[], Any]:
    task = _draw_fitting(subject)
    view = _view(subject.instance.needs(), task)
    return lambda: _score(subject.instance, task, view)


global_random_state_untouched = untouched_random_state(
    _prepare_score,
    "score() draws from the generator it is given: the global states of random, numpy and torch do not move",
)


@check()
def permutation_equivariant(subject: Subject) -> Seen:
    """Items in another order get the same scores, whichever place they stand in."""
    task = _draw_fitting(subject, 60)
    order = np.random.default_rng(3).permutation(len(task))
    scores, moved = (_validated(subject.instance, take_items(task, o)) for o in (np.arange(len(task)), order))
    off = np.abs(moved - scores[order]) > TOLERANCE * max(float(np.ptp(scores)), 1e-300)
    return f"{int(off.sum())} of {len(task)} scores differ in another order" if off.any() else None


@check()
def duplicates(subject: Subject) -> Seen:
    """Scores are valid where texts stand several times, under equal and under different labels."""
    task = plant_task().task
    places = np.arange(len(task)) % 15
    disputed = dataclasses.replace(task, texts=tuple(task.texts[i] for i in places))
    return _see_invalid(subject, take_items(task, places)) or _see_invalid(subject, disputed)


@check()
def empty_and_unicode_texts(subject: Subject) -> Seen:
    """Scores are valid where texts are empty, blank, without words, long or in other scripts."""
    task = plant_task().task
    return _see_invalid(subject, dataclasses.replace(task, texts=ODD_TEXTS + task.texts[len(ODD_TEXTS) :]))


@check()
def single_class(subject: Subject) -> Seen:
    """Scores are valid where only one class is given, or NotApplicableError says why there are none."""
    task = plant_task().task
    return _see_invalid(subject, dataclasses.replace(task, labels=np.zeros(len(task), dtype=np.int64)))


@check()
def more_than_two_classes(subject: Subject) -> Seen:
    """Scores are valid with four classes, also where no item is of the last."""
    task = plant_task(n_classes=4).task
    return _see_invalid(subject, task) or _see_invalid(subject, take_items(task, np.flatnonzero(task.labels < 3)))


@check()
def ten_rows(subject: Subject) -> Seen:
    """Scores are valid with ten items, or NotApplicableError says why there are none."""
    return _see_invalid(subject, plant_task(10).task)


CHECKS = (
    needs_stable,
    undeclared_artifact_refused,
    scores_valid,
    higher_is_more_suspicious,
    inputs_untouched,
    deterministic,
    global_random_state_untouched,
    permutation_equivariant,
    duplicates,
    empty_and_unicode_texts,
    single_class,
    more_than_two_classes,
    ten_rows,
)
