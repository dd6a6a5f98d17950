"""What a detector must not see, and draws that do not move each other."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from conftest import TOY, Workspace
from ecgbench.data import DetectionTask, LabeledTexts, TaskDescription
from ecgbench.grid.cells import Condition, corrupt
from ecgbench.grid.selection import Selection
from ecgbench.plugins import load_plugins
from ecgbench.seeds import derive_int, derive_rng

ROLES = ("noise", "folds", "training", "detector", "training/0", "training/1")


def build_data(n: int = 50) -> LabeledTexts:
    texts = tuple(f"text {i}" for i in range(n))
    return LabeledTexts("toy", texts, np.arange(n) % 2, TaskDescription("topic", ("x", "y")))


def build_task(data: LabeledTexts, *, noise: str = "uniform", seed: int = 0, rate: float = 0.2) -> Any:
    model = load_plugins().noise_models[noise].build({})
    return corrupt(Condition(Selection("toy"), len(data), Selection(noise), rate, seed), data, model)


def iter_reachable(value: Any) -> Iterator[Any]:
    """Yield every object that can be reached from a value through fields and containers, code left out."""
    seen: set[int] = set()
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if id(item) in seen or isinstance(item, type) or callable(item) or type(item).__name__ == "module":
            continue
        seen.add(id(item))
        yield item
        waiting.extend(gc.get_referents(item))
        if isinstance(item, np.ndarray) and item.base is not None:
            waiting.append(item.base)


@pytest.mark.parametrize("noise", ["uniform", "artifact_aligned", "none"])
def test_neither_the_truth_nor_the_noise_can_be_reached_from_a_task(noise: str) -> None:
    corrupted = build_task(build_data(), noise=noise, rate=0.0 if noise == "none" else 0.2)
    found = list(iter_reachable(corrupted.task))
    assert any(item is corrupted.task.texts for item in found)  # the search works
    arrays = [item for item in found if isinstance(item, np.ndarray)]
    assert [array is corrupted.task.labels for array in arrays] == [True]
    if noise != "none":
        assert not any(np.array_equal(array, corrupted.true_labels) for array in arrays)
    assert not any(isinstance(item, (LabeledTexts, Condition)) for item in found)
    assert not any(isinstance(item, str) and item == noise for item in found)


def test_a_task_has_no_field_for_the_truth() -> None:
    assert set(DetectionTask.__dataclass_fields__) == {"texts", "labels", "description"}


def test_labels_of_a_task_cannot_be_written() -> None:
    task = build_task(build_data()).task
    with pytest.raises(ValueError, match="read-only"):
        task.labels[0] = 1


def test_the_mask_is_what_differs_from_the_truth_whatever_the_noise_model_says() -> None:
    data = build_data()
    corrupted = build_task(data)
    np.testing.assert_array_equal(corrupted.is_noisy, corrupted.task.labels != data.labels)
    assert corrupted.is_noisy.sum() == 10


def test_one_seed_gives_one_stream_a_role() -> None:
    draws = {role: tuple(derive_rng(0, role).integers(0, 2**63, 4)) for role in ROLES}
    assert draws == {role: tuple(derive_rng(0, role).integers(0, 2**63, 4)) for role in ROLES}
    assert len(set(draws.values())) == len(ROLES)
    assert len({derive_int(seed, role) for seed in range(5) for role in ROLES}) == 5 * len(ROLES)
    assert all(0 <= derive_int(seed, "noise") < 2**63 for seed in range(20))


def test_draws_are_the_same_on_every_machine() -> None:
    assert derive_int(0, "noise") == 1796382217402157475
    assert derive_int(7, "detector") == 7965790188456613478


def test_the_noise_depends_on_the_seed_alone() -> None:
    first, again, other = (build_task(build_data(), seed=seed).task.labels for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_global_random_states_are_left_alone(workspace: Workspace) -> None:
    import random

    grid = ["toy_votes,toy_slow,random", "--noise", "uniform,artifact_aligned"]
    workspace.run(*grid)  # importing rich draws once
    before = (random.getstate(), str(np.random.get_state()))
    assert workspace.run(*grid, "--seeds", "1,2").code == 0
    assert (random.getstate(), str(np.random.get_state())) == before


def test_seeds_give_different_scores_to_what_draws_and_equal_scores_to_what_does_not(workspace: Workspace) -> None:
    workspace.run("random,toy_lengths", "--noise", "uniform", "--seeds", "0,1")
    scores = {(record.detector, record.seed): record.scores for record in workspace.records}
    assert scores["random", 0] != scores["random", 1]
    assert scores["toy_lengths", 0] == scores["toy_lengths", 1]


def test_the_toy_plugin_is_whole() -> None:
    assert load_plugins([TOY]).failed == ()
