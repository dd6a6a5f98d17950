"""What the harness knows of a corruption: which labels are wrong, and what became of each class."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest

from conftest import Workspace
from ecgbench.data import Corruption, DetectionTask, LabeledTexts, TaskDescription
from ecgbench.grid.cells import Condition, CorruptedTask
from ecgbench.grid.selection import Selection


def build_task(true: list[int], given: list[int], n_classes: int) -> CorruptedTask:
    described = TaskDescription("topic", tuple(f"class {c}" for c in range(n_classes)))
    task = DetectionTask(tuple(f"text {i}" for i in range(len(true))), np.array(given), described)
    condition = Condition(Selection("toy"), len(true), Selection("uniform"), 0.1, 0)
    return CorruptedTask(condition, task, np.array(true), ())


def test_transition_counts_items_by_true_class_and_given_label() -> None:
    task = build_task([0, 0, 0, 1, 1, 2], [0, 1, 1, 1, 0, 2], 4)
    assert task.transition == ((1, 2, 0, 0), (1, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 0))


@pytest.mark.parametrize(("n_classes", "is_counted"), [(20, True), (21, False)])
def test_transition_of_more_than_twenty_classes_is_not_kept(n_classes: int, is_counted: bool) -> None:
    assert (build_task([0, 1], [0, 0], n_classes).transition is not None) is is_counted


def test_every_record_of_a_run_holds_what_became_of_each_class(workspace: Workspace) -> None:
    done = workspace.run("toy_lengths", "--noise", "class_conditional[matrix=[[0.9,0.1],[0.3,0.7]]],none,annotator")
    assert done.code == 1  # the toy data has no annotations
    found = {record.noise: record for record in workspace.records if record.detector == "toy_lengths"}
    assert found["annotator"].transition is None
    for noise in ("class_conditional", "none"):
        record = found[noise]
        counts = np.array(record.transition)
        assert counts.sum() == record.n
        assert (counts.sum() - np.trace(counts)) / record.n == record.realised_rate
    (_, few), (many, _) = found["class_conditional"].transition or ()
    assert (few + many, many) == (round(0.1 * found["none"].n), pytest.approx(3 * few, abs=2))


def test_nothing_that_goes_to_a_detector_or_comes_from_a_noise_model_holds_it() -> None:
    task = build_task([0, 1, 1, 0], [1, 1, 1, 0], 2)
    assert task.transition == ((1, 1), (0, 2))
    assert b"transition" not in pickle.dumps(task.task)
    for kind in (DetectionTask, Corruption, LabeledTexts):
        assert "transition" not in {field.name for field in dataclasses.fields(kind)}
