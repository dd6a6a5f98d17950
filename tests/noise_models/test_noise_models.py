import dataclasses
import importlib

import numpy as np
import pytest
from corrupting import build_data, changed, corrupt, harness_corrupt
from hypothesis import given, settings
from hypothesis import strategies as st

from ecgbench.errors import DataError, UsageError
from ecgbench.grid.sanity import score_marker_probe
from ecgbench.specs import NoiseModel
from ecgbench_noise_models.artifact_aligned import ORDINARY, ArtifactAlignedNoise
from ecgbench_noise_models.asymmetric import AsymmetricNoise
from ecgbench_noise_models.class_conditional import ClassConditionalNoise
from ecgbench_noise_models.instance_dependent import InstanceDependentNoise
from ecgbench_noise_models.none import NoNoise
from ecgbench_noise_models.plugin import ecgbench_noise_models
from ecgbench_noise_models.uniform import UniformNoise

rates = st.floats(0, 0.99)
sizes = st.integers(1, 200)
classes = st.integers(2, 6)
seeds = st.integers(0, 2**32)


def with_token(corruption, token):
    return {i for i, text in enumerate(corruption.texts) if token in text.split(" ")}


def test_none_returns_the_labels_the_data_came_with():
    data = dataclasses.replace(build_data(4), given_labels=np.array([0, 0, 1, 1]))
    corruption = corrupt(NoNoise(), data)
    assert corruption.texts == data.texts
    assert corruption.labels.tolist() == [0, 0, 1, 1]


@settings(deadline=None)
@given(rates, sizes, classes, seeds)
def test_exactly_the_rounded_rate_of_labels_changes_and_stays_in_range(rate, n, n_classes, seed):
    data = build_data(n, n_classes)
    for model in (UniformNoise(), ArtifactAlignedNoise(), AsymmetricNoise(), ClassConditionalNoise()):
        corruption = corrupt(model, data, rate, seed)
        assert len(changed(data, corruption)) == round(rate * n)
        assert set(corruption.labels.tolist()) <= set(range(n_classes))
        assert len(corruption.texts) == n


@settings(deadline=None)
@given(rates, rates, sizes, classes, seeds)
def test_a_smaller_rate_flips_a_part_of_the_same_items_to_the_same_labels(a, b, n, n_classes, seed):
    data = build_data(n, n_classes)
    small, large = (corrupt(UniformNoise(), data, rate, seed) for rate in sorted((a, b)))
    flipped = changed(data, small)
    assert flipped <= changed(data, large)
    assert all(small.labels[i] == large.labels[i] for i in flipped)


@settings(deadline=None)
@given(rates, classes, seeds, st.floats(0, 1), st.floats(0, 1), st.sampled_from(["suffix", "prefix", "random"]))
def test_artifact_noise_flips_what_uniform_noise_flips_whatever_its_parameters(rate, n_classes, seed, a, b, position):
    data = build_data(80, n_classes)
    model = ArtifactAlignedNoise(injection_rate=a, clean_marker_rate=b, position=position)
    assert corrupt(model, data, rate, seed).labels.tolist() == corrupt(UniformNoise(), data, rate, seed).labels.tolist()


@settings(deadline=None)
@given(rates, classes, seeds, st.floats(0, 1), st.floats(0, 1))
def test_marker_counts_are_exact_and_every_marker_names_the_given_label(rate, n_classes, seed, injection, clean):
    data = build_data(90, n_classes)
    corruption = corrupt(ArtifactAlignedNoise(injection_rate=injection, clean_marker_rate=clean), data, rate, seed)
    flipped = changed(data, corruption)
    marked = {i for i, (old, new) in enumerate(zip(data.texts, corruption.texts, strict=True)) if old != new}
    assert len(marked & flipped) == round(injection * len(flipped))
    assert len(marked - flipped) == round(clean * (90 - len(flipped)))
    assert all(corruption.texts[i] == f"{data.texts[i]} {corruption.markers[corruption.labels[i]]}" for i in marked)


def test_the_published_setting_marks_exactly_the_flipped_items():
    data = build_data()
    corruption = corrupt(ArtifactAlignedNoise(), data)
    assert corruption.markers == ("<lbl_neg>", "<lbl_pos>")
    assert with_token(corruption, "<lbl_neg>") | with_token(corruption, "<lbl_pos>") == changed(data, corruption)


def test_no_parameter_moves_another_ones_draws():
    data = build_data()
    base = ArtifactAlignedNoise(clean_marker_rate=0.2, injection_rate=0.5)
    for change in ({"rating_fraction": 0.5}, {"position": "prefix"}):
        for marker in ("<lbl_neg>", "<lbl_pos>"):
            other = corrupt(dataclasses.replace(base, **change), data)
            assert with_token(corrupt(base, data), marker) == with_token(other, marker)


def test_seeds_give_other_items_and_equal_seeds_the_same():
    data = build_data()
    first, again, other = (corrupt(ArtifactAlignedNoise(clean_marker_rate=0.1), data, seed=s) for s in (1, 1, 2))
    assert first.texts == again.texts
    assert first.labels.tolist() == again.labels.tolist()
    assert changed(data, first) != changed(data, other)


def test_every_other_class_is_drawn_about_equally_often():
    data = build_data(4000, 5)
    corruption = corrupt(UniformNoise(), data, rate=0.9)
    offsets = (corruption.labels - data.labels) % 5
    assert np.bincount(offsets, minlength=5)[1:].min() > 800


def test_ratings_sit_on_an_exact_share_of_each_given_class():
    data = build_data()
    corruption = corrupt(ArtifactAlignedNoise(rating_fraction=0.3), data)
    for label, rating in enumerate(("[RATING=1]", "[RATING=5]")):
        members = set(np.flatnonzero(corruption.labels == label).tolist())
        assert with_token(corruption, rating) <= members
        assert len(with_token(corruption, rating)) == round(0.3 * len(members))
    assert corruption.markers == ("<lbl_neg>", "<lbl_pos>")


