import dataclasses

import numpy as np
import pytest
from corrupting import build_data, changed, corrupt, harness_corrupt

from ecgbench.errors import DataError
from ecgbench.testing.tasks import draw_data
from ecgbench_noise_models.instance_dependent import FOLDS, InstanceDependentNoise, predict_out_of_fold

MODEL = InstanceDependentNoise()
CLEAR, VAGUE = ("superb moving warm", "dull stale weak"), "a film about a river and a bridge"


def build_reviews(n=200):
    """Return texts that tell their class, and every fourth of which tells nothing."""
    data = build_data(n)
    texts = tuple(VAGUE if i % 4 == 0 else CLEAR[label] for i, label in enumerate(data.labels))
    return dataclasses.replace(data, texts=texts)


@pytest.mark.parametrize("n_classes", [2, 3, 4])
@pytest.mark.parametrize("n", [1, 2, 3, 7, 40])
def test_the_rate_is_exact_on_any_number_of_items(n, n_classes):
    for rate in (0.0, 0.1, 0.5, 0.99):
        assert harness_corrupt(MODEL, draw_data(n, n_classes), rate).is_noisy.sum() == round(rate * n)


def test_texts_that_tell_nothing_are_labelled_wrong_first():
    data = build_reviews()
    flipped = [changed(data, corrupt(MODEL, data, 0.1, seed)) for seed in range(5)]
    vague = np.mean([sum(i % 4 == 0 for i in items) / len(items) for items in flipped])
    assert vague > 0.5  # a quarter of the texts
    assert len(set(map(frozenset, flipped))) == 5


def test_the_wrong_label_is_the_likeliest_other_class():
    data = draw_data(60, 3)
    mixed = tuple(f"{text} otter" if label == 1 else text for text, label in zip(data.texts, data.labels, strict=True))
    data = dataclasses.replace(data, texts=mixed)  # what is of class 1 has a word of class 0
    labels = corrupt(MODEL, data, 0.99).labels
    assert np.mean(labels[data.labels == 1] == 0) > 0.9
    folds, _ = np.random.default_rng(np.random.SeedSequence(0)).spawn(2)
    probs = predict_out_of_fold(data, folds)
    probs[np.arange(60), data.labels] = -1
    wrong = sorted(changed(data, corrupt(MODEL, data, 0.99)))
    assert (labels[wrong] == probs.argmax(axis=1)[wrong]).all()


def test_an_item_is_judged_by_models_that_were_not_fitted_on_it():
    """A word that stands in one text alone tells nothing, though a model fitted on it would know its label."""
    data = dataclasses.replace(build_data(100), texts=tuple(f"word{i}" for i in range(100)))
    probs = predict_out_of_fold(data, np.random.default_rng(0))
    assert probs.sum(axis=1) == pytest.approx(1)
    assert probs == pytest.approx(np.broadcast_to(np.bincount(data.labels) / 100, (100, 2)), abs=0.05)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_smaller_rate_is_nested_in_a_larger_one_and_flips_to_the_same_labels(n_classes):
    data = draw_data(80, n_classes)
    small, large = (corrupt(MODEL, data, rate) for rate in (0.1, 0.4))
    flipped = changed(data, small)
    assert flipped < changed(data, large)
    assert all(small.labels[i] == large.labels[i] for i in flipped)


def test_equal_seeds_flip_the_same_items_and_texts_stay():
    data = draw_data(80)
    first, again = (corrupt(MODEL, data, 0.2, 5) for _ in range(2))
    assert first.labels.tolist() == again.labels.tolist()
    assert first.texts == data.texts


def test_data_of_one_class_that_could_have_two_is_corrupted_by_chance():
    labels = np.zeros(FOLDS * 4, dtype=np.int64)
    data = dataclasses.replace(draw_data(FOLDS * 4), labels=labels, given_labels=labels)
    flipped = [changed(data, corrupt(MODEL, data, 0.2, seed)) for seed in range(3)]
    assert {len(items) for items in flipped} == {4}
    assert len(set(map(frozenset, flipped))) == 3


def test_texts_without_a_word_are_refused():
    data = dataclasses.replace(build_data(4), texts=("?!", "", "...", "🎻"))
    with pytest.raises(DataError, match="needs texts with words; toy has none"):
        corrupt(MODEL, data)
