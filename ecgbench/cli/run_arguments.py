"""The arguments of `run`, which `plan` and `inspect` take too: declared once, read once."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from ecgbench.cli import options as opt

if TYPE_CHECKING:
    from ecgbench.grid.executors import Execution
    from ecgbench.grid.rerun import Rerun
    from ecgbench.plugins import Plugins


@dataclass(frozen=True)
class RunArguments:
    """What was typed, option by option."""

    suite: opt.SuiteFile = None
    profile: opt.ProfileName = None
    set: opt.Settings = None
    dataset: opt.DatasetNames = None
    n: opt.Size = None
    noise: opt.NoiseNames = None
    rate: opt.Rates = None
    seeds: opt.Seeds = None
    detectors: opt.DetectorNames = None
    param: opt.Params = None
    text_column: opt.TextColumn = None
    label_column: opt.LabelColumn = None
    true_label_column: opt.TrueLabelColumn = None
    task: opt.TaskNoun = None
    shots: opt.Shots = None
    out: opt.OutFolder = Path("leaderboard")
    cache: opt.CacheFolder = None
    plugin: opt.PluginFiles = None
    rerun: opt.RerunChoice = "missing"
    fail_fast: opt.FailFast = False
    executor: opt.ExecutorName = "local"
    ray_address: opt.RayAddress = None
    time_limit: opt.TimeLimit = None
    memory_limit: opt.MemoryLimit = None
    offline: opt.Offline = False
    json: opt.Json = False
    quiet: opt.Quiet = False
    debug: opt.Debug = False

    @property
    def grid(self) -> opt.GridOptions:
        """Return what they say about the grid."""
        columns = opt.given(
            text_column=self.text_column,
            label_column=self.label_column,
            true_label_column=self.true_label_column,
            task=self.task,
            shots=self.shots,
        )
        chosen = (self.dataset, self.n, self.noise, self.rate, self.seeds, self.detectors)
        return opt.GridOptions(self.suite, self.profile, self.set or (), *chosen, self.param or (), columns)

    def read_rerun(self) -> Rerun:
        """Return which cells are to be computed; raises UsageError."""
        from ecgbench.grid.rerun import Rerun

        return Rerun(self.rerun)

    def read_execution(self) -> Execution:
        """Return where they are to be computed; raises UsageError."""
        return opt.read_execution(
            self.executor,
            plugins=self.plugin,
            address=self.ray_address,
            seconds=self.time_limit,
            memory=self.memory_limit,
        )

    def load_plugins(self) -> Plugins:
        """Load all plugins, those of --plugin too, and say on stderr which did not load."""
        return opt.load_plugins_or_warn(self.plugin)


def takes_run_arguments(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command every option of `run` after its own: they reach it as one RunArguments, its first parameter."""
    _, *own = inspect.signature(command, eval_str=True).parameters.values()
    hints = get_type_hints(RunArguments, include_extras=True)
    options = [
        inspect.Parameter(f.name, inspect.Parameter.KEYWORD_ONLY, default=f.default, annotation=hints[f.name])
        for f in fields(RunArguments)
    ]

    @functools.wraps(command)
    def parsed(**values: Any) -> None:
        arguments = RunArguments(**{f.name: values.pop(f.name) for f in fields(RunArguments)})
        if arguments.debug:
            opt.start_log(debug=True)
        command(arguments, **values)

    parsed.__signature__ = inspect.Signature([*own, *options])  # type: ignore[attr-defined]
    parsed.__annotations__ = {parameter.name: parameter.annotation for parameter in [*own, *options]}
    return parsed
