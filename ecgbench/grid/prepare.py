"""From a suite of names to built parts: datasets loaded, noise applied, detectors made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ecgbench.artifacts.base import Artifact
from ecgbench.data import LabeledTexts
from ecgbench.engines.context import batch_size
from ecgbench.errors import DataError, MissingPackageError, PluginConflictError, UsageError
from ecgbench.grid.cells import Condition, CorruptedTask, corrupt
from ecgbench.grid.sanity import SANITY_ROWS
from ecgbench.grid.selection import Selection
from ecgbench.grid.statuses import PLUGIN_ERRORS, FailedInputError, Failure, describe_failure
from ecgbench.grid.suite import DatasetChoice, Suite
from ecgbench.grid.values import resolve_closure
from ecgbench.plugins import Plugins
from ecgbench.profile_settings import find_profile
from ecgbench.profiles import Profile
from ecgbench.progress import Reporter, SilentReporter
from ecgbench.registry import Registered
from ecgbench.specs import Dataset, DatasetContext, Detector
from ecgbench.store.cache import Cache
from ecgbench.subsample import subsample

Needs = tuple[Artifact[Any], ...]


@dataclass(frozen=True, eq=False)
class DetectorColumn:
    """One detector of the grid with the artifacts it declares and their closure, or why it cannot be built here."""

    selection: Selection
    detector: Detector | Failure
    needs: Needs
    closure: Needs
    distribution: str
    version: str

    def built(self) -> tuple[Detector, Needs]:
        """Return the detector and its needs; raises FailedInputError where it could not be built."""
        if isinstance(self.detector, Failure):
            raise FailedInputError(self.detector)
        return self.detector, self.needs


@dataclass(frozen=True, eq=False)
class TaskRow:
    """One condition of the grid with its data, or why the noise model gave none."""

    condition: Condition
    dataset: LabeledTexts
    task: CorruptedTask | Failure


@dataclass(frozen=True, eq=False)
class Grid:
    """All rows and columns of a run; its cells are their product."""

    suite: Suite
    profile: Profile
    rows: tuple[TaskRow, ...]
    columns: tuple[DetectorColumn, ...]


def prepare(
    suite: Suite, plugins: Plugins, cache: Cache, *, offline: bool = False, reporter: Reporter | None = None
) -> Grid:
    """Check every name and parameter, then load the data; raises UsageError before anything is computed."""
    batch_size(1)  # what the environment says of it would otherwise be refused artifact by artifact
    profile = find_profile(suite.profile, suite.settings)
    columns = tuple(_iter_columns(suite, plugins, profile))
    noises = {index: _build_noise(noise.name, noise.params, plugins) for index, noise in enumerate(suite.noises)}
    datasets = [load_dataset(choice, plugins, cache, offline=offline, reporter=reporter) for choice in suite.datasets]
    rows: dict[str, TaskRow] = {}
    for choice, data in zip(suite.datasets, datasets, strict=True):
        sampled = {"sample_seed": choice.sample_seed} if choice.sample_seed else {}
        dataset = Selection(choice.name, find_dataset(choice, plugins)[0].changed(choice.params) | sampled)
        for index, noise in enumerate(suite.noises):
            for rate in noise.rates if noises[index].uses_rate else noise.rates[:1]:
                for seed in noise.seeds:
                    condition = Condition(
                        dataset=dataset,
                        n=len(data),
                        noise=Selection(noise.name, plugins.noise_models[noise.name].changed(noise.params)),
                        rate=rate if noises[index].uses_rate else 0.0,
                        seed=seed,
                    )
                    if str(condition) not in rows:
                        rows[str(condition)] = _build_row(condition, data, noises[index])
    return Grid(suite, profile, tuple(rows.values()), columns)


def load_dataset(
    choice: DatasetChoice, plugins: Plugins, cache: Cache, *, offline: bool = False, reporter: Reporter | None = None
) -> LabeledTexts:
    """Load a dataset and draw its `n` items; raises DataError (also where `offline` forbids a fetch) or UsageError."""
    registered, params = find_dataset(choice, plugins)
    dataset: Dataset = registered.build(params)
    with (reporter or SilentReporter()).job(f"loading dataset {choice.name}", None):
        data = dataset.load(DatasetContext(cache.datasets, offline))
    if len(set(data.labels.tolist()) | set(data.given_labels.tolist())) < 2:
        name = data.description.label_names[int(data.labels[0])] if len(data) else "none"
        raise DataError(
            f"{choice.name} holds one class only ({name}); wrong labels need at least two classes to choose from"
        )
    n = dataset.default_n if choice.n is None else choice.n
    if n is None or n == "all" or (choice.n is None and n >= len(data)):
        if choice.sample_seed:
            raise UsageError(
                f"sample_seed is {choice.sample_seed}, but all {len(data)} items of {choice.name} are used"
            )
        return data
    return subsample(data, n, seed=choice.sample_seed)


def find_dataset(choice: DatasetChoice, plugins: Plugins) -> tuple[Registered[Any], Mapping[str, Any]]:
    """Return the registered dataset and its parameters; in `file:reviews.csv` the part after ":" is its argument."""
    head, colon, argument = choice.name.partition(":")
    registered = plugins.datasets[head]
    if not colon:
        return registered, choice.params
    field = getattr(registered.resolve(), "argument", None)
    if field is None:
        raise UsageError(f"dataset {head!r} takes no argument, but {choice.name!r} was given; write {head!r}")
    return registered, {field: argument, **choice.params}


def _iter_columns(suite: Suite, plugins: Plugins, profile: Profile) -> Iterator[DetectorColumn]:
    _reject_reserved(plugins)
    if suite.detectors == "all":
        chosen: Sequence[Selection] = [Selection(name) for name in plugins.detectors.names]
    else:
        chosen = [Selection(choice.name, choice.params) for choice in suite.detectors]
    seen: set[str] = set()
    for selection in chosen:
        if selection.name in SANITY_ROWS:
            continue  # they are always there
        column = _build_column(plugins.detectors[selection.name], selection, profile)
        if str(column.selection) not in seen:
            seen.add(str(column.selection))
            yield column


def _build_column(registered: Registered[Any], selection: Selection, profile: Profile) -> DetectorColumn:
    owner = (registered.distribution, registered.version)
    try:
        detector: Detector = registered.build(selection.params)
        selection = Selection(selection.name, registered.changed(selection.params))
        needs = tuple(detector.needs())
        return DetectorColumn(selection, detector, needs, resolve_closure(needs, profile), *owner)
    except UsageError:
        raise
    except PLUGIN_ERRORS as error:
        return DetectorColumn(selection, describe_failure(error, what=str(selection)), (), (), *owner)


def _build_noise(name: str, params: Mapping[str, Any], plugins: Plugins) -> Any:
    try:
        return plugins.noise_models[name].build(params)
    except MissingPackageError as error:
        raise UsageError(str(error)) from error


def _build_row(condition: Condition, data: LabeledTexts, noise: Any) -> TaskRow:
    try:
        return TaskRow(condition, data, corrupt(condition, data, noise))
    except UsageError:
        raise
    except PLUGIN_ERRORS as error:
        return TaskRow(condition, data, describe_failure(error, what=f"noise model {condition.noise.name}"))


def _reject_reserved(plugins: Plugins) -> None:
    for entry in plugins.detectors:
        if entry.spec.name in SANITY_ROWS:
            raise PluginConflictError(
                f"detector {entry.spec.name!r} of {entry.distribution} takes the name of a sanity row "
                f"({', '.join(SANITY_ROWS)}); rename it"
            )
