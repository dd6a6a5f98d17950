"""From a suite of names to built parts: datasets loaded, noise applied, detectors made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ecgbench.artifacts.base import Artifact
from ecgbench.data import LabeledTexts
from ecgbench.engines.context import batch_size
from ecgbench.errors import INTERRUPTS, DataError, EcgbenchError, PluginConflictError, UsageError
from ecgbench.grid.cells import Condition, CorruptedTask, corrupt, validate_dataset
from ecgbench.grid.random_states import guard_random_states
from ecgbench.grid.sanity import SANITY_ROWS
from ecgbench.grid.selection import Selection, render_value
from ecgbench.grid.statuses import FailedInputError, Failure, describe_failure
from ecgbench.grid.suite import DatasetChoice, NoiseGrid, Suite
from ecgbench.grid.values import resolve_closure
from ecgbench.plugins import Plugins
from ecgbench.profile_settings import find_profile
from ecgbench.profiles import Profile
from ecgbench.progress import Reporter, SilentReporter
from ecgbench.registry import Registered
from ecgbench.specs import Dataset, DatasetContext, Detector, NoiseModel
from ecgbench.store.cache import Cache
from ecgbench.store.keys import canonical_json, plain
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
    """One condition of the grid with its data and task, or why there is none."""

    condition: Condition
    dataset: LabeledTexts | None
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
    """Check every name and parameter, then load the data; raises UsageError before anything is computed.

    What a plugin gets wrong is no UsageError: its row or column holds the Failure.
    """
    profile, columns = prepare_columns(suite, plugins)
    noises = [_build_noise(noise, plugins) for noise in suite.noises]
    datasets = [_try_loading(choice, plugins, cache, offline=offline, reporter=reporter) for choice in suite.datasets]
    rows: dict[str, TaskRow] = {}
    for dataset in datasets:
        for noise in noises:
            for condition in noise.iter_conditions(dataset):
                if str(condition) not in rows:
                    rows[str(condition)] = _build_row(condition, dataset.data, noise.model)
    return Grid(suite, profile, tuple(rows.values()), columns)


def prepare_columns(suite: Suite, plugins: Plugins) -> tuple[Profile, tuple[DetectorColumn, ...]]:
    """Return a suite's profile and detectors; raises UsageError."""
    batch_size(1)  # what the environment says of it would otherwise be refused artifact by artifact
    profile = find_profile(suite.profile, suite.settings)
    return profile, tuple(_iter_columns(suite, plugins, profile))


def load_dataset(
    choice: DatasetChoice, plugins: Plugins, cache: Cache, *, offline: bool = False, reporter: Reporter | None = None
) -> LabeledTexts:
    """Load a dataset and draw its `n` items.

    Raises DataError (also where `offline` forbids a fetch) or UsageError for what a person has to mend,
    FailedInputError where the dataset's own code fails.
    """
    data, default_n = load_whole(choice, plugins, cache, offline=offline, reporter=reporter)
    n = default_n if choice.n is None else choice.n
    if n is None or n == "all" or (choice.n is None and n >= len(data)):
        if choice.sample_seed:
            raise UsageError(
                f"sample_seed is {choice.sample_seed}, but all {len(data)} items of {choice.name} are used"
            )
        return data
    return subsample(data, n, seed=choice.sample_seed)


def load_whole(
    choice: DatasetChoice, plugins: Plugins, cache: Cache, *, offline: bool = False, reporter: Reporter | None = None
) -> tuple[LabeledTexts, int | None]:
    """Load all items of a dataset and tell how many are drawn where nobody says; raises as load_dataset."""
    with (
        (reporter or SilentReporter()).job(f"loading dataset {choice.name}", None),
        _plugin_code(f"dataset {choice.name}", UsageError),
    ):
        registered, params = find_dataset(choice, plugins)
        dataset: Dataset = registered.build(params)
        data = validate_dataset(dataset.load(DatasetContext(cache.datasets, offline)), choice.name)
    if len(set(data.labels.tolist()) | set(data.given_labels.tolist())) < 2:
        name = data.description.label_names[int(data.labels[0])] if len(data) else "none"
        raise DataError(
            f"{choice.name} holds one class only ({name}); wrong labels need at least two classes to choose from"
        )
    return data, dataset.default_n


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


