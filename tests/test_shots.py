"""Examples drawn from data are typical, disjoint, deterministic and never their own item's."""

import numpy as np
import pytest

from ecgbench.data import Shot, TaskDescription
from ecgbench.shots import ShotSets, draw_shots

DESCRIPTION = TaskDescription(noun="kind of the sentence", label_names=("pets", "cars"))
PETS = ["the cat sleeps", "a dog barks", "my cat purrs", "the puppy barks", "a kitten sleeps", "cat and dog play"]
CARS = ["the engine roars", "a car brakes", "fast car wheels", "the engine stops", "new wheels roll", "car engine oil"]


@pytest.fixture
def items():
    """Two clear clusters, six items a class."""
    texts = [text for pair in zip(PETS, CARS, strict=True) for text in pair]
    labels = np.array([0, 1] * 6)
    rng = np.random.default_rng(0)
    vectors = np.where(labels[:, None] == 0, [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]) + rng.normal(0, 0.05, (12, 3))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return texts, labels, vectors


def draw(texts, labels, vectors, per_class=2):
    return draw_shots(texts, labels, vectors, DESCRIPTION, per_class=per_class, shot_words=10)


def test_sets_are_disjoint_and_hold_each_class_in_turn(items):
    sets = draw(*items)
    assert [shot.label for shot in sets.primary] == ["pets", "cars", "pets", "cars"]
    assert [shot.label for shot in sets.reserve] == ["pets", "cars", "pets", "cars"]
    assert not {shot.text for shot in sets.primary} & {shot.text for shot in sets.reserve}


def test_drawing_twice_gives_the_same_sets(items):
    assert draw(*items) == draw(*items)


def test_wrong_label_inside_the_other_cluster_is_not_drawn(items):
    texts, labels, vectors = items
    labels = labels.copy()
    labels[0] = 1
    sets = draw(texts, labels, vectors, per_class=1)
    assert texts[0] not in {shot.text for shot in sets.primary + sets.reserve}


def test_duplicates_are_drawn_once_and_never_with_two_labels(items):
    texts, labels, vectors = items
    texts = [*texts, texts[0], texts[1]]
    labels = np.append(labels, [0, 0])
    vectors = np.concatenate([vectors, vectors[:2]])
    sets = draw(texts, labels, vectors, per_class=3)
    drawn = [shot.text for shot in sets.primary + sets.reserve]
    assert len(drawn) == len(set(drawn))
    assert texts[1] not in drawn


def test_evidence_stands_in_the_text_and_reason_names_no_label(items):
    for shot in draw(*items).primary:
        assert all(span in shot.text for span in shot.evidence)
        assert not set(shot.reason.lower().replace(".", "").split()) & {"pets", "cars"}


def test_evidence_of_a_long_example_lies_in_what_the_prompt_shows(items):
    texts, labels, vectors = items
    texts = [f"{'more ' * 30}{text} {'more ' * 30}end" for text in texts]
    assert {span for shot in draw(texts, labels, vectors).primary for span in shot.evidence} <= {"more", "end"}


@pytest.mark.parametrize("tail", ["", " more" * 50])
def test_an_item_never_appears_in_its_own_prompt(items, tail):
    texts, labels, vectors = items
    texts = [text + tail for text in texts]
    sets = draw(texts, labels, vectors)
    assert all(shot.text != text for text in texts for shot in sets.for_text(text))
    assert any(shot.text in texts for shot in sets.primary)


def test_without_reserve_only_the_item_itself_is_left_out():
    shots = (Shot("a", "pets", ("a",), "r"), Shot("b  c", "cars", ("b",), "r"))
    assert ShotSets(shots).for_text("b c") == shots[:1]
    assert ShotSets(shots).for_text("d") == shots


def test_class_with_one_item_is_drawn_once(items):
    texts, labels, vectors = items
    keep = [0, 1, 3, 5, 7]
    sets = draw([texts[i] for i in keep], labels[keep], vectors[keep])
    assert sum(shot.label == "pets" for shot in sets.primary + sets.reserve) == 1
