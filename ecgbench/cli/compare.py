"""`ecgbench compare`: two detectors, or two sets of records, over the cells that both have."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ecgbench.cli import options as opt

if TYPE_CHECKING:
    from ecgbench.leaderboard.comparison import Comparison, TaskComparison
    from ecgbench.results import CellRecord

UNKNOWN = "\N{EN DASH}"
HEAD = ("detector", "dataset", "noise", "rate", "seeds", "A", "B", "A - B", "95 % interval", "p", "A is")

First = Annotated[
    str, typer.Argument(metavar="A", help="Detector as on the board, or a file or folder of records (.jsonl).")
]
Second = Annotated[str, typer.Argument(metavar="B", help="What A is compared with: of the same kind.")]
Folder = Annotated[Path, typer.Option("--out", help="Folder of results/*.jsonl, where A and B are detectors.")]


def compare(first: First, second: Second, out: Folder = Path("leaderboard"), json: opt.Json = False) -> None:
    """Compare the AUROC of two detectors, or of two sets of records, over the cells that both have.

    Cells are paired by data, noise, rate and seed, those of two sets by detector, too. The verdict of a task is
    Holm-corrected for the number of tasks. Nothing is computed but the comparison: the records hold what it needs.
    """
    comparison = _compare(first, second, out)
    if json:
        typer.echo(opt.to_json(_as_json(comparison)))
    else:
        _print(comparison)


def _compare(first: str, second: str, out: Path) -> Comparison:
    from ecgbench.errors import UsageError
    from ecgbench.grid.selection import parse_selection
    from ecgbench.leaderboard.comparison import compare_detectors, compare_sets

    are_paths = [_is_path(name) for name in (first, second)]
    if all(are_paths):
        return compare_sets(_read(Path(first)), _read(Path(second)), (first, second))
    if any(are_paths):
        path, name = (first, second) if are_paths[0] else (second, first)
        raise UsageError(f"{path} is a path and {name} is none; give two detectors or two paths of records")
    return compare_detectors(_read(out), parse_selection(first), parse_selection(second))


def _is_path(name: str) -> bool:
    """Say whether a name is one of records: a folder that holds none may be called like a detector."""
    path = Path(name)
    return path.suffix == ".jsonl" or "/" in name.partition("[")[0] or (path / "results").is_dir() or _holds_files(path)


def _holds_files(path: Path) -> bool:
    return path.is_dir() and any(path.glob("*.jsonl"))


def _read(path: Path) -> list[CellRecord]:
    """Return the records of a file, of a folder of files or of one with results/ in it; raises UsageError."""
    from ecgbench.errors import UsageError
    from ecgbench.results import read_records, read_results_folder

    if path.suffix == ".jsonl" or path.is_file():
        return read_records(path)
    records = read_results_folder(path / "results" if (path / "results").is_dir() else path)
    if not records:
        raise UsageError(f"{path} holds no records (*.jsonl or results/*.jsonl); run `ecgbench run --out {path}` first")
    return records


def _print(comparison: Comparison) -> None:
    from ecgbench.cli.printable import to_printable
    from ecgbench.cli.tables import print_table

    first, second = comparison.names
    skip = 0 if any(task.detector for task in comparison.tasks) else 1
    typer.echo(to_printable(f"AUROC of A = {first} and B = {second}, paired by cells; p by Holm's correction"))
    print_table(HEAD[skip:], [_cells(task)[skip:] for task in comparison.tasks])
    typer.echo(_describe_overall(comparison))
    if any(task.p is None and not task.trouble for task in comparison.tasks):
        typer.echo("no interval where a record holds no replicates (an older one): run its suite again")
    for line in comparison.unpaired:
        typer.echo(to_printable(f"not paired: {line}"))


def _cells(task: TaskComparison) -> list[str]:
    group = task.group
    ends = [] if task.interval is None else [task.interval.lower, task.interval.upper]
    return [
        task.detector,
        f"{group.dataset} n={group.n} {group.profile}",
        group.noise,
        f"{group.rate:g}",
        ",".join(map(str, task.seeds)),
        _number(task.first),
        _number(task.second),
        _number(task.difference, "+"),
        " to ".join(_number(end, "+") for end in ends) or UNKNOWN,
        _p_value(task.p),
        task.trouble or task.verdict or UNKNOWN,
    ]


def _describe_overall(comparison: Comparison) -> str:
    n = len(comparison.tasks)
    tasks = f"{n} task{'s' if n > 1 else ''}"
    if comparison.difference is None:
        return f"overall: no mean over {tasks}, since one has none"
    counts = [f"{name} in {count}" for name, count in _count_verdicts(comparison).items() if count]
    means = f"A {_number(comparison.first)}, B {_number(comparison.second)}"
    why = " (fewer than 6 tasks cannot be significant)" if comparison.is_too_small else ""
    said = f"; {', '.join(counts)}" if counts else ""
    p = _p_value(comparison.p, equals="= ")
    difference = f"A - B {_number(comparison.difference, '+')}"
    return f"overall, {tasks}: {means}, {difference}{said}; over tasks p {p}{why}: {comparison.verdict}"


def _count_verdicts(comparison: Comparison) -> dict[str, int]:
    from ecgbench.leaderboard.comparison import Verdict

    found = [task.verdict for task in comparison.tasks]
    return {verdict.value: found.count(verdict) for verdict in Verdict}


def _number(value: float | None, sign: str = "") -> str:
    return UNKNOWN if value is None else f"{round(value, 3) + 0:{sign}.3f}"  # + 0: no -0.000


def _p_value(p: float | None, equals: str = "") -> str:
    return UNKNOWN if p is None else "< 0.001" if p < 0.001 else f"{equals}{p:.3f}"


def _as_json(comparison: Comparison) -> dict[str, Any]:
    return {
        "a": comparison.names[0],
        "b": comparison.names[1],
        "metric": "auroc",
        "tasks": [_task_as_json(task) for task in comparison.tasks],
        "overall": {
            "tasks": len(comparison.tasks),
            "mean_a": comparison.first,
            "mean_b": comparison.second,
            "difference": comparison.difference,
            "p": comparison.p,
            "verdict": comparison.verdict,
            "verdicts": _count_verdicts(comparison),
        },
        "unpaired": list(comparison.unpaired),
    }


def _task_as_json(task: TaskComparison) -> dict[str, Any]:
    return {
        **task.group._asdict(),
        "detector": task.detector or None,
        "seeds": list(task.seeds),
        "mean_a": task.first,
        "mean_b": task.second,
        "difference": task.difference,
        "interval": task.interval and [task.interval.lower, task.interval.upper],
        "p_holm": task.p,
        "verdict": task.verdict,
        "trouble": task.trouble or None,
    }
