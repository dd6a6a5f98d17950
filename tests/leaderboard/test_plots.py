"""Plots from records: the same bytes again, gaps as gaps, hostile names as text, one line where matplotlib is not."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from site_records import HOSTILE, make_cell, make_records, write_records

from conftest import Workspace
from ecgbench.grid.curves import ROC
from ecgbench.leaderboard.board import build_tables
from ecgbench.leaderboard.plots import draw_curves, draw_noises, iter_figures, write_plots
from ecgbench.leaderboard.site.data import average_curves

TABLES = build_tables(make_records())
UNIFORM = next(table for table in TABLES if table.group.noise == "uniform")


@pytest.mark.slow
def test_the_same_records_give_the_same_files_of_both_forms(tmp_path: Path) -> None:
    records = [record for record in make_records() if record.noise == "uniform"]
    write_records(tmp_path / "a", records)
    write_records(tmp_path / "b", list(reversed(records)))
    first, second = (write_plots(tmp_path / name) for name in "ab")
    assert [path.name for path in first] == [path.name for path in second]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert [path.suffix for path in first] == [".png", ".svg"] * 2
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in first[::2])


def test_a_file_has_a_plain_name_and_every_task_its_own() -> None:
    names = [name for name, _ in iter_figures(TABLES)]
    assert len(set(names)) == len(names)
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") for name in names)
    assert [name.split("-")[0] for name in names] == ["noises", "noises", "curves", "curves", "curves"]


def test_curves_are_those_of_the_rows_without_a_gap() -> None:
    axes = draw_curves(UNIFORM).axes[0]
    lines = {str(line.get_label()).split()[0]: list(line.get_ydata()) for line in axes.lines}
    assert set(lines) == {"ecg", "random", "chance"}
    ecg = next(row for row in UNIFORM.rows if row.name == "ecg")
    assert lines["ecg"] == average_curves(ecg)[ROC]


def test_a_gap_is_written_where_its_bar_would_be() -> None:
    tables = [table for table in TABLES if table.group.rate == UNIFORM.group.rate]
    axes = draw_noises(tables).axes[0]
    assert sorted(text.get_text() for text in axes.texts) == ["failed (1 of 3)", "missing (1 of 3)"]
    widths = [bar.get_width() for bars in axes.containers if hasattr(bars, "patches") for bar in bars.patches]
    assert sorted(widths)[:2] == [0.0, 0.0]
    assert sorted(widths)[2] > 0.4


def test_what_was_run_elsewhere_is_marked() -> None:
    cells = [make_cell("theirs", 0, 2.0, origin="self-reported"), make_cell("ecg", 0, 1.0)]
    tables = build_tables(cells)
    ticks = [tick.get_text() for tick in draw_noises(tables).axes[0].get_yticklabels()]
    legend = [text.get_text().split("  ")[0] for text in draw_curves(tables[0]).legends[0].get_texts()]
    assert ticks == legend == ["theirs ‡", "ecg"]


def test_a_hostile_name_is_no_formula_and_no_markup(tmp_path: Path) -> None:
    write_records(tmp_path, [record for record in make_records() if record.detector == HOSTILE])
    _, svg = write_plots(tmp_path)
    written = "".join(ElementTree.parse(svg).getroot().itertext())
    for part in ("</script><script>alert(1)</script>", "'\"${alert(3)}, n = 400"):
        assert part in written


@pytest.mark.slow
def test_the_command_writes_plots_and_says_in_a_line_what_is_missing(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = ["--out", str(workspace.folder / "out")]
    workspace.run("toy_lengths,random", "--noise", "uniform")
    done = workspace.cli("leaderboard", "--plots", *out)
    assert done.code == 0, done.err
    assert [Path(line).suffix for line in done.out.splitlines()] == [".md", ".png", ".svg", ".png", ".svg"]
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    done = workspace.cli("leaderboard", "--plots", *out)
    assert done.code == 1
    assert done.error == ('error: --plots needs matplotlib, which is not installed: pip install "ecgbench[plots]"')
