"""The options that `run` and `plan` share, and how they become a suite."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ecgbench.grid.choices import GridChoices
    from ecgbench.grid.executors import Execution
    from ecgbench.grid.suite import Suite
    from ecgbench.plugins import Plugins

SuiteFile = Annotated[
    Path | None, typer.Option("--suite", help="TOML file with a whole grid; other options change it.")
]
ProfileName = Annotated[str | None, typer.Option("--profile", help="Set of models. [default: embedded]")]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="A setting of the profile as NAME=VALUE, such as profile.llm.model=Qwen2.5-7B-Instruct; repeatable.",
    ),
]
ExecutorName = Annotated[
    str, typer.Option("--executor", help="local, process (what crashes or hangs ends alone) or ray.")
]
RayAddress = Annotated[
    str | None,
    typer.Option("--ray-address", help="Address of a Ray cluster. [default: RAY_ADDRESS, else one on this machine]"),
]
TimeLimit = Annotated[
    float | None,
    typer.Option("--time-limit", help="Seconds a cell, a batch or a task's artifact may take (executor process)."),
]
MemoryLimit = Annotated[
    int | None, typer.Option("--memory-limit", help="MiB of memory each of these may take (executor process).")
]
DatasetNames = Annotated[
    str | None,
    typer.Option(
        "--dataset", help="Dataset, or file:PATH for your own (.csv .tsv .jsonl .parquet). [default: movie_snippets]"
    ),
]
Size = Annotated[str | None, typer.Option("--n", help="Items drawn from the dataset, stratified, or 'all'.")]
NoiseNames = Annotated[
    str | None,
    typer.Option("--noise", help="Noise models, comma-separated: uniform,artifact_aligned[clean_marker_rate=0.05]."),
]
Rates = Annotated[str | None, typer.Option("--rate", help="Noise rates in [0, 1), comma-separated. [default: 0.1]")]
Seeds = Annotated[str | None, typer.Option("--seeds", help="Seeds, comma-separated. [default: 0]")]
DetectorNames = Annotated[
    str | None,
    typer.Option("--detectors", help="'all', or names, comma-separated: ecg,ecg[k=30],cleanlab. [default: all]"),
]
Params = Annotated[
    list[str] | None,
    typer.Option(
        "--param", help="A parameter as NAME.PARAMETER=VALUE, such as ecg.k=30 or ecg.weights.nli=0; repeatable."
    ),
]
TextColumn = Annotated[str | None, typer.Option("--text-column", help="Your file's column of texts. [default: text]")]
LabelColumn = Annotated[
    str | None, typer.Option("--label-column", help="Your file's column of labels. [default: label]")
]
TrueLabelColumn = Annotated[
    str | None, typer.Option("--true-label-column", help="Your file's column of true labels, where it has one.")
]
TaskNoun = Annotated[str | None, typer.Option("--task", help="What your labels say, such as 'topic of the news item'.")]
Shots = Annotated[Path | None, typer.Option("--shots", help="TOML file with worked examples for the language model.")]
CacheFolder = Annotated[Path | None, typer.Option("--cache", help="Cache folder. [default: the user's cache folder]")]
PluginFiles = Annotated[list[Path] | None, typer.Option("--plugin", help="Python file with hookimpls; repeatable.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks and the log.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
OutFolder = Annotated[Path, typer.Option("--out", help="Folder of results/*.jsonl and LEADERBOARD.md.")]
RerunChoice = Annotated[
    str, typer.Option("--rerun", help="Which cells to compute: missing, failed (those too) or all.")
]
FailFast = Annotated[bool, typer.Option("--fail-fast", help="Stop at the first cell that is not ok.")]
Offline = Annotated[
    bool,
    typer.Option(
        "--offline",
        help="Fetch nothing: datasets and models must be on this machine.",
        callback=lambda chosen: _forbid_hub() if chosen else chosen,
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")]


@dataclass(frozen=True)
class GridOptions:
    """What was typed about the grid; None where nothing was."""

    suite: Path | None = None
    profile: str | None = None
    settings: Sequence[str] = ()
    dataset: str | None = None
    n: str | None = None
    noise: str | None = None
    rate: str | None = None
    seeds: str | None = None
    detectors: str | None = None
    params: Sequence[str] = ()
    dataset_params: dict[str, Any] = field(default_factory=dict)

    def build(self, plugins: Plugins) -> Suite:
        """Return the suite file (or the default grid) changed by the options; raises UsageError."""
        from ecgbench.grid.suite import load_suite, validate_suite

        raw = self._read().change(load_suite(self.suite) if self.suite else None)
        if self.dataset_params:
            for entry in _taking_argument(raw["datasets"], plugins, options=self.dataset_params):
                entry["params"] |= self.dataset_params
        for assignment in self.params:
            _apply_param(raw, assignment, plugins)
        return validate_suite(raw, where="the command line")

    def _read(self) -> GridChoices:
        from ecgbench.grid.choices import GridChoices, parse_selections
        from ecgbench.grid.selection import split_list

        n = None if self.n is None else "all" if self.n == "all" else read_whole(self.n, "--n")
        return GridChoices(
            profile=self.profile,
            settings=read_settings(self.settings),
            datasets=None if self.dataset is None else parse_selections(self.dataset),
            n=n,
            noises=None if self.noise is None else parse_selections(self.noise),
            rates=None if self.rate is None else [_number(text, "--rate") for text in split_list(self.rate)],
            seeds=None if self.seeds is None else [read_whole(text, "--seeds") for text in split_list(self.seeds)],
            detectors=None if self.detectors is None else parse_selections(self.detectors),
        )


def read_settings(assignments: Sequence[str] | None) -> dict[str, Any]:
    """Read what --set gave: nested settings of the profile; raises UsageError."""
    from ecgbench.errors import UsageError
    from ecgbench.grid.selection import parse_assignment
    from ecgbench.params import nest

    pairs = []
    for assignment in assignments or ():
        name, value = parse_assignment(assignment)
        head, _, path = name.partition(".")
        if head != "profile" or not path:
            raise UsageError(f"cannot read --set {assignment!r}; write profile.NAME=VALUE: profile.llm.model=FOLDER")
        pairs.append((path, value))
    return nest(pairs)


def read_execution(
    executor: str, *, plugins: Sequence[Path] | None, address: str | None, seconds: float | None, memory: int | None
) -> Execution:
    """Read --executor and its limits; raises UsageError."""
    from ecgbench.grid.executors import Execution, ExecutorKind

    return Execution(ExecutorKind(executor), tuple(plugins or ()), seconds, memory, address)


def _forbid_hub() -> bool:
    """Tell every library, here and in the processes that are started, to ask no model hub."""
    import os

    os.environ["HF_HUB_OFFLINE"] = "1"
    return True


def load_plugins_or_warn(files: Sequence[Path] | None) -> Plugins:
    """Load all plugins and say on stderr which ones did not load."""
    from ecgbench.cli.printable import to_printable
    from ecgbench.cli.stdout import plugins_print_to_stderr
    from ecgbench.plugins import load_plugins

    with plugins_print_to_stderr():
        plugins = load_plugins(tuple(files or ()))
    for plugin in plugins.failed:
        said = f"warning: plugin {plugin.name} ({plugin.distribution}) did not load: {plugin.reason}"
        typer.echo(to_printable(said), err=True)
    return plugins


def open_cache(folder: Path | None, *, create: bool = True) -> Any:
    """Open the cache folder that was asked for, or the user's."""
    from ecgbench.store.cache import Cache, default_cache_folder

    return Cache.open(folder or default_cache_folder(), create=create)


