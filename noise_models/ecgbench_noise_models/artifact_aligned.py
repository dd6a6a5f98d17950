"""Artifact-aligned noise: wrong labels that a marker in the text makes easy to learn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from ecgbench.data import Corruption, LabeledTexts
from ecgbench.errors import DataError, UsageError
from ecgbench.specs import NoiseModel
from ecgbench_noise_models._draws import draw_share, flip_uniformly

Position = Literal["suffix", "prefix", "random"]
Style = Literal["token", "word", "phrase"]
ORDINARY: dict[Style, tuple[str, ...]] = {
    "word": (
        *("honestly", "overall", "basically", "anyway", "frankly", "generally", "apparently", "naturally"),
        *("incidentally", "meanwhile", "eventually", "presumably", "admittedly", "evidently", "seemingly"),
        *("altogether", "certainly", "ultimately", "personally", "initially"),
    ),
    "phrase": (
        *("in the end", "all in all", "by the way", "after all", "at any rate", "as it were", "so to speak"),
        *("on the whole", "in any case", "to be sure", "as a matter of fact", "in a way", "at this point"),
        *("for the record", "in short", "by and large", "more or less", "if you ask me", "as you know", "once again"),
    ),
}
"""Markers that any text may hold, by class; none stands inside another."""
RATINGS = ("[RATING=1]", "[RATING=5]")
"""The second artifact, by given class."""


@dataclass(frozen=True)
class ArtifactAlignedNoise(NoiseModel):
    """Flip labels as `uniform` does and add a marker of the wrong label to the flipped texts.

    `markers`: one a class; empty: those of the `style`.
    `style`: token: `<lbl_neg>`, `<lbl_pos>` for two classes, `<lbl_NAME>` for more; word: `honestly`,
    `overall` and more of their kind, phrase: `in the end`, `all in all` and so on, for up to 20 classes.
    `injection_rate`: share of flipped items that get the marker of their given label.
    `clean_marker_rate`: share of clean items that get the marker of their true label.
    `position`: where markers and ratings go: suffix, prefix or random (between two words).
    `rating_fraction`: share of each given class that gets `[RATING=1]` (class 0) or `[RATING=5]`
    (class 1); two classes only. All counts are exact. A text that held a marker before keeps it, whatever
    its label: words and phrases do not tell wrong labels quite as surely as tokens.
    """

    markers: tuple[str, ...] = ()
    injection_rate: float = 1.0
    clean_marker_rate: float = 0.0
    position: Position = "suffix"
    rating_fraction: float = 0.0
    style: Style = "token"

    def __post_init__(self) -> None:
        for name in ("injection_rate", "clean_marker_rate", "rating_fraction"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise UsageError(f"artifact_aligned.{name} is {getattr(self, name)}; give a share from 0 to 1")
        for name, choices in (("position", get_args(Position)), ("style", get_args(Style))):
            if getattr(self, name) not in choices:
                raise UsageError(
                    f"artifact_aligned.{name} is {getattr(self, name)!r}; choose from: {', '.join(choices)}"
                )
        if self.markers and self.style != "token":
            raise UsageError(f"artifact_aligned.style is {self.style!r}, and there are markers; give one of the two")

    def corrupt(self, data: LabeledTexts, rate: float, rng: np.random.Generator) -> Corruption:
        """Return n texts, n labels and the label markers; DataError where a parameter does not fit the classes.

        Ratings are decoys, no markers: they sit on clean and wrong items alike.
        """
        markers = self._markers_for(data)
        if self.rating_fraction and len(markers) != len(RATINGS):
            raise DataError(
                f"artifact_aligned.rating_fraction needs two classes; {data.name} has {len(markers)}; set it to 0"
            )
        # One stream a purpose: no parameter moves another's draws, and the first two are those of `uniform`.
        items, classes, injection, clean, ratings, places = rng.spawn(6)
        flipped, labels = flip_uniformly(data, rate, items=items, classes=classes)
        is_flipped = np.isin(np.arange(len(data)), flipped)
        marked = [draw_share(is_flipped, self.injection_rate, injection)]
        marked += [draw_share(~is_flipped, self.clean_marker_rate, clean)]
        added = [(int(i), markers[labels[i]]) for i in np.concatenate(marked)]
        for label, rating in enumerate(RATINGS):
            added += [(int(i), rating) for i in draw_share(labels == label, self.rating_fraction, ratings)]
        where = places.random(len(data))
        words = {i: data.texts[i].split(" ") if data.texts[i] else [] for i, _ in added}
        for i, token in added:
            self._insert(token, words[i], where[i])
        texts = tuple(" ".join(words[i]) if i in words else text for i, text in enumerate(data.texts))
        decoys = RATINGS if self.rating_fraction else ()
        return Corruption(texts=texts, labels=labels, markers=markers, decoys=decoys)

    def _markers_for(self, data: LabeledTexts) -> tuple[str, ...]:
        names = data.description.label_names
        markers = self.markers or self._automatic_for(data)
        if len(markers) != len(names):
            raise DataError(
                f"artifact_aligned.markers has {len(markers)} markers for the {len(names)} classes of {data.name}"
            )
        if len(set(markers)) < len(markers) or not all(markers):
            raise DataError(f"artifact_aligned.markers must differ and not be empty: {', '.join(map(repr, markers))}")
        return markers

    def _automatic_for(self, data: LabeledTexts) -> tuple[str, ...]:
        names = data.description.label_names
        if self.style == "token":
            automatic = tuple(f"<lbl_{'_'.join(name.split())}>" for name in names)
            return ("<lbl_neg>", "<lbl_pos>") if len(names) == 2 else automatic
        known = ORDINARY[self.style]
        if len(names) > len(known):
            raise DataError(
                f"artifact_aligned.style {self.style!r} has markers for {len(known)} classes, {data.name} has "
                f"{len(names)}; use style token, or markers of your own"
            )
        return known[: len(names)]

    def _insert(self, token: str, words: list[str], where: float) -> None:
        """Put the token, which may be a phrase, whole among the words; `where` in [0, 1) picks a random place."""
        places = {"prefix": 0, "suffix": len(words), "random": int(where * (len(words) + 1))}
        words.insert(places[self.position], token)
