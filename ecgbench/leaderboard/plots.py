"""The board as pictures, PNG and SVG: ROC and precision-recall curves of a task, AUROC by noise model."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecgbench.errors import MissingPackageError
from ecgbench.grid.curves import PLACES, PRECISION_RECALL, ROC
from ecgbench.leaderboard.board import AUROC, Group, Row, Table, build_tables
from ecgbench.leaderboard.markdown import REPORTED_MARK, RESULTS_FOLDER
from ecgbench.leaderboard.site.data import average_curves
from ecgbench.leaderboard.summary import group_by_setting, is_auroc_defined
from ecgbench.leaderboard.text import one_line
from ecgbench.results import read_results_folder
from ecgbench.store.keys import digest
from ecgbench.whole_files import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PLOTS_FOLDER = "plots"
MOST_CURVES = 10
"""The best of a task: more lines than a reader can tell apart say nothing."""
_LONGEST_LABEL = 48
_STYLES = ("-", "--", "-.", ":")
_PANELS = (
    (ROC, "ROC", "false positive rate", "true positive rate"),
    (PRECISION_RECALL, "Precision and recall", "recall", "precision"),
)
# A salt makes the names inside an SVG the same every time; text stays text, so that it can be searched.
_SETTINGS = {"svg.hashsalt": "ecgbench", "svg.fonttype": "none", "figure.dpi": 100, "savefig.dpi": 150}


def write_plots(folder: Path) -> list[Path]:
    """Write `folder`/plots/*.png and *.svg from `folder`/results/*.jsonl; return their paths.

    Raises MissingPackageError without matplotlib. The same records give the same bytes with the same matplotlib.
    """
    try:
        import matplotlib
    except ImportError as error:
        install = 'pip install "ecgbench[plots]"'
        raise MissingPackageError("matplotlib", needed_for="--plots", install=install) from error
    paths = []
    settings: dict[Any, Any] = {**matplotlib.rcParamsDefault, **_SETTINGS, "backend": "agg"}
    with matplotlib.rc_context(settings):
        for name, figure in iter_figures(build_tables(read_results_folder(folder / RESULTS_FOLDER))):
            paths += [
                write_whole(folder / PLOTS_FOLDER / f"{name}.{form}", _render(figure, form)) for form in ("png", "svg")
            ]
    return paths


def iter_figures(tables: Sequence[Table]) -> Iterator[tuple[str, Figure]]:
    """Yield each figure with the name of its file: a comparison of noises for each data and rate, curves of each task.

    What has no curve or no AUROC has no figure.
    """
    for own in group_by_setting(tables):
        if any(row.estimate(AUROC) for table in own for row in table.rows):
            yield _name_file("noises", own[0].group._replace(noise="")), draw_noises(own)
    for table in tables:
        if is_auroc_defined(table) and any(average_curves(row) for row in table.rows):
            yield _name_file("curves", table.group), draw_curves(table)


def draw_curves(table: Table) -> Figure:
    """Draw ROC and precision-recall curves of a task's best detectors, means over seeds."""
    figure = _make_figure(10.0, 5.2, _describe(table.group))
    rows = [(row, curves) for row in table.rows if not row.is_sanity and (curves := average_curves(row))]
    for at, (name, title, x, y) in enumerate(_PANELS, start=1):
        axes = figure.add_subplot(1, 2, at, title=title, xlabel=x, ylabel=y, xlim=(0, 1), ylim=(0, 1.01))
        for position, (row, curves) in enumerate(rows[:MOST_CURVES]):
            axes.plot(PLACES[name], curves[name], _STYLES[position % 4], linewidth=1.8, label=_label(row))
        _draw_chance(axes, table, name)
        axes.grid(alpha=0.3)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize="small")
    return figure


def draw_noises(tables: Sequence[Table]) -> Figure:
    """Draw AUROC by detector and noise model as bars, with deviations over seeds; a gap is a gap and says so."""
    rows: dict[str, bool] = {row.name: row.is_sanity for table in tables for row in table.rows}
    names = [name for name, is_sanity in rows.items() if not is_sanity]
    height = 0.8 / len(tables)
    title = _describe(tables[0].group._replace(noise=""))
    figure = _make_figure(10.0, 1.8 + len(names) * max(0.3, 0.16 * len(tables)), title)
    axes = figure.add_subplot(1, 1, 1, xlabel="AUROC", xlim=(0, 1.02), ylim=(len(names) - 0.5, -0.5))
    for at, table in enumerate(tables):
        own = {row.name: row for row in table.rows}
        places = [position - 0.4 + (at + 0.5) * height for position in range(len(names))]
        _draw_bars(axes, [own.get(name) for name in names], places, height, label=_shorten(table.group.noise))
    axes.axvline(0.5, color="0.4", linestyle=":", linewidth=1)
    reported = {row.name for table in tables for row in table.rows if row.is_reported}
    axes.set_yticks(range(len(names)), [_mark(name, is_reported=name in reported) for name in names])
    axes.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside lower center", ncols=2, fontsize="small")
    return figure


def _draw_bars(axes: Axes, rows: Sequence[Row | None], places: Sequence[float], height: float, *, label: str) -> None:
    estimates = [row.estimate(AUROC) if row else None for row in rows]
    means = [estimate.mean if estimate else 0.0 for estimate in estimates]
    deviations = [estimate.sd or 0.0 if estimate else 0.0 for estimate in estimates]
    axes.barh(places, means, height, xerr=deviations, label=label, error_kw={"elinewidth": 0.8})
    for row, estimate, place in zip(rows, estimates, places, strict=True):
        if estimate is None:
            axes.text(0.005, place, row.status if row else "not run", va="center", fontsize=6, color="0.35")


def _draw_chance(axes: Axes, table: Table, name: str) -> None:
    """Draw what a constant reaches, where the table has that row."""
    constant = next((average_curves(row) for row in table.rows if row.is_sanity and row.name == "none"), {})
    if constant:
        axes.plot(PLACES[name], constant[name], ":", color="0.4", linewidth=1.2, label="chance")


def _make_figure(width: float, height: float, title: str) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(_plain(title), fontsize="medium")
    return figure


def _render(figure: Figure, form: str) -> bytes:
    # Neither says when it was made, nor by which version.
    metadata: Mapping[str, Any] = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}[form]
    file = io.BytesIO()
    figure.savefig(file, format=form, metadata=metadata)
    return file.getvalue()


def _label(row: Row) -> str:
    return f"{_mark(row.name, is_reported=row.is_reported)}  {row.estimate(AUROC)}"


def _mark(name: str, *, is_reported: bool) -> str:
    return f"{_shorten(name)} {REPORTED_MARK}" if is_reported else _shorten(name)


def _describe(group: Group) -> str:
    noise = f", noise {group.noise}" if group.noise else ""
    return f"{group.dataset}, n = {group.n}, profile {group.profile}, rate {group.rate:g}{noise}"


def _shorten(name: str) -> str:
    shown = one_line(name)
    return _plain(shown if len(shown) <= _LONGEST_LABEL else f"{shown[: _LONGEST_LABEL - 1]}…")


def _plain(text: str) -> str:
    """Return text in which matplotlib finds no formula and that it does not leave out of a legend."""
    shown = one_line(text).encode("utf-8", "replace").decode().replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown


def _name_file(kind: str, group: Group) -> str:
    """Name a file so that a person finds it and two groups never share one."""
    words: Iterable[str] = (kind, group.dataset, group.noise, f"{group.rate:g}", digest("plot/1", list(group))[:6])
    return "-".join(re.sub(r"[^A-Za-z0-9._]+", "_", word)[:40].strip("_.") for word in words if word)
