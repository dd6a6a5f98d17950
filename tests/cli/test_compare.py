"""`ecgbench compare`: pairs by cell, says better, worse or tie, and what it could not pair."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conftest import Outcome, Workspace
from ecgbench.results import CellRecord, ResultsWriter, Status

SPREAD = [0.004, -0.003, 0.001, 0.0, -0.004, 0.003, 0.002, -0.002, 0.001, -0.002]
BASE = CellRecord(
    run="a",
    dataset="toy",
    n=60,
    profile="embedded",
    noise="uniform",
    rate=0.1,
    seed=0,
    detector="a",
    status=Status.OK,
    data_key="ab",
    created_at="2026-01-02T03:04:05Z",
)


def cell(detector: str, auroc: float, **changes: Any) -> CellRecord:
    """Return a record with replicates that spread differently for names of another length."""
    start = len(detector) % 5
    replicates = [min(auroc + shift, 1.0) for shift in SPREAD[start:] + SPREAD[:start]]
    values = {"detector": detector, "metrics": {"auroc": auroc}, "replicates": {"auroc": replicates}}
    return replace(BASE, **values | changes)


def write(workspace: Workspace, records: Iterable[CellRecord], file: str = "out/results/a.jsonl") -> Path:
    path = workspace.folder / file
    with ResultsWriter(path) as writer:
        for record in records:
            writer.append(record)
    return path


def compare(workspace: Workspace, first: str, second: str, *arguments: str) -> Outcome:
    return workspace.cli("compare", first, second, "--out", str(workspace.folder / "out"), *arguments)


def compare_json(workspace: Workspace, first: str, second: str) -> dict[str, Any]:
    done = compare(workspace, first, second, "--json")
    assert done.code == 0, done.err
    found: dict[str, Any] = json.loads(done.out)
    return found


def test_two_detectors_are_compared_task_by_task_and_over_all(workspace: Workspace) -> None:
    noises = {"uniform": (0.9, 0.8), "artifact_aligned": (0.7, 0.8), "even": (0.8, 0.801)}
    write(
        workspace,
        [
            cell(name, value, noise=noise, seed=seed)
            for noise, both in noises.items()
            for name, value in zip(("ecg", "loss"), both, strict=True)
            for seed in range(3)
        ],
    )
    found = compare_json(workspace, "ecg", "loss")
    by_noise = {task["noise"]: task for task in found["tasks"]}
    verdicts = {noise: task["verdict"] for noise, task in by_noise.items()}
    assert verdicts == {"uniform": "better", "artifact_aligned": "worse", "even": "tie"}
    better = by_noise["uniform"]
    assert (better["mean_a"], better["mean_b"], better["difference"]) == pytest.approx((0.9, 0.8, 0.1))
    assert 0 < better["interval"][0] < 0.1 < better["interval"][1]
    assert better["p_holm"] < 0.001 < 0.05 < by_noise["even"]["p_holm"]
    assert better["seeds"] == [0, 1, 2]
    assert found["overall"]["mean_a"] == pytest.approx(0.8)
    assert found["overall"]["verdicts"] == {"better": 1, "worse": 1, "tie": 1}
    assert found["overall"]["verdict"] == "tie"
    assert found["unpaired"] == []


def test_the_verdicts_stand_in_words(workspace: Workspace) -> None:
    values = {"uniform": (0.9, 0.8), "other": (0.7, 0.8), "even": (0.8, 0.8)}
    write(workspace, [cell(d, v, noise=n) for n, both in values.items() for d, v in zip("ab", both, strict=True)])
    done = compare(workspace, "a", "b")
    assert done.code == 0
    assert {line.split()[3]: line.split()[-1] for line in done.out.splitlines() if line.startswith("toy")} == {
        "uniform": "better",
        "other": "worse",
        "even": "tie",
    }
    assert done.out.splitlines()[-1] == (
        "overall, 3 tasks: A 0.800, B 0.800, A - B +0.000; better in 1, worse in 1, tie in 1; over tasks p = 1.000 "
        "(fewer than 6 tasks cannot be significant): tie"
    )


def test_turned_round_better_is_worse(workspace: Workspace) -> None:
    write(workspace, [cell("ecg", 0.9), cell("loss", 0.8)])
    assert compare_json(workspace, "ecg", "loss")["tasks"][0]["verdict"] == "better"
    assert compare_json(workspace, "loss", "ecg")["tasks"][0]["verdict"] == "worse"


def test_p_values_are_corrected_for_the_number_of_tasks(workspace: Workspace) -> None:
    write(workspace, [cell("ecg", 0.806), cell("loss", 0.8)])
    alone = compare_json(workspace, "ecg", "loss")["tasks"][0]["p_holm"]
    write(workspace, [cell(name, 0.8, noise="other") for name in ("ecg", "loss")])
    corrected = {task["noise"]: task["p_holm"] for task in compare_json(workspace, "ecg", "loss")["tasks"]}
    assert corrected == pytest.approx({"uniform": 2 * alone, "other": 1.0})


def test_six_tasks_can_be_significant_over_all(workspace: Workspace) -> None:
    write(workspace, [cell(name, v, noise=f"n{i}") for i in range(6) for name, v in (("ecg", 0.9), ("loss", 0.8))])
    overall = compare_json(workspace, "ecg", "loss")["overall"]
    assert overall["p"] == pytest.approx(2 / 2**6)
    assert overall["verdict"] == "better"
    assert "cannot be significant" not in compare(workspace, "ecg", "loss").out


def test_parameters_are_typed_as_on_the_board_and_compared_as_values(workspace: Workspace) -> None:
    params = {"k": 30, "weights": {"nli": 0.0}}
    write(workspace, [cell("ecg", 0.9), cell("ecg", 0.8, detector_params=params)])
    assert len(compare_json(workspace, "ecg", "ecg[weights.nli=0,k=30]")["tasks"]) == 1


def test_cells_that_only_one_has_are_told_and_left_out(workspace: Workspace) -> None:
    both = [cell(name, 0.9, seed=seed) for name in ("ecg", "loss") for seed in (0, 1)]
    more = [cell("ecg", 0.1, seed=2), cell("loss", 0.1, noise="other")]
    write(workspace, [*both, *more])
    found = compare_json(workspace, "ecg", "loss")
    (task,) = found["tasks"]
    assert task["seeds"] == [0, 1]
    assert task["mean_a"] == pytest.approx(0.9)
    assert found["unpaired"] == [
        "only in ecg: toy n=60 noise=uniform rate=0.1 profile=embedded seeds=2",
        "only in loss: toy n=60 noise=other rate=0.1 profile=embedded seeds=0",
    ]
    assert "not paired: only in ecg: toy n=60" in compare(workspace, "ecg", "loss").out


def test_a_failed_cell_leaves_no_mean_of_its_task_and_none_over_tasks(workspace: Workspace) -> None:
    failed = cell("loss", 0.0, seed=1, status=Status.FAILED, reason="boom", metrics={}, replicates=None)
    records = [cell("ecg", 0.9), cell("loss", 0.8), cell("ecg", 0.9, seed=1), failed]
    write(workspace, [*records, *(cell(name, 0.9, noise="other") for name in ("ecg", "loss"))])
    found = compare_json(workspace, "ecg", "loss")
    (broken,) = [task for task in found["tasks"] if task["noise"] == "uniform"]
    assert (broken["mean_b"], broken["difference"], broken["verdict"]) == (None, None, None)
    assert broken["trouble"] == "loss: failed (1 of 2)"
    assert found["overall"]["difference"] is found["overall"]["p"] is found["overall"]["verdict"] is None
    done = compare(workspace, "ecg", "loss")
    assert "loss: failed (1 of 2)" in done.out
    assert "overall: no mean over 2 tasks, since one has none" in done.out


def test_records_without_replicates_have_differences_and_no_verdict(workspace: Workspace) -> None:
    write(workspace, [cell(name, v, replicates=None) for name, v in (("ecg", 0.9), ("loss", 0.8))])
    (task,) = compare_json(workspace, "ecg", "loss")["tasks"]
    assert task["difference"] == pytest.approx(0.1)
    assert task["interval"] is task["p_holm"] is task["verdict"] is None
    assert "no interval where a record holds no replicates" in compare(workspace, "ecg", "loss").out


def test_a_task_without_wrong_labels_is_told_and_not_compared(workspace: Workspace) -> None:
    clean = [cell(name, 0.5, noise="none", metrics={"auroc": None}, replicates={}) for name in ("ecg", "loss")]
    write(workspace, clean)
    assert "have no AUROC in any common cell" in compare(workspace, "ecg", "loss").error
    write(workspace, [cell("ecg", 0.9), cell("loss", 0.8)])
    found = compare_json(workspace, "ecg", "loss")
    assert len(found["tasks"]) == 1
    assert found["unpaired"] == ["AUROC undefined: toy n=60 noise=none rate=0.1 profile=embedded"]


def test_two_record_sets_are_paired_by_cell(workspace: Workspace) -> None:
    old = [cell("ecg", 0.8), cell("loss", 0.8), cell("oracle", 1.0, sanity=True)]
    new = [cell("ecg", 0.9, run="b"), cell("loss", 0.8), cell("fresh", 0.7), cell("oracle", 1.0, sanity=True)]
    first, second = write(workspace, new, "new/results/b.jsonl"), write(workspace, old)
    for a, b in ((first, second), (first.parent, second.parent), (first.parent.parent, second)):
        found = compare_json(workspace, str(a), str(b))
        differences = {task["detector"]: task["difference"] for task in found["tasks"]}
        assert differences == pytest.approx({"ecg": 0.1, "loss": 0.0})
        assert found["unpaired"] == [f"only in {a}: fresh on toy n=60 noise=uniform rate=0.1 profile=embedded seeds=0"]
    lines = compare(workspace, str(first), str(second)).out.splitlines()
    assert {line.split()[0]: line.split()[-1] for line in lines[2:4]} == {"ecg": "better", "loss": "tie"}


@pytest.mark.parametrize(
    ("first", "second", "fault"),
    [
        ("ecg", "los", "unknown detector 'los'. Did you mean: loss?"),
        ("zzzzzz", "ecg", "unknown detector 'zzzzzz'. Choose from: ecg, elsewhere, loss."),
        ("ecg", "ecg", "ecg is given twice"),
        ("ecg", "elsewhere", "ecg and elsewhere have no cell in common"),
        ("ecg", "{out}", "{out} is a path and ecg is none"),
        ("{out}", "{out}/results", "hold the same records"),
        ("{out}/results/b.jsonl", "{out}", "cannot read results file"),
        ("{out}/x/", "{out}", "holds no records"),
        ("ecg[k", "loss", "cannot read 'ecg[k'"),
    ],
)
def test_what_cannot_be_compared_is_one_line(workspace: Workspace, first: str, second: str, fault: str) -> None:
    write(workspace, [cell("ecg", 0.9), cell("loss", 0.8), cell("elsewhere", 0.8, dataset="other")])
    out = str(workspace.folder / "out")
    done = compare(workspace, first.format(out=out), second.format(out=out))
    assert done.code in (1, 2)
    assert fault.format(out=out) in done.error


def test_a_folder_called_like_a_detector_is_no_path(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    write(workspace, [cell("ecg", 0.9), cell("loss", 0.8)])
    (workspace.folder / "ecg").mkdir()
    monkeypatch.chdir(workspace.folder)
    assert compare_json(workspace, "ecg", "loss")["a"] == "ecg"


def test_no_name_can_steer_the_terminal(workspace: Workspace) -> None:
    evil = "red \x1b[31m \x07"
    cells = [cell(name, 0.9, dataset=evil, noise=evil) for name in (evil, "loss")]
    write(workspace, [*cells, cell("loss", 0.9, dataset=evil, noise=evil, seed=1)])
    path = write(workspace, [replace(cells[0], metrics={"auroc": 0.8})], "other/b.jsonl")
    done = compare(workspace, str(workspace.folder / "out"), str(path))
    assert done.code == 0
    assert "\\x1b[31m" in done.out
    assert not set(done.out) & set("\x1b\x07")


def test_a_real_run_is_compared(workspace: Workspace) -> None:
    workspace.run("toy_votes,random", "--noise", "uniform", "--seeds", "0,1,2")
    (task,) = compare_json(workspace, "toy_votes", "random")["tasks"]
    assert task["difference"] > 0
    assert task["interval"][0] < task["difference"] < task["interval"][1]
    assert task["verdict"] is not None
