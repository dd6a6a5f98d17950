"""LEADERBOARD.md: the same bytes from the same records, every name harmless, every gap explained."""

from __future__ import annotations

import errno
import os
import random
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from board_records import BASE
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from ecgbench.errors import EcgbenchError
from ecgbench.leaderboard import check_board, render_board, write_board
from ecgbench.leaderboard.text import escape, render_seconds
from ecgbench.results import CellRecord, ResultsWriter, Status

MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def cell(detector: str, auroc: float | None = 0.5, **changes: Any) -> CellRecord:
    metrics = {"auroc": auroc, "auprc": auroc, "precision_at_k": {"1%": 1.0, "5%": 0.5, "10%": 0.25}}
    return replace(BASE, **{"detector": detector, "metrics": metrics} | changes)


def cells_of(board: str, detector: str) -> list[list[str]]:
    """Return the cells of each line of each table that is about a detector."""
    lines = [line.strip("| ").split("|") for line in board.splitlines() if line.startswith("|")]
    split = [[part.strip() for part in line] for line in lines]
    return [line for line in split if line[0] == detector]


def shown_text(source: str) -> str:
    """Return what a reader sees of one line of Markdown; fails where any of it was markup."""
    (inline,) = [token for token in MARKDOWN.parse(source) if token.type == "inline"]
    assert {child.type for child in inline.children or []} <= {"text", "text_special"}, source
    return "".join(child.content for child in inline.children or [])


def grid() -> list[CellRecord]:
    """Return three seeds of four detectors on three noises, with one failed and one missing cell."""
    rng = random.Random(0)
    noises: list[dict[str, Any]] = [
        {"noise": "uniform"},
        {"noise": "artifact_aligned"},
        {"noise": "artifact_aligned", "noise_params": {"clean_marker_rate": 0.05}},
    ]
    records = [
        cell(name, rng.random(), seed=seed, seconds=rng.random(), artifact_seconds=rng.random() * 50, **noise)
        for noise in noises
        for seed in range(3)
        for name in ("ecg", "loss", "margin", "input_knn")
    ]
    records[3] = replace(records[3], status=Status.FAILED, reason="ValueError: boom", metrics={})
    return records[:-1]


def test_the_board_does_not_depend_on_the_order_of_records() -> None:
    records = grid()
    board = render_board(records)
    for seed in range(10):
        assert render_board(random.Random(seed).sample(records, len(records))) == board


def test_the_board_does_not_depend_on_the_time_of_the_run() -> None:
    later = [replace(r, created_at="2027-01-01T00:00:00Z", run="again", seconds=r.seconds * 1.01) for r in grid()]
    assert render_board(later) == render_board(grid())


def test_no_records_give_a_board_that_says_so() -> None:
    assert "no records yet" in render_board([])


@given(st.text(st.characters(codec="utf-8"), max_size=30) | st.text("\\`*_[]<>|~#&!(){}-+=.1a \n", max_size=12))
def test_an_escaped_name_is_read_as_the_name(name: str) -> None:
    seen = " ".join("".join(char if char.isprintable() else " " for char in name).split())
    assert shown_text(f"x: {escape(name)}") == f"x: {seen}".strip()
    if seen:
        assert shown_text(escape(name)) == seen


@given(st.text("\\`*_[]<>|~#&!(){}-+=.1a \n", min_size=1, max_size=12).filter(str.strip))
def test_a_name_never_breaks_its_table(name: str) -> None:
    board = render_board([cell(name), cell("loss"), cell("oracle", sanity=True)])
    tokens = MARKDOWN.parse(board)
    assert sum(token.type == "table_open" for token in tokens) == 2
    assert sum(token.type == "tr_open" for token in tokens) == 2 * (1 + 3)
    assert sum(token.type in {"td_open", "th_open"} for token in tokens) == 4 * 4 + 4 * 9


def test_no_markup_gets_through_in_any_field() -> None:
    evil = "<script>|`*x*`\n# [a](b)"
    record = cell(evil, dataset=evil, profile=evil, noise=evil, data_key=evil, noise_params={evil: evil})
    bad = replace(record, detector="b", status=Status.FAILED, reason=evil, metrics={}, detector_params={evil: evil})
    undefined = replace(record, detector="c", metrics={evil: None}, metric_reasons={evil: evil})
    html = MARKDOWN.render(render_board([record, bad, undefined]))
    body = html.partition("exact times")[2]
    assert set(re.findall(r"<(\w+)", body)) <= {
        "h2",
        "h3",
        "p",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "ul",
        "li",
    }


@pytest.mark.parametrize("address", ["https://evil.example", "HTTP://evil.example", "www.evil.example", "javascript:x"])
def test_an_address_in_a_name_becomes_no_link(address: str) -> None:
    record = cell(f"{address} [a]({address}) <{address}>", findings=[f"see {address}, <{address}> or [a]({address})"])
    board = render_board([record, replace(record, detector="b", status=Status.FAILED, reason=f"at {address}")])
    html = MARKDOWN.render(board)
    assert "<a" not in html
    assert address in html.replace("<em>", "")  # what a reader sees is the name
    body = board.partition("exact times")[2]
    assert not re.search(r"(?<!\\)://|www\.", body)  # what GitHub makes a link of, where it is not escaped


