"""The HTML board: the same bytes from the same records, every gap said, nothing asked for, no name that acts.

What a reader does with it: test_site_browser.py.
"""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from site_records import HOSTILE, make_cell, make_records, make_told_records, write_records

from conftest import Workspace
from ecgbench.grid.curves import PLACES, ROC
from ecgbench.leaderboard import render_board
from ecgbench.leaderboard.board import build_tables
from ecgbench.leaderboard.site import check_site, render_site, write_site
from ecgbench.leaderboard.site.data import describe_board


def read_data(html: str) -> dict[str, Any]:
    """Return what a browser finds between the tags of the data."""
    found = re.search(r'<script type="application/json" id="board">(.*?)</script>', html, re.DOTALL)
    assert found
    data: dict[str, Any] = json.loads(found[1])
    return data


def find_row(data: dict[str, Any], detector: str, noise: str) -> dict[str, Any]:
    (row,) = [
        r for t in data["tables"] if t["noise"] == noise and t["is_defined"] for r in t["rows"] if r["name"] == detector
    ]
    return dict(row)


def test_the_page_does_not_depend_on_the_order_of_records() -> None:
    records = [*make_records(), *(replace(record, profile="paper") for record in make_told_records())]
    page = render_site(records)
    for seed in range(3):
        assert render_site(random.Random(seed).sample(records, len(records))) == page


def test_the_page_holds_what_the_tables_hold_whatever_names_are_in_it() -> None:
    tables = build_tables(make_records())
    data = read_data(render_site(make_records()))
    assert data == json.loads(json.dumps(describe_board(tables)))
    assert HOSTILE in {row["name"] for table in data["tables"] for row in table["rows"]}


def test_the_page_holds_two_scripts_and_no_address_but_in_its_data() -> None:
    html = render_site(make_records())
    assert html.count("</script>") == html.count("<script") == 2
    outside = html.replace(re.findall(r'id="board">(.*?)</script>', html, re.DOTALL)[0], "")
    assert set(re.findall(r"https?://[^\s\"']+", outside)) == {"http://www.w3.org/2000/svg"}
    assert "default-src 'none'" in outside


def test_a_row_with_a_gap_has_no_mean_no_curve_and_says_why() -> None:
    data = read_data(render_site(make_records()))
    for name, status in [("loss", "failed (1 of 3)"), ("margin[k=30,weights.nli=0.0]", "missing (1 of 3)")]:
        row = find_row(data, name, "uniform")
        assert row["status"] == status
        assert set(row["values"].values()) == {None}
        assert row["curves"] == {}
        assert row["seconds"] is None
        assert len(row["cells"]) == 3
        assert find_row(data, name, "artifact_aligned")["status"] == "ok"


def test_a_curve_is_the_mean_over_seeds() -> None:
    records = [record for record in make_records() if record.detector == "ecg" and record.noise == "uniform"]
    by_seed = [record.curves[ROC] for record in records if record.curves]
    curve = find_row(read_data(render_site(make_records())), "ecg", "uniform")["curves"][ROC]
    assert len(curve) == len(PLACES[ROC])
    assert curve == pytest.approx([sum(at) / 3 for at in zip(*by_seed, strict=True)], abs=6e-5)


def test_older_records_without_curves_have_a_page() -> None:
    row = find_row(read_data(render_site([make_cell("ecg", 0, 1.0, curves=None)])), "ecg", "uniform")
    assert row["curves"] == {}
    assert row["values"]["AUROC"]


def test_a_row_holds_the_interval_and_the_tie_of_its_table() -> None:
    data = read_data(render_site(make_told_records()))
    (table,) = (table for table in build_tables(make_told_records()) if table.group.noise == "uniform")
    assert table.tied == {"ecg[k=30]"}
    for row in table.rows:
        shown = find_row(data, row.name, "uniform")
        assert ("≈" in shown["values"]["AUROC"][2]) == (row.name in table.tied)
        assert "≈" not in shown["values"]["AUPRC"][2]
        assert shown["interval"] == ([row.interval.lower, str(row.interval)] if row.interval else None)
    assert find_row(data, "margin", "uniform")["interval"] is None


