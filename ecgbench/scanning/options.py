"""What is chosen of a scan: columns, detector, depth and budget."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, TypedDict

from ecgbench.errors import UsageError
from ecgbench.grid.choices import GridChoices, parse_selections
from ecgbench.grid.selection import Selection
from ecgbench.grid.suite import Suite, validate_suite
from ecgbench.params import nest


class Depth(StrEnum):
    """How much the default detector reads: `labels` the language model's label of each text, `full` all it can."""

    LABELS = "labels"
    FULL = "full"


DETECTORS = {Depth.LABELS: "ecg[graph_weight=0,classifier_weight=0]", Depth.FULL: "ecg"}
"""The detector of each depth."""
FULL_ROWS = 1000
"""Up to so many rows the depth is full where nobody says."""
BUDGET = "5%"

_SHARE = re.compile(r"(\d+(?:\.\d+)?)\s*%")


class ScanArguments(TypedDict, total=False):
    """What is said of a scan by keyword; see `ecgbench scan --help`.

    `budget`: a share of the rows such as "5%", or how many; `detector` replaces the default one, of which `depth`
    ("labels" or "full") says how much it reads; without `explain` no more is computed than the ranking.
    `settings` of the profile, nested or by dotted names: {"llm.samples": 5}.
    """

    text_column: str
    label_column: str
    task: str | None
    shots: str | Path | None
    budget: str | int
    detector: str | Selection | None
    depth: Depth | Literal["labels", "full"] | None
    explain: bool
    profile: str | None
    settings: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class ScanOptions:
    """The same with its defaults."""

    text_column: str = "text"
    label_column: str = "label"
    task: str | None = None
    shots: str | Path | None = None
    budget: str | int = BUDGET
    detector: str | Selection | None = None
    depth: str | None = None
    explain: bool = True
    profile: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what no file could make right."""
        count_budget(self.budget, 1)
        self.find_depth(1)

    def find_depth(self, n: int) -> Depth | None:
        """Return the depth for `n` rows; None where a detector was chosen; raises UsageError."""
        if self.detector is not None:
            if self.depth is not None:
                raise UsageError("--depth is of the default detector; with --detector give parameters: ecg[k=30]")
            return None
        if self.depth is None:
            return Depth.FULL if n <= FULL_ROWS else Depth.LABELS
        try:
            return Depth(self.depth)
        except ValueError:
            raise UsageError(f"--depth is {self.depth!r}; choose from: {', '.join(Depth)}") from None

    def build_suite(self, n: int) -> Suite:
        """Return profile and detector for `n` rows as a suite; raises UsageError."""
        depth = self.find_depth(n)
        chosen = self.detector if depth is None else DETECTORS[depth]
        detectors = [chosen] if isinstance(chosen, Selection) else parse_selections(str(chosen))
        if len(detectors) != 1:
            raise UsageError(f"--detector is {chosen!r}; a scan takes one, such as ecg or ecg[k=30]")
        choices = GridChoices(profile=self.profile, settings=nest(self.settings.items()), detectors=detectors)
        return validate_suite(choices.change(None), where="the scan")


def count_budget(budget: str | int, n: int) -> int:
    """Return how many of `n` rows a budget is, at least one: "5%" is a share, "200" a number; raises UsageError."""
    text = str(budget).strip()
    share = _SHARE.fullmatch(text)
    if share and 0 < float(share[1]) <= 100:
        return max(1, round(float(share[1]) / 100 * n))
    if text.isdecimal() and int(text) > 0:
        return min(int(text), n)
    raise UsageError(
        f"--budget is {text!r}; give a share of the rows such as {BUDGET}, or a number of rows such as 200"
    )