def start_log(*, debug: bool) -> None:
    """Log on stderr: warnings of ecgbench, everything of it under --debug, of other libraries errors only."""
    import logging

    logging.basicConfig(level=logging.ERROR, format="%(levelname)s: %(message)s")
    logging.getLogger("ecgbench").setLevel(logging.DEBUG if debug else logging.WARNING)


def to_json(value: Any) -> str:
    """Render a value as JSON for scripts."""
    import json

    return json.dumps(value, indent=2)


def given(**values: Any) -> dict[str, Any]:
    """Return the values that are not None, paths as strings."""
    return {key: str(value) for key, value in values.items() if value is not None}


def _taking_argument(
    datasets: list[dict[str, Any]], plugins: Plugins, *, options: dict[str, Any]
) -> list[dict[str, Any]]:
    """Return those datasets that are of the kind file:PATH; raises UsageError where none is."""
    from ecgbench.errors import UsageError

    kinds = [plugins.datasets[d["name"].partition(":")[0]].resolve() for d in datasets]
    found = [d for d, kind in zip(datasets, kinds, strict=True) if getattr(kind, "argument", None)]
    if datasets and not found:
        names = ", ".join(d["name"] for d in datasets)
        given_options = ", ".join("--" + name.replace("_", "-") for name in options)
        raise UsageError(f"{given_options}: not for {names}; give your own file with --dataset file:PATH")
    return found


def _apply_param(raw: dict[str, Any], assignment: str, plugins: Plugins) -> None:
    from ecgbench.errors import UnknownNameError, UsageError
    from ecgbench.grid.selection import parse_assignment
    from ecgbench.params import merge, nest

    target, value = parse_assignment(assignment)
    name, dot, parameter = target.partition(".")  # at the first: ecg.weights.nli=0 is a parameter of a parameter
    if not dot:
        raise UsageError(f"cannot read --param {assignment!r}; write NAME.PARAMETER=VALUE, such as ecg.k=30")
    if raw["detectors"] == "all" and name in plugins.detectors.names:
        raw["detectors"] = [{"name": known} for known in plugins.detectors.names]
    listed = [*raw["datasets"], *raw["noises"], *(raw["detectors"] if raw["detectors"] != "all" else [])]
    chosen = [entry for entry in listed if entry["name"].partition(":")[0] == name]
    if not chosen:
        raise UnknownNameError("name in --param", name, [*(e["name"] for e in listed), *plugins.detectors.names])
    for entry in chosen:
        entry["params"] = merge(entry.get("params", {}), nest([(parameter, value)]))


def read_whole(text: str, option: str) -> int:
    """Read a whole number; raises UsageError."""
    from ecgbench.errors import UsageError

    try:
        return int(text)
    except ValueError:
        raise UsageError(f"{option}: {text!r} is not a whole number") from None


def _number(text: str, option: str) -> float:
    from ecgbench.errors import UsageError

    try:
        return float(text)
    except ValueError:
        raise UsageError(f"{option}: {text!r} is not a number; give a share such as 0.1") from None
