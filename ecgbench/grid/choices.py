"""What is chosen of a grid, at the command line or by arguments, and the suite that comes of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ecgbench.grid.selection import Selection, parse_selection, split_list
from ecgbench.grid.suite import Suite
from ecgbench.params import merge

ALL = "all"


@dataclass(frozen=True, kw_only=True)
class GridChoices:
    """Changes to a suite; None where nothing was chosen. Values are checked when the suite is validated.

    `settings` of the profile are nested; `n` and the detectors may be `all`.
    """

    profile: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    datasets: Sequence[Selection] | None = None
    n: Any = None
    noises: Sequence[Selection] | None = None
    rates: Sequence[Any] | None = None
    seeds: Sequence[Any] | None = None
    detectors: Sequence[Selection] | None = None

    def change(self, base: Suite | None) -> dict[str, Any]:
        """Return a suite, or the default one, with the choices in it, as plain values that are to be validated."""
        raw = (base or Suite(name=self._run_name())).model_dump(mode="json")
        if self.profile and self.profile != raw["profile"]:
            raw |= {"profile": self.profile, "settings": {}}  # another profile's settings are not for this one
        raw["settings"] = merge(raw["settings"], self.settings)
        size = {} if self.n is None else {"n": self.n}
        raw["datasets"] = [entry | size for entry in _chosen(self.datasets, raw["datasets"])]
        drawn = {"rates": self.rates, "seeds": self.seeds}
        changed = {name: values for name, values in drawn.items() if values is not None}
        raw["noises"] = [entry | changed for entry in _chosen(self.noises, raw["noises"])]
        is_all = self.detectors is not None and list(self.detectors) == [Selection(ALL)]
        raw["detectors"] = ALL if is_all else _chosen(self.detectors, raw["detectors"])
        return raw

    def _run_name(self) -> str:
        """Return `movie_snippets`, or for file:data/reviews.csv `file-reviews`, which is no suite's name by chance."""
        first = self.datasets[0].name if self.datasets else "movie_snippets"
        head, _, argument = first.partition(":")
        name = f"{head}-{Path(argument).stem}" if argument else head
        return re.sub(r"[^A-Za-z0-9._-]+", "-", name)[:100].strip("-._") or "run"


def parse_selections(text: str) -> list[Selection]:
    """Read comma-separated names with their parameters; raises UsageError."""
    return [parse_selection(part) for part in split_list(text)]


def _chosen(selections: Iterable[Selection] | None, entries: Any) -> Any:
    if selections is None:
        return entries
    return [{"name": chosen.name, "params": dict(chosen.params)} for chosen in selections]
