"""Made-up texts whose words tell the class, with wrong labels planted among them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ecgbench.data import BoolArray, DetectionTask, IntArray, LabeledTexts, Shot, TaskDescription

CLASS_WORDS = {
    "animals": ("otter", "heron", "badger", "lynx", "marten"),
    "weather": ("drizzle", "thunder", "frost", "breeze", "hail"),
    "music": ("violin", "melody", "choir", "trumpet", "rhythm"),
    "cooking": ("butter", "oven", "garlic", "simmer", "dough"),
}
"""The classes of the kit's tasks, in their order, and the words that tell each."""
CLASS_OF = {word: place for place, words in enumerate(CLASS_WORDS.values()) for word in words}
PLAIN_WORDS = (
    *("table", "window", "morning", "street", "paper", "garden", "letter", "river", "corner", "bridge"),
    *("pocket", "ladder", "market", "candle", "button", "village", "number", "picture", "station", "basket"),
    *("blue", "narrow", "quiet", "heavy", "early", "wooden", "distant", "little", "round", "empty"),
)
"""Words that tell nothing."""
ODD_TEXTS = (
    *(
        "",
        " ",
        "\n\t",
        "\0",
        "?!",
        "😀🎻👩‍🍳",
        "e\u0301te\u0301 \ufeff",
        "שלום עולם",
        "\u202eabc",
        "中文没有空格",
        "İ ß ﬃ",
    ),
    *('"quoted", <b>tag</b>', "otter " * 400),
)
"""Texts that break code which takes words for granted."""


@dataclass(frozen=True, eq=False)
class PlantedTask:
    """A task of made-up texts, and which of its given labels are wrong: bool, shape (n,)."""

    task: DetectionTask
    is_wrong: BoolArray


def draw_data(n: int = 40, n_classes: int = 2, seed: int = 0) -> LabeledTexts:
    """Return n different texts with true labels, the classes about equally often, in random order.

    Of three raters the first two are right, and the third gives each item the next class.
    """
    rng = np.random.default_rng([seed, n, n_classes])
    labels = rng.permutation(np.arange(n) % n_classes)
    texts = tuple(_draw_text(rng, tuple(CLASS_WORDS.values())[label], i) for i, label in enumerate(labels))
    raters = np.stack([labels, labels, (labels + 1) % n_classes], axis=1)
    return LabeledTexts("made_up", texts, labels, describe_classes(n_classes), annotations=raters)


def plant_task(n: int = 40, n_classes: int = 2, *, share: float = 0.2, seed: int = 0) -> PlantedTask:
    """Return a task with `share` of its labels turned into another class; its texts tell the true one."""
    data = draw_data(n, n_classes, seed)
    rng = np.random.default_rng([seed, n, n_classes, 1])
    is_wrong = np.zeros(n, dtype=np.bool_)
    is_wrong[rng.permutation(n)[: round(share * n)]] = True
    labels = np.where(is_wrong, (data.labels + rng.integers(1, n_classes, size=n)) % n_classes, data.labels)
    return PlantedTask(DetectionTask(data.texts, labels, data.description), is_wrong)


def take_items(task: DetectionTask, places: IntArray) -> DetectionTask:
    """Return the items at these places, in that order."""
    return DetectionTask(tuple(task.texts[i] for i in places), task.labels[places], task.description)


def describe_classes(n_classes: int) -> TaskDescription:
    """Say what the first classes are, with one worked example each."""
    chosen = list(CLASS_WORDS.items())[:n_classes]
    shots = tuple(
        Shot(f"A {words[0]} and {words[1]} near the old mill.", name, words[:2], f"It speaks of {words[0]}.")
        for name, words in chosen
    )
    return TaskDescription("subject of the text", tuple(name for name, _ in chosen), shots=shots)


def _draw_text(rng: np.random.Generator, telling: tuple[str, ...], number: int) -> str:
    words = [*rng.choice(PLAIN_WORDS, size=6, replace=False), *rng.choice(telling, size=2, replace=False)]
    return " ".join([*(str(word) for word in rng.permutation(words)), f"no{number}"])
