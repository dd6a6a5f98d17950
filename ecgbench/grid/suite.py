"""Suites: the grid of a run as validated values, read from TOML or from the command line."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from ecgbench.errors import UsageError

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
        if any(seed < 0 for seed in seeds):
            raise ValueError(f"seeds {list(seeds)} must be whole numbers of at least 0")
        return seeds


class DatasetChoice(_Strict):
    """One dataset with its parameters; `n` items are drawn from it, the dataset's own default where it is None."""

    name: str
    n: Annotated[int, Field(ge=1)] | Literal["all"] | None = None
    params: dict[str, Any] = Field(default_factory=dict)


class DetectorChoice(_Strict):
    """One detector with its parameters."""

    name: str
    params: dict[str, Any] = Field(default_factory=dict)


class Suite(_Strict):
    """A whole grid: datasets x noises x rates x seeds x detectors under one profile."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)
    profile: str = "embedded"
    datasets: Some[DatasetChoice] = (DatasetChoice(name="movie_snippets"),)
    noises: Some[NoiseGrid] = (NoiseGrid(name="artifact_aligned"),)
    detectors: Literal["all"] | Some[DetectorChoice] = "all"


def load_suite(path: Path) -> Suite:
    """Read a suite file; raises UsageError naming the file and the fault."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"suite file {str(path)!r} does not exist") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"suite file {str(path)!r} cannot be read: {error}") from error
    return validate_suite(raw, where=f"suite file {str(path)!r}")


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
