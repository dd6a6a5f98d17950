"""Movie review snippets with every rater's rating (Hutto and Gilbert, ICWSM 2014; MIT licence)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from ecgbench.data import FloatArray, LabeledTexts, Shot, TaskDescription
from ecgbench.datasets._archives import read_tar_gz, read_zip
from ecgbench.datasets._sdist import fetch_sdist
from ecgbench.errors import DataError, UsageError
from ecgbench.specs import Dataset, DatasetContext

ARCHIVE = "vaderSentiment-0.5.zip"
ARCHIVE_SHA256 = "5d97c37f3ef6e24eef331122e055dbedafeb6a56abfce0608b326701116ea49a"
INNER = "vaderSentiment-0.5/additional_resources/hutto_ICWSM_2014.tar.gz"
INNER_SHA256 = "d5bb07d87474b3eb8d30b4deccbc23f19d742a6c5718fbacc65485b70b95c5fa"
TEXTS = "hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt"
RATINGS = "hutto_ICWSM_2014/movieReviewSnippets_anonDataRatings.txt"

DESCRIPTION = TaskDescription(
    noun="sentiment of the movie review",
    label_names=("negative", "positive"),
    label_lines=(
        "the writer dislikes the movie or finds it weak",
        "the writer likes the movie or finds it worth seeing",
    ),
    text_heading="Review",
    label_heading="Sentiment",
    shots=(
        Shot(
            "A warm, quietly funny story whose two leads make every scene glow.",
            "positive",
            ("warm, quietly funny", "make every scene glow"),
            "The writer enjoys the humor and praises the actors.",
        ),
        Shot(
            "The plot goes nowhere and the jokes are painfully stale.",
            "negative",
            ("goes nowhere", "painfully stale"),
            "The writer finds the story aimless and the humor old.",
        ),
        Shot(
            "Handsome sets and a famous cast cannot save this lifeless, overlong mess.",
            "negative",
            ("cannot save", "lifeless, overlong mess"),
            "Good looks do not make up for a boring film.",
        ),
        Shot(
            "It starts slowly, but the final hour is thrilling and beautifully shot.",
            "positive",
            ("thrilling and beautifully shot",),
            "The strong ending outweighs the slow start.",
        ),
        Shot(
            "Not a single dull moment in this clever little thriller.",
            "positive",
            ("Not a single dull moment", "clever"),
            "The writer was never bored and finds the film smart.",
        ),
        Shot(
            "I wanted to laugh, but it is about as funny as a dentist appointment.",
            "negative",
            ("about as funny as a dentist appointment",),
            "The comparison says that it is not funny at all.",
        ),
        Shot(
            "Too long, too loud and too proud of itself to notice that nobody cares.",
            "negative",
            ("Too long, too loud", "nobody cares"),
            "The writer was annoyed and not moved.",
        ),
        Shot(
            "An honest, moving portrait of a family, told with real tenderness.",
            "positive",
            ("honest, moving portrait", "real tenderness"),
            "The writer was touched by how the family is shown.",
        ),
    ),
)


@dataclass(frozen=True)
class MovieSnippets(Dataset):
    """Load the snippets whose mean rating (-4 to 4) is at least `min_mean` from zero; the sign is the label.

    `half`: every other item from the first or from the second on, so that what was tuned on one half is
    reported on the other.
    The 2.4 MB archive is fetched once and checked at every use; two members are read in memory.
    """

    min_mean: float = 0.5
    half: Literal["first", "second"] | None = None

    def __post_init__(self) -> None:
        if not 0 < self.min_mean < 4:
            raise UsageError(f"movie_snippets.min_mean is {self.min_mean}; give a mean rating above 0 and below 4")

    def load(self, context: DatasetContext) -> LabeledTexts:
        """Return texts, labels and raters' labels (n, 29), 1 = positive; DataError without the archive.

        A rating is read as the mean is: above 0 it is positive, so a rater's 0 is negative.
        """
        folder = Path(context.folder)
        path = fetch_sdist(
            "vaderSentiment", "0.5", archive=ARCHIVE, sha256=ARCHIVE_SHA256, folder=folder, offline=context.offline
        )
        texts_file, ratings_file = _read_members(path)
        texts = [line.split("\t")[2] for line in texts_file.splitlines()]
        ratings = _parse_ratings(ratings_file)
        means = np.nanmean(ratings, axis=1)
        kept = np.flatnonzero(np.abs(means) >= self.min_mean)
        if self.half is not None:
            kept = kept[self.half == "second" :: 2]  # the file is sorted by label
        return LabeledTexts(
            name="movie_snippets" if self.half is None else f"movie_snippets[half={self.half}]",
            texts=tuple(texts[i] for i in kept),
            labels=(means[kept] > 0).astype(np.int64),
            description=DESCRIPTION,
            annotations=np.where(np.isnan(ratings), np.nan, ratings > 0)[kept],
        )


def _read_members(path: Path) -> tuple[str, str]:
    inner = read_zip(path, INNER)
    if hashlib.sha256(inner).hexdigest() != INNER_SHA256:
        raise DataError(f"{INNER} in {path} is not the expected file: delete {path} and run `ecgbench fetch`")
    texts, ratings = read_tar_gz(inner, (TEXTS, RATINGS), where=INNER)
    return texts.decode("utf-8"), ratings.decode("utf-8")


def _parse_ratings(file: str) -> FloatArray:
    rows = [line.split("\t")[3].strip("[]").split(",") for line in file.splitlines()]
    ratings = np.full((len(rows), max(map(len, rows))), np.nan)
    for i, row in enumerate(rows):
        ratings[i, : len(row)] = [float(rating) for rating in row]
    return ratings
