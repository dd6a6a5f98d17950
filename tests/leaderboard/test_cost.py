"""The cost on a board: each artifact once, orders of magnitude, unknown where nobody counted, none for old records."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from typing import Any

import pytest
from board_records import BASE
from markdown_it import MarkdownIt

from ecgbench.leaderboard import render_board
from ecgbench.results import SELF_REPORTED, CellRecord, Status

ABSENT = "\N{EN DASH}"


def cost(seconds: float = 20.0, calls: int | None = 0, read: int | None = 0, written: int | None = 0) -> dict[str, Any]:
    counts = {"llm_calls": calls, "prompt_tokens": read, "reply_tokens": written}
    return {"seconds": seconds, **counts, "peak_memory": 900.0}


EMBEDDINGS, EXPLANATIONS = cost(), cost(150.0, 512, 123_456, 9_876)


def cell(detector: str, **changes: Any) -> CellRecord:
    return replace(BASE, **{"detector": detector, "seconds": 0.5, "peak_memory": 3.0} | changes)


def cost_lines(records: list[CellRecord]) -> list[list[str]]:
    """Return the cells of all lines of the tables below the cost's heading, less headings and rules."""
    _, _, below = render_board(records).partition("## Cost")
    lines = [[part.strip() for part in line.strip("| ").split("|")] for line in below.splitlines() if "|" in line]
    return [line for line in lines if line[0] not in ("detector", "artifact") and not line[0].startswith("---")]


def test_an_artifact_of_several_detectors_is_counted_once_and_named_by_number() -> None:
    records = [
        cell("ecg", artifacts={"Explanations": EXPLANATIONS, "TextEmbeddings": EMBEDDINGS}, peak_memory=30.0),
        cell("input_knn", artifacts={"TextEmbeddings": EMBEDDINGS}),
        cell("random", artifacts={}, peak_memory=0.1),
    ]
    assert cost_lines(records) == [
        ["ecg", r"\< 1", r"\< 100", "510", "130,000", "1-2"],
        ["input_knn", r"\< 1", r"\< 10", "0", "0", "2"],
        ["random", r"\< 1", r"\< 10", "0", "0", ABSENT],
        ["Explanations", "1", r"\< 1000", r"\< 1000", "510", "120,000", "9,900"],
        ["TextEmbeddings", "2", r"\< 100", r"\< 1000", "0", "0", "0"],
        ["all", "", r"\< 1000", r"\< 1000", "510", "120,000", "9,900"],
    ]


def test_a_cost_is_the_mean_over_the_tasks_of_a_dataset_and_profile() -> None:
    records = [
        cell("llm", seed=seed, noise=noise, artifacts={"LabelLogits": cost(5.0, calls, 1000 * calls)})
        for (seed, noise), calls in zip([(0, "uniform"), (1, "uniform"), (0, "none")], [10, 20, 60], strict=True)
    ]
    other = cell("llm", profile="paper", artifacts={"LabelLogits": cost(5.0, 7, 7)})
    assert [line[4] for line in cost_lines([*records, other]) if line[0] == "LabelLogits"] == ["30", "7"]


def test_of_one_task_the_newest_record_tells_what_an_artifact_took() -> None:
    old = cell("a", artifacts={"LabelLogits": cost(5.0, 90)}, created_at="2026-01-01T00:00:00Z")
    new = cell("b", artifacts={"LabelLogits": cost(5.0, 10)}, created_at="2026-01-02T00:00:00Z")
    assert [line[4] for line in cost_lines([new, old]) if line[0] == "LabelLogits"] == ["10"]


def test_what_one_task_does_not_know_has_no_mean_and_no_sum() -> None:
    known = cell("llm", artifacts={"LabelLogits": cost(5.0, 10, 10, 0), "Texts": cost()})
    unknown = cell("llm", seed=1, artifacts={"LabelLogits": cost(5.0, None, None, None), "Texts": cost()})
    lines = {line[0]: line for line in cost_lines([known, unknown])}
    assert lines["llm"][3:5] == [ABSENT, ABSENT]
    assert lines["LabelLogits"][4:] == lines["all"][4:] == [ABSENT] * 3
    assert lines["Texts"][4:] == ["0"] * 3


@pytest.mark.parametrize(
    "silent",
    [
        {"artifacts": None},
        {"artifacts": {}, "sanity": True},
        {"artifacts": {}, "origin": SELF_REPORTED},
        {"artifacts": {}, "status": Status.FAILED, "reason": "boom"},
    ],
    ids=["old", "sanity", "reported", "failed"],
)
def test_records_that_tell_no_cost_make_no_section(silent: dict[str, Any]) -> None:
    assert "## Cost" not in render_board([cell("loss", **silent)])
    assert [line[0] for line in cost_lines([cell("loss", **silent), cell("margin", artifacts={})])] == ["margin"]


def test_the_cost_depends_on_neither_the_order_of_records_nor_small_differences_of_time() -> None:
    rng = random.Random(0)
    records = [
        cell(name, seed=seed, artifacts={"TextEmbeddings": cost(20 + rng.random()), "Explanations": EXPLANATIONS})
        for seed in range(3)
        for name in ("ecg", "loss")
    ]
    board = render_board(records)
    assert render_board(rng.sample(records, len(records))) == board
    assert render_board([replace(r, seconds=r.seconds * 1.01, peak_memory=3.1) for r in records]) == board


def test_names_of_artifacts_are_no_markup() -> None:
    evil = "<script>|`*x*`\n# [a](https://evil.example)"
    html = MarkdownIt("commonmark").enable("table").render(render_board([cell("a", artifacts={evil: cost()})]))
    assert not re.search(r"<(?!/?(h\d|p|ul|li|em|code|table|thead|tbody|tr|t[hd])\b)", html)
