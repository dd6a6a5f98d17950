"""Records from elsewhere come in marked, whole or not at all, and never take the place of own ones."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from board_records import BASE
from markdown_it import MarkdownIt

from conftest import Workspace
from ecgbench.errors import EcgbenchError, UsageError
from ecgbench.leaderboard import check_board, render_board
from ecgbench.leaderboard.merge import Fate, merge_files
from ecgbench.results import SELF_REPORTED, CellRecord, read_records, read_results_folder

LATER, LAST = "2026-06-01T00:00:00Z", "2026-07-01T00:00:00Z"


def cell(detector: str = "theirs", auroc: float = 0.5, **changes: Any) -> CellRecord:
    return replace(BASE, **{"detector": detector, "metrics": {"auroc": auroc}} | changes)


@pytest.fixture
def board(tmp_path: Path) -> Path:
    """Return the folder of a board with two own records."""
    folder = tmp_path / "leaderboard"
    write(folder / "results" / "own.jsonl", cell("loss", 0.7), cell("loss", 0.8, seed=1))
    return folder


def write(path: Path, *records: CellRecord) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(record.to_json_line() for record in records), encoding="utf-8")
    return path


def found(board: Path) -> dict[tuple[str, int], CellRecord]:
    return {(record.detector, record.seed): record for record in read_results_folder(board / "results")}


def test_what_comes_in_is_marked_and_own_files_stay_as_they_are(board: Path, tmp_path: Path) -> None:
    own = (board / "results" / "own.jsonl").read_bytes()
    file = write(tmp_path / "alice.jsonl", cell(), cell(seed=1))
    (merged,) = merge_files([file], board)
    assert (merged.path, merged.counts) == (board / "results" / "alice.jsonl", {Fate.NEW: 2})
    assert (board / "results" / "own.jsonl").read_bytes() == own
    assert {record.origin for record in read_records(merged.path)} == {SELF_REPORTED}
    assert [replace(record, origin=None) for record in read_records(merged.path)] == read_records(file)


def test_an_own_record_stays_whatever_the_time_of_another(board: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "alice.jsonl", cell("loss", 0.99, created_at=LAST), cell())
    (merged,) = merge_files([file], board)
    assert merged.counts == {Fate.OWN: 1, Fate.NEW: 1}
    assert found(board)["loss", 0].metrics == {"auroc": 0.7}


def test_of_a_cell_that_comes_in_several_times_the_latest_counts(board: Path, tmp_path: Path) -> None:
    first = write(tmp_path / "alice.jsonl", cell(auroc=0.2, created_at=LATER), cell(auroc=0.1))
    assert merge_files([first], board)[0].counts == {Fate.NEW: 1, Fate.REPEATED: 1}
    assert found(board)["theirs", 0].metrics == {"auroc": 0.2}
    assert merge_files([first], board)[0].counts == {Fate.NEWER: 1, Fate.REPEATED: 1}
    write(first, cell(auroc=0.3, created_at=LAST), cell(seed=1))
    assert merge_files([first], board)[0].counts == {Fate.REPLACED: 1, Fate.NEW: 1}
    assert found(board)["theirs", 0].metrics == {"auroc": 0.3}
    older = write(tmp_path / "bob.jsonl", cell(auroc=0.4, created_at=LATER))
    assert merge_files([older], board)[0].counts == {Fate.NEWER: 1}
    assert not (board / "results" / "bob.jsonl").exists()


def rows_of(board: Path, detector: str) -> list[str]:
    text = render_board(read_results_folder(board / "results"))
    return [" ".join(line.split()) for line in text.splitlines() if line.startswith(f"| {detector} ")]


def test_seeds_and_noises_that_own_records_lack_take_no_mean_from_them(board: Path, tmp_path: Path) -> None:
    before = rows_of(board, "loss")
    assert before[0] == "| loss | 0.750 ± 0.071 | 0.750 | 1.00 |"
    file = write(tmp_path / "alice.jsonl", cell(), cell(seed=1), cell(seed=2), cell(seed=2, noise="theirs"))
    assert merge_files([file], board)[0].counts == {Fate.NEW: 3, Fate.OTHER_SEED: 1}
    assert rows_of(board, "loss") == before
    assert len(rows_of(board, "theirs")) == 3


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"schema": 2}, "schema 2 of a record is not known, this version of ecgbench reads 1"),
        ({"status": "great"}, "status"),
        ({"surprise": 1}, "surprise"),
        ({"origin": "official"}, "origin"),
        ({"metrics": {"auroc": 7.0}}, "metrics/auroc: 7.0 is greater than the maximum of 1.000001"),
        ({"metrics": {"precision_at_k": 0.5}}, "metrics/precision_at_k"),
    ],
)
def test_a_line_that_breaks_the_schema_is_named_and_nothing_comes_in(
    board: Path, tmp_path: Path, change: dict[str, Any], fault: str
) -> None:
    good = write(tmp_path / "good.jsonl", cell())
    bad = write(tmp_path / "bad.jsonl", cell(), cell(seed=1))
    lines = bad.read_text().splitlines()
    bad.write_text("\n".join([lines[0], json.dumps(json.loads(lines[1]) | change)]))
    with pytest.raises(EcgbenchError, match=r"bad\.jsonl, line 2: ") as raised:
        merge_files([good, bad], board)
    assert fault in str(raised.value)
    assert "\n" not in str(raised.value)
    assert [path.name for path in (board / "results").iterdir()] == ["own.jsonl"]


def test_an_auroc_of_1_that_rounding_took_above_it_is_read(board: Path, tmp_path: Path) -> None:
    (merged,) = merge_files([write(tmp_path / "alice.jsonl", cell(auroc=1.0 + 2**-52))], board)
    assert merged.counts == {Fate.NEW: 1}


def test_a_last_line_without_its_end_is_read_and_a_torn_one_is_not(board: Path, tmp_path: Path) -> None:
    file = tmp_path / "alice.jsonl"
    file.write_text(cell().to_json_line() + cell(seed=1).to_json_line().rstrip("\n"))
    assert merge_files([file], board)[0].counts == {Fate.NEW: 2}
    file.write_text(cell().to_json_line() + cell(seed=1).to_json_line()[:-9])
    with pytest.raises(EcgbenchError, match=r"alice\.jsonl, line 2: not JSON"):
        merge_files([file], board)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("own.jsonl", r"own\.jsonl holds own records; rename .*own\.jsonl, such as to own-reported\.jsonl"),
        ("results.txt", "is no name for records; rename it"),
        (".hidden.jsonl", "is no name for records"),
        ("\x1b[31m.jsonl", r"'\\x1b\[31m\.jsonl' is no name for records"),
        ("empty.jsonl", "holds no records"),
    ],
)
def test_a_file_that_has_no_place_is_refused(board: Path, tmp_path: Path, name: str, said: str) -> None:
    file = write(tmp_path / name, *([] if name == "empty.jsonl" else [cell()]))
    with pytest.raises(UsageError, match=said):
        merge_files([file], board)


def test_a_file_among_the_results_is_not_taken_for_one_from_elsewhere(board: Path) -> None:
    with pytest.raises(UsageError, match="lies among the results already, where its records count as own; move it out"):
        merge_files([board / "results" / "own.jsonl"], board)
    with pytest.raises(EcgbenchError, match=r"cannot read .*absent\.jsonl"):
        merge_files([board / "absent.jsonl"], board)


def test_a_board_marks_self_reported_rows_and_says_what_the_mark_means(board: Path, tmp_path: Path) -> None:
    own = render_board(read_results_folder(board / "results"))
    assert "‡" not in own
    merge_files([write(tmp_path / "alice.jsonl", cell("<b>|x", auroc=0.9), cell("<b>|x", seed=1))], board)
    marked = render_board(read_results_folder(board / "results"))
    assert "- Rows with ‡ are self-reported" in marked
    assert [line for line in marked.splitlines() if line.startswith("| ") and "‡" in line]
    assert all(r"\<b\>\|x ‡" in line for line in marked.splitlines() if line.startswith("| ") and "‡" in line)
    assert "<b>" not in MarkdownIt("commonmark").enable("table").render(marked)


def test_own_records_that_come_after_reported_ones_of_more_seeds_keep_their_mean(board: Path, tmp_path: Path) -> None:
    reported = [cell(seed=seed, noise="late") for seed in (0, 1, 2)]
    merge_files([write(tmp_path / "alice.jsonl", *reported)], board)
    write(board / "results" / "later.jsonl", cell("loss", 0.7, seed=1, noise="late"))
    found = [line.split("|")[-2].strip() for line in rows_of(board, "theirs") + rows_of(board, "loss")]
    assert "missing" not in " ".join(found)


@pytest.mark.parametrize("reported", ["uniform", "artifact_aligned"])
def test_over_noise_models_a_detector_is_marked_where_any_of_its_rows_is(reported: str) -> None:
    own = [cell("loss", noise=noise) for noise in ("uniform", "artifact_aligned")]
    records = [*own, *(cell(noise=r.noise, origin=SELF_REPORTED if r.noise == reported else None) for r in own)]
    summary = render_board(records).split("## AUROC over noise models")[1].split("\n## ")[0]
    assert [line.split("|")[1].strip() for line in summary.splitlines()[4:]][2:] == ["loss", "theirs ‡"]


def test_a_run_computes_what_was_only_reported(workspace: Workspace) -> None:
    """Also where the file of the reported records has the name of the run."""
    workspace.run("toy_lengths")
    results = workspace.folder / "out" / "results"
    theirs = [
        replace(record, metrics={"auroc": 1.0}, created_at="2099-01-01T00:00:00Z") for record in workspace.records
    ]
    write(results / "toy.jsonl", *(replace(record, origin=SELF_REPORTED) for record in theirs))
    assert workspace.run("toy_lengths").code == 0
    assert "‡" not in workspace.board.read_text(encoding="utf-8")


def test_the_command_says_what_came_in_and_writes_the_board(workspace: Workspace, tmp_path: Path) -> None:
    out, board = workspace.folder / "out", workspace.board
    workspace.run("toy_lengths")
    (own,) = (record for record in workspace.records if record.detector == "toy_lengths")
    theirs = [replace(own, detector="theirs"), replace(own, detector="theirs"), own]
    file = write(tmp_path / "alice.jsonl", *theirs)
    for arguments in (["leaderboard", "merge", str(file), "--out", str(out)], ["leaderboard", "--out", str(out)]):
        done = workspace.cli(*arguments)
        assert done.code == 0
    again = workspace.cli("leaderboard", "--out", str(out), "merge", str(file))
    assert again.out.splitlines() == [
        f"{out / 'results' / 'alice.jsonl'}: 1 cells left out, which have an own record, "
        "1 cells left out, which have a self-reported record as new, 1 lines left out, whose cell has a later line",
        str(board),
    ]
    assert check_board(out)
    assert "theirs ‡" in board.read_text(encoding="utf-8")
    assert workspace.cli("leaderboard", "merge").code == 2


@pytest.mark.parametrize("option", [["--check"], ["--html"], ["--plots"], ["--format", "json"]])
def test_options_of_the_board_are_refused_and_nothing_comes_in(
    workspace: Workspace, tmp_path: Path, option: list[str]
) -> None:
    file, out = write(tmp_path / "alice.jsonl", cell()), workspace.folder / "out"
    done = workspace.cli("leaderboard", "--out", str(out), *option, "merge", str(file))
    assert done.code == 2
    assert "leave out --check, --html, --plots and --format" in done.error
    assert not (out / "results" / "alice.jsonl").exists()
