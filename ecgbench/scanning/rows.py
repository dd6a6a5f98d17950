"""What a scan says: of the file, and of each row that is to be reviewed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A row with a similar text and another label; `similarity` is the cosine of the texts' embeddings."""

    row: int
    label: str
    text: str
    similarity: float


@dataclass(frozen=True, slots=True)
class ScannedRow:
    """A row of the file with what speaks against its label.

    `row` counts the file's data rows from 1. `proposed_label` is the one the language model finds likeliest, its
    preference for some label taken out, `confidence` its probability. `agreement` is the share of the drawn
    explanations that state it. `outlier` is the share of all scanned rows whose explanation lies less far out (1 - the
    mean similarity to the 5 nearest), `ease` the share whose given label a classifier learned with less ease (area
    under the margin). `evidence` are exact parts of the text. What was not computed, or got no valid answer, is None or
    empty.
    """

    rank: int
    row: int
    suspicion: float
    label: str
    text: str
    proposed_label: str | None = None
    confidence: float | None = None
    agreement: float | None = None
    outlier: float | None = None
    ease: float | None = None
    evidence: tuple[str, ...] = ()
    rationale: str = ""
    neighbours: tuple[Neighbour, ...] = ()
    shortcuts: tuple[str, ...] = ()

    def as_fields(self) -> dict[str, Any]:
        """Return what scan.jsonl holds of it, in that order."""
        return {
            "rank": self.rank,
            "row": self.row,
            "suspicion": self.suspicion,
            "label": self.label,
            "proposed_label": self.proposed_label,
            "confidence": self.confidence,
            "agreement": self.agreement,
            "outlier": self.outlier,
            "ease": self.ease,
            "text": self.text,
            "evidence": list(self.evidence),
            "rationale": self.rationale,
            "neighbours": [neighbour.row for neighbour in self.neighbours],
            "shortcuts": list(self.shortcuts),
        }


COLUMNS = tuple(ScannedRow(0, 0, 0.0, "", "").as_fields())
"""The columns of scan.csv."""


@dataclass(frozen=True, eq=False)
class Scan:
    """The most suspicious rows of a file, the most suspicious first; rows of equal suspicion stand in file order.

    `n_scanned` rows were ranked. `findings` is what the detector found on the way, `notes` what to know of the file
    and of how it was scanned. `key` is the digest of the file and of the columns that were read.
    """

    path: Path
    key: str
    label_column: str
    detector: str
    profile: str
    label_names: tuple[str, ...]
    n_scanned: int
    rows: tuple[ScannedRow, ...]
    findings: tuple[str, ...]
    notes: tuple[str, ...]
