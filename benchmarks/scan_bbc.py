"""Scan 2,000 BBC news items of which one in twenty is filed under a wrong topic, and measure what the scan finds.

The rule is fixed and knows nothing of the texts: the items are those of `bbc_news` with n = 2,000, in their order;
rows 20, 40, 60, ... get the topic that follows their own in alphabetical order, the last one the first. That is 100
rows, as many as a budget of 5 % shows. The file that is scanned holds texts and given topics, like anyone's.

    python benchmarks/scan_bbc.py OUT

writes OUT/bbc.csv, OUT/scan.csv, OUT/scan.jsonl and OUT/review.html and prints precision among the top 5 %. About
2,000 label prompts, 100 explanations in three samples and the embeddings of all texts.
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import ecgbench
from ecgbench.datasets.bbc_news import BbcNews
from ecgbench.subsample import subsample

N = 2000
EVERY = 20
SHARES = (0.01, 0.025, 0.04)


def file_topics(labels: Sequence[int], n_classes: int) -> list[int]:
    """Return the topics as they are filed: every twentieth row's is the one after its own."""
    return [(label + 1) % n_classes if row % EVERY == 0 else label for row, label in enumerate(labels, 1)]


def write_file(path: Path) -> list[str]:
    """Write texts and filed topics; return the true topic of each row."""
    data = subsample(BbcNews().load(ecgbench.DatasetContext(None)), N)
    names, truth = data.description.label_names, data.labels.tolist()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "topic"])
        filed = file_topics(truth, len(names))
        writer.writerows([text, names[label]] for text, label in zip(data.texts, filed, strict=True))
    return [names[label] for label in truth]


def report(found: ecgbench.Scan, truth: Sequence[str]) -> str:
    """Say what is among the top rows, and how often the proposed label is the true one."""
    wrong = [row for row in found.rows if row.label != truth[row.row - 1]]
    mended = [row for row in wrong if row.proposed_label == truth[row.row - 1]]
    total = len(truth) // EVERY
    share = len(found.rows) / found.n_scanned
    tops = {at: found.rows[: round(at * found.n_scanned)] for at in SHARES}
    shares = ", ".join(
        f"P@{at:.1%} = {sum(row in wrong for row in rows) / len(rows):.2f}"
        for at, rows in tops.items()
        if len(rows) == round(at * found.n_scanned)
    )
    alarms = Counter(row.label for row in found.rows if row not in wrong)
    return (
        f"{shares}; false alarms by filed topic: {dict(alarms)}\n"
        f"detector {found.detector}: P@{share:.0%} = {len(wrong) / len(found.rows):.2f}, "
        f"{len(wrong)} of {total} wrong labels among the top {len(found.rows)} of {found.n_scanned} rows; "
        f"the proposed label is the true one for {len(mended)} of these {len(wrong)}"
    )


def main() -> None:
    """Write the file, scan it and print the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--write-only", action="store_true", help="write OUT/bbc.csv and leave")
    arguments = parser.parse_args()
    truth = write_file(arguments.out / "bbc.csv")
    if arguments.write_only:
        return
    found = ecgbench.scan(
        arguments.out / "bbc.csv",
        label_column="topic",
        task="topic of the news item",
        budget="5%",
        out=arguments.out,
    )
    print(report(found, truth))


if __name__ == "__main__":
    main()
