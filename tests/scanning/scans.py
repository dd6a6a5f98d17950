"""Made-up scans, harmless and hostile."""

from __future__ import annotations

from pathlib import Path

from ecgbench.scanning.rows import Neighbour, Scan, ScannedRow

HOSTILE = "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'><!-- \u2028 {{ 7 * 7 }}"


def make_scan(
    n: int = 4, *, text: str = "a dull and slow film", labels: tuple[str, ...] = ("bad", "fine", "good")
) -> Scan:
    """Return a scan of n rows given the last label where the first is proposed; row numbers are 10, 20, ..."""
    rows = tuple(
        ScannedRow(
            rank=i + 1,
            row=10 * (i + 1),
            suspicion=float(n - i),
            label=labels[-1],
            text=f"{text} {i}",
            proposed_label=labels[0],
            confidence=0.9,
            agreement=0.5,
            evidence=("dull", "slow"),
            rationale=f"It says {text}.",
            neighbours=(Neighbour(7, labels[0], f"like it: {text}", 0.8123),),
            shortcuts=(f"token {text}",),
        )
        for i in range(n)
    )
    return Scan(
        Path("films.csv"),
        "k" * 32,
        "kind of film",
        "toy",
        "embedded",
        labels,
        100,
        rows,
        (f"found {text}",),
        (f"note {text}",),
    )
