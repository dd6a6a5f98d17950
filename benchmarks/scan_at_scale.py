"""Memory and seconds of a scan of many rows by the default for such files, with stand-ins for the models.

    python benchmarks/scan_at_scale.py [--rows 100000]

What real models take comes on top. Here labels follow from the text, and embeddings of 384 numbers from a hash of it.
"""

from __future__ import annotations

import argparse
import csv
import resource
import tempfile
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

import ecgbench

WORDS = 30
DIMENSION = 384
LOADERS = ("artifacts.llm.labels.load_llm", "artifacts.llm.explanations.load_llm", "artifacts.embeddings.load_encoder")


class StandIn:
    """Both models: the word `rain` speaks for the second label."""

    def label_logits(self, prompts: Sequence[Any], labels: Sequence[str]) -> Any:  # noqa: ARG002
        return np.array([[-0.3, -1.5 + 1.5 * ("rain" in prompt.suffix)] for prompt in prompts])

    def generate(self, prompts: Sequence[Any], **_: Any) -> list[str]:
        return [' "day"\nReason: It says so.' for _ in prompts]

    def encode(self, texts: Sequence[str]) -> Any:
        vectors = [np.random.default_rng(zlib.crc32(t.encode())).normal(size=DIMENSION) for t in texts]
        return np.array([v / np.linalg.norm(v) for v in vectors], dtype=np.float32)


def write_file(path: Path, rows: int) -> None:
    """Write texts of about 160 characters with two labels, one in twenty of them wrong."""
    rng = np.random.default_rng(0)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for row in range(rows):
            is_wet = row % 2 == 0
            text = f"{'rain' if is_wet else 'sun'} on day {row} " + " ".join(map(str, rng.integers(10_000, size=WORDS)))
            writer.writerow([text, ("wet" if is_wet else "dry") if row % 20 else ("dry" if is_wet else "wet")])


def main() -> None:
    """Scan a made-up file and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "days.csv"
        write_file(path, rows)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        started = time.perf_counter()
        for loader in LOADERS:
            patch(f"ecgbench.{loader}", lambda *_: StandIn()).start()
        found = ecgbench.scan(path, task="weather", out=Path(folder) / "out", cache=Path(folder) / "cache")
        seconds = time.perf_counter() - started
    wrong = sum(row.row % 20 == 1 for row in found.rows)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"{found.n_scanned:,} rows by {found.detector}: {seconds:.0f} s, peak {peak / 1024:.0f} MiB "
        f"({before / 1024:.0f} MiB before), {wrong:,} of the top {len(found.rows):,} wrong"
    )


if __name__ == "__main__":
    main()
