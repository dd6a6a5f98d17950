"""Suites: the grid of a run as validated values, read from TOML or from the command line."""

from __future__ import annotations

import itertools
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ecgbench.errors import UsageError
from ecgbench.grid.selection import Selection
from ecgbench.params import flatten
from ecgbench.store.keys import plain

T = TypeVar("T")
Some = Annotated[tuple[T, ...], Field(min_length=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NoiseGrid(_Strict):
    """One noise model at some rates under some seeds."""

    name: str
    rates: Some[float] = (0.1,)
    seeds: Some[int] = (0,)
    params: dict[str, Any] = Field(default_factory=dict)

    @field_validator("rates")
    @classmethod
    def _check_rates(cls, rates: tuple[float, ...]) -> tuple[float, ...]:
        for rate in rates:
            if not 0 <= rate < 1:
                raise ValueError(f"rate {rate} is outside [0, 1): give the share of wrong labels, such as 0.1")
        return rates

    @field_validator("seeds")
    @classmethod
    def _check_seeds(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if any(not 0 <= seed < 2**63 for seed in seeds):
            raise ValueError(f"seeds {list(seeds)} must be whole numbers from 0 to 2^63 - 1")
        return seeds


class DatasetChoice(_Strict):
    """One dataset with its parameters; `n` items are drawn from it, the dataset's own default where it is None.

    `sample_seed` says which items; it may also stand among the parameters, where records write it.
    """

    name: str
    n: Annotated[int, Field(ge=1)] | Literal["all"] | None = None
    sample_seed: Annotated[int, Field(ge=0)] = 0
    params: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _take_sample_seed(cls, raw: Any) -> Any:
        params = raw.get("params") if isinstance(raw, dict) else None
        if not isinstance(params, dict) or "sample_seed" not in params:
            return raw
        others = {name: value for name, value in params.items() if name != "sample_seed"}
        return {**raw, "sample_seed": params["sample_seed"], "params": others}


class DetectorChoice(_Strict):
    """One detector with its parameters."""

    name: str
    params: dict[str, Any] = Field(default_factory=dict)


class NoiseChoice(_Strict):
    """One noise model with its parameters."""

    name: str
    params: dict[str, Any] = Field(default_factory=dict)


Range = tuple[Annotated[float, Field(allow_inf_nan=False)], Annotated[float, Field(allow_inf_nan=False)]]


class Expectation(_Strict):
    """Where a detector's metrics are expected to lie on one noise at one rate; parameters are given as in the grid.

    `ranges`: lower and upper end by metric, or by metric@cut-off, such as "precision_at_k@5%".
    """

    detector: DetectorChoice
    noise: NoiseChoice
    rate: float
    ranges: dict[str, Range] = Field(min_length=1)

    @field_validator("ranges")
    @classmethod
    def _check_ranges(cls, ranges: dict[str, Range]) -> dict[str, Range]:
        for metric, (lower, upper) in ranges.items():
            if lower > upper:
                raise ValueError(f"range [{lower}, {upper}] of {metric} ends below its start")
        return ranges

    def is_of(self, detector: Selection, noise: Selection, rate: float) -> bool:
        """Say whether it is about this detector on this noise at this rate."""
        pairs = ((self.detector, detector), (self.noise, noise))
        return rate == self.rate and all(_is_same(own, other) for own, other in pairs)


class Suite(_Strict):
    """A whole grid: datasets x noises x rates x seeds x detectors under one profile, and what is expected of it."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)
    profile: str = "embedded"
    settings: dict[str, Any] = Field(default_factory=dict)
    datasets: Some[DatasetChoice] = (DatasetChoice(name="movie_snippets"),)
    noises: Some[NoiseGrid] = (NoiseGrid(name="artifact_aligned"),)
    detectors: Literal["all"] | Some[DetectorChoice] = "all"
    expected: tuple[Expectation, ...] = ()

    def ranges_of(self, detector: Selection, noise: Selection, rate: float) -> dict[str, Range]:
        """Return the expected ranges by metric of a detector on a noise at a rate."""
        return {m: r for one in self.expected if one.is_of(detector, noise, rate) for m, r in one.ranges.items()}


def load_suite(path: Path) -> Suite:
    """Read a suite file; raises UsageError naming the file and the fault."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"suite file {str(path)!r} does not exist") from None
    except (OSError, ValueError, RecursionError) as error:  # no UTF-8, no TOML, a number or a nest without end
        raise UsageError(f"suite file {str(path)!r} cannot be read: {error}") from error
    where = f"suite file {str(path)!r}"
    suite = validate_suite(raw, where=where)
    _check_expected(suite, where=where)
    return suite


def validate_suite(raw: dict[str, Any], *, where: str) -> Suite:
    """Return the suite of plain values; raises UsageError."""
    try:
        return Suite.model_validate(raw)
    except ValidationError as error:
        # Where a word ("all") or a value may stand, the fault of the value says more.
        faults = error.errors()
        first = next((fault for fault in faults if fault["type"] != "literal_error"), faults[0])
        keys = (str(part) for part in first["loc"])
        place = ".".join(key for key in keys if key.isidentifier() or key.isdigit()) or "the file"
        raise UsageError(f"{where}: {place}: {first['msg'].removeprefix('Value error, ')}") from error


def _check_expected(suite: Suite, *, where: str) -> None:
    """Raise UsageError for an expectation that no cell of a suite file meets; options may take cells away later."""
    for position, one in enumerate(suite.expected):
        detectors = [one.detector] if suite.detectors == "all" else suite.detectors
        cells = itertools.product(detectors, suite.noises)
        if not any(one.is_of(_select(d), _select(n), one.rate) and one.rate in n.rates for d, n in cells):
            raise UsageError(
                f"{where}: expected.{position}: the grid has no {_select(one.detector)} on {_select(one.noise)} at "
                f"rate {one.rate:g}; write detector, noise and rate as they stand in the grid"
            )


def _select(choice: DetectorChoice | NoiseChoice | NoiseGrid) -> Selection:
    return Selection(choice.name, choice.params)


def _is_same(one: DetectorChoice | NoiseChoice, other: Selection) -> bool:
    return one.name == other.name and plain(flatten(one.params)) == plain(flatten(other.params))
