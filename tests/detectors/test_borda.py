"""Borda count: ranks counted by hand, members as they are typed, and what each of them draws."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from ecgbench.artifacts.base import Artifact
from ecgbench.artifacts.classifier import OutOfFoldProbs
from ecgbench.data import DetectionTask, FloatArray, TaskDescription
from ecgbench.errors import NotApplicableError, UsageError
from ecgbench.grid.selection import parse_selection
from ecgbench.grid.values import ArtifactView
from ecgbench.plugins import load_plugins
from ecgbench.specs import Detector
from ecgbench.testing.fakes import FAKE_PROFILE, fake_values
from ecgbench.testing.tasks import plant_task
from ecgbench_detectors.borda import Borda
from ecgbench_detectors.loss import Loss
from ecgbench_detectors.margin import Margin

PLUGINS = load_plugins()
MEMBERS = ("margin", "input_knn[k=3,weights=uniform]", "data_oob[models=5]", "random")


def view(needs: Iterable[Artifact[Any]], task: DetectionTask) -> Any:
    return ArtifactView(fake_values(needs, task), FAKE_PROFILE)


def score(detector: Detector, task: DetectionTask, seed: int = 0) -> FloatArray:
    return detector.score(task, view(detector.needs(), task), np.random.default_rng(seed))


def build(text: str) -> Detector:
    selection = parse_selection(text)
    detector: Detector = PLUGINS.detectors[selection.name].build(selection.params)
    return detector


def mean_ranks(columns: list[list[float]]) -> list[float]:
    """Return each item's mean share of the others that it is above, one it ties with counting half."""
    n = len(columns[0])
    ranks = [[sum((y < x) + (y == x) / 2 for y in column) - 0.5 for x in column] for column in columns]
    return [sum(of_item) / (len(columns) * (n - 1)) for of_item in zip(*ranks, strict=True)]


@pytest.mark.parametrize("n_classes", [2, 4])
def test_score_is_the_mean_rank_of_the_members_own_scores(n_classes: int) -> None:
    task = plant_task(30, n_classes).task
    columns = [score(build(member), task, seed=7).tolist() for member in MEMBERS]
    np.testing.assert_allclose(score(Borda(MEMBERS), task, seed=7), mean_ranks(columns))


def test_ties_of_the_members_stay_ties() -> None:
    probs = np.array([[0.9, 0.1], [0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    task = DetectionTask(("a", "b", "c", "d"), np.array([0, 0, 0, 1]), TaskDescription("kind", ("x", "y")))
    artifacts: Any = {OutOfFoldProbs(): probs}
    found = Borda(("loss", "retag")).score(task, artifacts, np.random.default_rng(0))
    np.testing.assert_allclose(found, np.array([0.5 + 0.5, 0.5 + 0.5, 3 + 2.5, 2 + 2.5]) / 6)


def test_where_all_members_are_constant_so_is_the_score() -> None:
    task = DetectionTask(("a",) * 5, np.zeros(5), TaskDescription("kind", ("x", "y")))
    artifacts: Any = {OutOfFoldProbs(): np.full((5, 2), 0.5)}
    assert Borda(("loss", "margin")).score(task, artifacts, np.random.default_rng(0)).tolist() == [0.5] * 5


def test_it_needs_what_its_members_need_each_once() -> None:
    needs = Borda(("loss", "margin", "input_knn")).needs()
    assert needs == (*Loss().needs(), *build("input_knn").needs())
    assert Margin().needs() == Loss().needs()


def test_the_default_needs_no_language_model() -> None:
    kinds = {type(need).__module__ for need in Borda().needs()}
    assert not any(".llm" in kind for kind in kinds), kinds


def test_members_are_typed_as_anywhere_on_the_command_line() -> None:
    typed = build("borda[members=[loss, input_knn[k=3,weights=uniform], borda[members=margin]]]")
    assert typed == Borda(("loss", "input_knn[k=3,weights=uniform]", "borda[members=margin]"))
    assert build("borda[members=loss]") == Borda(("loss",))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("borda[members=[loss, inptu_knn]]", "unknown member of borda 'inptu_knn'. Did you mean: input_knn?"),
        ("borda[members=[loss[k=3]]]", "unknown parameter of loss 'k'. Choose from: (it takes none)."),
        ("borda[members=[input_knn[k=0]]]", "input_knn.k is 0; give at least 1 neighbour"),
        ("borda[members=[]]", "borda.members is empty; name at least one detector"),
    ],
)
def test_a_wrong_member_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$"):
        build(text)


def test_a_member_that_is_not_applicable_leaves_no_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> FloatArray:
        raise NotApplicableError("margin does not take this")

    monkeypatch.setattr(Margin, "score", refuse)
    with pytest.raises(NotApplicableError, match="margin does not take this"):
        score(Borda(("loss", "margin")), plant_task(10).task)