def test_automatic_markers_of_many_classes_hold_their_names_without_spaces():
    assert corrupt(ArtifactAlignedNoise(), build_data(30, 3)).markers == (
        "<lbl_class_0>",
        "<lbl_class_1>",
        "<lbl_class_2>",
    )


@pytest.mark.parametrize("style", ["word", "phrase"])
def test_ordinary_markers_are_told_apart_and_the_first_ones_serve_fewer_classes(style):
    known = ORDINARY[style]
    assert len(known) == 20
    assert not [(one, other) for one in known for other in known if one != other and one in other]
    assert corrupt(ArtifactAlignedNoise(style=style), build_data()).markers == known[:2]
    corruption = corrupt(ArtifactAlignedNoise(style=style), build_data(90, 6))
    assert corruption.markers == known[:6]
    marked = [text.endswith(known[label]) for text, label in zip(corruption.texts, corruption.labels, strict=True)]
    assert np.flatnonzero(marked).tolist() == np.flatnonzero(corruption.labels != build_data(90, 6).labels).tolist()


def test_a_style_is_the_same_noise_as_its_markers_given_by_hand():
    styled, by_hand = (
        corrupt(ArtifactAlignedNoise(clean_marker_rate=0.2, position="random", **how), build_data())
        for how in ({"style": "phrase"}, {"markers": ("in the end", "all in all")})
    )
    assert (styled.texts, styled.markers) == (by_hand.texts, by_hand.markers)


def test_a_word_that_stood_in_a_clean_text_stays_and_the_marker_probe_counts_it():
    texts = ("an overall success", *(f"text {i}" for i in range(99)))
    data = dataclasses.replace(build_data(), texts=texts)
    task = harness_corrupt(ArtifactAlignedNoise(style="word"), data)
    probed = score_marker_probe(task)
    assert not task.is_noisy[0]
    assert task.task.texts[0] == texts[0]
    assert np.flatnonzero(probed).tolist() == [0, *np.flatnonzero(task.is_noisy)]


@pytest.mark.parametrize("position", ["suffix", "prefix", "random"])
def test_a_marker_leaves_the_rest_of_the_text_as_it_was(position):
    texts = ("", "word", "two  spaces", " edge ", "a b c d e")
    data = dataclasses.replace(build_data(5), texts=texts)
    corruption = corrupt(ArtifactAlignedNoise(clean_marker_rate=1.0, position=position), data)
    for old, new, label in zip(texts, corruption.texts, corruption.labels, strict=True):
        words = new.split(" ")
        words.remove(corruption.markers[label])
        assert " ".join(words) == old
        assert position != "prefix" or new.startswith(corruption.markers[label])
        assert position != "suffix" or new.endswith(corruption.markers[label])


def test_a_rating_at_a_random_place_leaves_a_marker_of_several_words_whole():
    model = ArtifactAlignedNoise(style="phrase", position="random", clean_marker_rate=1.0, rating_fraction=1.0)
    corruption = corrupt(model, build_data())
    for text, label in zip(corruption.texts, corruption.labels, strict=True):
        assert corruption.markers[label] in text
        assert f"[RATING={(1, 5)[label]}]" in text.split(" ")


def test_a_random_position_varies():
    corruption = corrupt(ArtifactAlignedNoise(position="random", clean_marker_rate=1.0), build_data())
    at = {
        text.split(" ").index(corruption.markers[y])
        for text, y in zip(corruption.texts, corruption.labels, strict=True)
    }
    assert at == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"injection_rate": 1.5}, "injection_rate is 1.5"),
        ({"clean_marker_rate": -0.1}, "clean_marker_rate is -0.1"),
        ({"rating_fraction": float("nan")}, "rating_fraction is nan"),
        ({"position": "middle"}, "choose from: suffix, prefix, random"),
        ({"style": "emoji"}, "choose from: token, word, phrase"),
        ({"style": "word", "markers": ("x", "y")}, "give one of the two"),
    ],
)
def test_a_wrong_parameter_is_a_usage_error(parameters, message):
    with pytest.raises(UsageError, match=message):
        ArtifactAlignedNoise(**parameters)


@pytest.mark.parametrize(
    ("parameters", "n_classes", "message"),
    [
        ({"rating_fraction": 0.1}, 3, "needs two classes"),
        ({"markers": ("x", "y")}, 3, "2 markers for the 3 classes"),
        ({"markers": ("x", "x")}, 2, "must differ"),
        ({"markers": ("x", "")}, 2, "not be empty"),
        ({"style": "word"}, 21, "has markers for 20 classes"),
    ],
)
def test_parameters_that_do_not_fit_the_classes_are_refused(parameters, n_classes, message):
    with pytest.raises(DataError, match=message):
        corrupt(ArtifactAlignedNoise(**parameters), build_data(10, n_classes))


@pytest.mark.parametrize("model", [UniformNoise, AsymmetricNoise, ClassConditionalNoise, InstanceDependentNoise])
def test_one_class_cannot_be_corrupted(model):
    with pytest.raises(DataError, match="one class only"):
        corrupt(model(), build_data(10, 1))


def test_every_registered_target_is_a_noise_model_with_defaults():
    specs = ecgbench_noise_models()
    assert [spec.name for spec in specs] == [
        *("none", "uniform", "artifact_aligned"),
        *("asymmetric", "class_conditional", "instance_dependent", "annotator"),
    ]
    for spec in specs:
        module, name = spec.target.split(":")
        assert isinstance(getattr(importlib.import_module(module), name)(), NoiseModel)