def test_worst_case_and_average_rank_are_those_of_the_markdown_board() -> None:
    """Noises of which all is self-reported count in neither."""
    records = make_told_records()
    data = read_data(render_site(records))
    (summary,) = data["summaries"]
    assert [data["tables"][at]["noise"] for at in summary["tables"]] == ["artifact_aligned", "uniform"]
    section, _, _ = render_board(records).partition("## AUROC over")[2].partition("\n## ")
    lines = [[part.strip() for part in line.strip("|").split("|")] for line in section.splitlines() if "|" in line]
    shown = {line[0].replace("\\", "").removesuffix(" ‡"): (line[-2:], "‡" in line[0]) for line in lines[2:]}
    assert shown == {
        name: ([f"{one['worst']:.3f}", f"{one['rank']:.2f}"], one["reported"])
        for name, one in summary["standings"].items()
    }
    assert [name for name, one in summary["standings"].items() if one["reported"]] == ["loss"]


def test_where_all_is_self_reported_it_is_summed_up() -> None:
    records = [record for record in make_told_records() if record.origin is not None]
    data = read_data(render_site(records))
    assert [len(summary["tables"]) for summary in data["summaries"]] == [2]


def test_self_reported_rows_are_marked_and_the_mark_is_explained_only_where_it_is_used() -> None:
    page = render_site(make_told_records())
    marked = {(t["noise"], row["name"]) for t in read_data(page)["tables"] for row in t["rows"] if row["reported"]}
    assert marked == {("uniform", "loss"), ("annotator", "loss")}
    assert "Rows with ‡ are self-reported" in page
    assert "Rows with ‡" not in render_site(make_records())


def test_the_page_counts_each_artifact_once_and_leaves_out_what_was_measured_elsewhere() -> None:
    (costs,) = read_data(render_site(make_told_records()))["costs"]
    assert [(one["name"], one["number"], one["seconds"]) for one in costs["artifacts"]] == [
        (HOSTILE, 1, 150.0),
        ("TextEmbeddings", 2, 20.0),
    ]
    assert (costs["total"]["seconds"], costs["total"]["llm_calls"], costs["total"]["peak_memory"]) == (170, 512, 900)
    found = {one["name"]: (one["seconds"], one["llm_calls"], one["tokens"], one["reads"]) for one in costs["detectors"]}
    assert found["ecg"] == (2.0, 512, 133_332, "1-2")
    assert found["random"] == (0.5, 0, 0, "\N{EN DASH}")
    assert set(found) == {"ecg", "ecg[k=30]", "random", "loss"}
    assert found["loss"][0] == pytest.approx(1.3)
    assert read_data(render_site(make_records()))["costs"] == []


def test_cells_share_what_is_alike_and_older_ones_lack_it() -> None:
    data = read_data(render_site(make_told_records()))
    cells = find_row(data, "ecg", "uniform")["cells"]
    assert [data["shared"][cell["transition"]] for cell in cells] == [[[180, 20], [20, 180]], [[181, 20], [20, 179]]]
    assert {data["shared"][cell["artifacts"]][HOSTILE]["llm_calls"] for cell in cells} == {512}
    assert [cell["peak_memory"] for cell in cells] == [12.5, 12.5]
    assert data["shared"].count([[180, 20], [20, 180]]) == 1
    assert {cell["origin"] for cell in find_row(data, "loss", "annotator")["cells"]} == {"self-reported"}
    for cell in find_row(data, "margin", "uniform")["cells"]:
        assert not {"transition", "artifacts", "peak_memory", "origin"} & set(cell)


def test_no_records_give_a_page_that_says_so() -> None:
    assert "There are no records yet" in render_site([])


def test_a_site_is_fresh_until_its_records_change_and_checked_only_where_there_is_one(workspace: Workspace) -> None:
    out = ["--out", str(workspace.folder / "out")]
    workspace.run("toy_lengths")
    assert workspace.cli("leaderboard", "--check", *out).code == 0
    done = workspace.cli("leaderboard", "--html", *out)
    site = workspace.folder / "out" / "site" / "index.html"
    assert done.out.splitlines() == [str(workspace.board), str(site)]
    assert workspace.cli("leaderboard", "--check", *out).code == 0
    workspace.run("toy_lengths,random")  # a run writes LEADERBOARD.md alone
    stale = workspace.cli("leaderboard", "--check", *out)
    assert stale.code == 1
    assert f"{site} is stale; run `ecgbench leaderboard --html --out" in stale.error


def test_a_written_site_is_what_its_records_give(tmp_path: Path) -> None:
    write_records(tmp_path, make_records())
    path = write_site(tmp_path)
    assert path.read_text(encoding="utf-8") == render_site(make_records())
    assert check_site(tmp_path)
    path.write_text(path.read_text(encoding="utf-8") + " ", encoding="utf-8")
    assert not check_site(tmp_path)