def test_a_missing_cell_has_no_mean_and_no_worst_case() -> None:
    board = render_board(grid())
    summary, *tables = cells_of(board, "input_knn")
    assert summary[-1] == "–"  # noqa: RUF001
    assert sorted(line[-1] for line in tables) == ["failed (1 of 3)", "missing (1 of 3)", "ok"]
    assert [line[1] == "–" for line in tables] == [line[-1] != "ok" for line in tables]  # noqa: RUF001
    assert "- input_knn: failed (seed 0): ValueError: boom" in board
    assert "- input_knn: missing (seed 2): no record" in board


def test_the_worst_case_is_the_smallest_mean_and_sorts_the_summary() -> None:
    records = [
        cell("steady", 0.8),
        cell("steady", 0.7, noise="artifact_aligned"),
        cell("fooled", 0.9),
        cell("fooled", 0.1, noise="artifact_aligned"),
    ]
    board = render_board(records)
    assert cells_of(board, "steady")[0] == ["steady", "0.700", "0.800", "0.700", "1.50"]
    assert cells_of(board, "fooled")[0] == ["fooled", "0.100", "0.900", "0.100", "1.50"]
    assert board.index("| steady") < board.index("| fooled")


def test_a_noise_without_noisy_items_is_no_case() -> None:
    reasons = {"auroc": "no noisy items"}
    clean = [cell(name, None, noise="none", metric_reasons=reasons) for name in ("a", "b")]
    board = render_board([*clean, cell("a", 0.8), cell("b", 0.7)])
    assert cells_of(board, "a")[0] == ["a", "0.800", "0.800", "1.00"]
    assert "- undefined: auroc: no noisy items" in board


def test_a_noise_that_takes_no_rate_is_a_case_of_every_rate() -> None:
    raters = [cell("a", 0.6, noise="annotator", rate=0.0), cell("b", 0.9, noise="annotator", rate=0.0)]
    at_rates = [cell(name, 0.8, rate=rate) for name in ("a", "b") for rate in (0.1, 0.2)]
    board = render_board([*raters, *at_rates])
    assert cells_of(board, "a")[:2] == [["a", "0.800", "0.600", "0.600", "1.75"]] * 2
    assert cells_of(render_board(raters), "a")[0] == ["a", "0.600", "0.600", "2.00"]


def test_a_noise_where_nothing_worked_spoils_the_worst_case() -> None:
    broken = cell("a", status=Status.FAILED, reason="boom", noise="broken", metrics={})
    assert cells_of(render_board([cell("a", 0.8), broken]), "a")[0] == ["a", "–", "0.800", "–", "–"]  # noqa: RUF001


def test_a_metric_undefined_for_one_detector_names_it() -> None:
    board = render_board([cell("a"), cell("b", metric_reasons={"mine": "too few items"})])
    assert "- undefined for b: mine: too few items" in board


def test_sanity_rows_are_marked() -> None:
    board = render_board([cell("oracle", 1.0, sanity=True), cell("loss")])
    assert len(cells_of(board, "*oracle* †")) == 2
    assert cells_of(board, "oracle") == []


def test_identical_rankings_are_reported_only_where_all_cells_agree() -> None:
    def pair(*rankings: tuple[str | None, str | None]) -> list[CellRecord]:
        seeds = enumerate(rankings)
        return [cell(d, seed=s, ranking=r) for s, both in seeds for d, r in zip(("loss", "margin"), both, strict=True)]

    assert "- loss and margin rank identically" in render_board(pair(("1", "1"), ("2", "2")))
    assert "rank identically" not in render_board(pair(("1", "1"), ("2", "3")))
    assert "rank identically" not in render_board(pair((None, None)))


def test_failed_model_replies_are_counted() -> None:
    board = render_board([cell("ecg", seed=0, failed_attempts=2), cell("ecg", seed=1, failed_attempts=3)])
    assert "- ecg: 5 model replies never became valid in 2 cells" in board


def test_two_datasets_of_one_name_are_told_apart() -> None:
    board = render_board([cell("a", data_key="1234567890"), cell("a", data_key="abcdefghij")])
    assert "data 12345678" in board
    assert "data abcdefgh" in board
    assert "data 1234" not in render_board([cell("a", data_key="1234567890")])


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.0, r"\< 1"), (0.99, r"\< 1"), (1.0, r"\< 10"), (99.9, r"\< 100"), (1234.0, r"\< 10000")]
)
def test_seconds_are_shown_as_an_order_of_magnitude(seconds: float, shown: str) -> None:
    assert render_seconds(seconds) == shown


def fill(folder: Path, records: list[CellRecord]) -> None:
    with ResultsWriter(folder / "results" / "quick.jsonl") as writer:
        for record in records:
            writer.append(record)


def test_a_written_board_is_fresh_until_records_or_board_change(tmp_path: Path) -> None:
    fill(tmp_path, grid())
    assert not check_board(tmp_path)
    path = write_board(tmp_path)
    assert path == tmp_path / "LEADERBOARD.md"
    assert path.read_text(encoding="utf-8") == render_board(grid())
    assert check_board(tmp_path)
    fill(tmp_path, [cell("new")])
    assert not check_board(tmp_path)
    write_board(tmp_path)
    path.write_text(path.read_text(encoding="utf-8") + " ", encoding="utf-8")
    assert not check_board(tmp_path)


def test_a_full_disk_keeps_the_old_board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = write_board(tmp_path).read_bytes()
    fill(tmp_path, grid())

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(EcgbenchError, match="No space left on device"):
        write_board(tmp_path)
    assert (tmp_path / "LEADERBOARD.md").read_bytes() == old
    assert sorted(path.name for path in tmp_path.iterdir()) == ["LEADERBOARD.md", "results"]