def _build_column(registered: Registered[Any], chosen: Selection, profile: Profile) -> DetectorColumn:
    owner = (registered.distribution, registered.version)
    try:
        with _plugin_code(str(chosen), UsageError):
            detector: Detector
            detector, selection = _build(registered, chosen)
            needs = tuple(detector.needs())
            return DetectorColumn(selection, detector, needs, resolve_closure(needs, profile), *owner)
    except FailedInputError as error:
        return DetectorColumn(_as_text(chosen), error.failure, (), (), *owner)


@dataclass(frozen=True, eq=False)
class _NoiseRows:
    """A noise model with the rates and seeds of its rows, or why it cannot be built here."""

    grid: NoiseGrid
    selection: Selection
    model: NoiseModel | Failure
    uses_rate: bool = True

    def iter_conditions(self, dataset: _LoadedDataset) -> Iterator[Condition]:
        for rate in self.grid.rates if self.uses_rate else (0.0,):
            for seed in self.grid.seeds:
                yield Condition(dataset.selection, dataset.n, self.selection, rate, seed)


def _build_noise(grid: NoiseGrid, plugins: Plugins) -> _NoiseRows:
    registered, chosen = plugins.noise_models[grid.name], Selection(grid.name, grid.params)
    try:
        with _plugin_code(f"noise model {chosen}", UsageError):
            model, selection = _build(registered, chosen)
            return _NoiseRows(grid, selection, model, bool(model.uses_rate))
    except FailedInputError as error:
        return _NoiseRows(grid, _as_text(chosen), error.failure)


@dataclass(frozen=True, eq=False)
class _LoadedDataset:
    """A dataset with the items drawn from it, or why there are none."""

    selection: Selection
    n: int
    data: LabeledTexts | Failure


def _try_loading(choice: DatasetChoice, plugins: Plugins, cache: Cache, **options: Any) -> _LoadedDataset:
    sampled = {"sample_seed": choice.sample_seed} if choice.sample_seed else {}
    try:
        data = load_dataset(choice, plugins, cache, **options)
        with _plugin_code(f"dataset {choice.name}", UsageError):
            params = find_dataset(choice, plugins)[0].changed(choice.params)
            _require_recordable([params, data.description])
        return _LoadedDataset(Selection(choice.name, params | sampled), len(data), data)
    except FailedInputError as error:
        n = choice.n if isinstance(choice.n, int) else 0
        return _LoadedDataset(_as_text(Selection(choice.name, choice.params | sampled)), n, error.failure)


def _build_row(condition: Condition, data: LabeledTexts | Failure, noise: NoiseModel | Failure) -> TaskRow:
    if isinstance(data, Failure):
        return TaskRow(condition, None, data)
    if isinstance(noise, Failure):
        return TaskRow(condition, data, noise)
    try:
        with _plugin_code(f"noise model {condition.noise.name}"):  # even a UsageError: nothing was typed wrong
            return TaskRow(condition, data, corrupt(condition, data, noise))
    except FailedInputError as error:
        return TaskRow(condition, data, error.failure)


@contextmanager
def _plugin_code(what: str, *passed_on: type[BaseException]) -> Iterator[None]:
    """Raise whatever a plugin's code raises as FailedInputError, but for what is passed on; guard the random states."""
    try:
        with guard_random_states():
            yield
    except INTERRUPTS:
        raise
    except BaseException as error:
        if isinstance(error, passed_on):
            raise
        raise FailedInputError(describe_failure(error, what=what)) from error


def _build(registered: Registered[Any], chosen: Selection) -> tuple[Any, Selection]:
    """Return an instance and the selection that its records name; raises EcgbenchError where none could."""
    params = registered.changed(chosen.params)
    _require_recordable(params)
    return registered.build(chosen.params), Selection(chosen.name, params)


def _require_recordable(value: Any) -> None:
    try:
        canonical_json(plain(value))
    except (TypeError, ValueError) as error:
        raise EcgbenchError(f"no record can name its parameters: {error}; use text, numbers or tuples") from error


def _as_text(selection: Selection) -> Selection:
    """Return the selection with parameters that any record can hold."""
    try:
        _require_recordable(dict(selection.params))
    except EcgbenchError:
        return Selection(selection.name, {name: render_value(value) for name, value in selection.params.items()})
    return selection


def _reject_reserved(plugins: Plugins) -> None:
    for entry in plugins.detectors:
        if entry.spec.name in SANITY_ROWS:
            raise PluginConflictError(
                f"detector {entry.spec.name!r} of {entry.distribution} takes the name of a sanity row "
                f"({', '.join(SANITY_ROWS)}); rename it"
            )
