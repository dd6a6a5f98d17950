import dataclasses

import numpy as np
import pytest
from corrupting import build_data, corrupt, harness_corrupt

from ecgbench.datasets.movie_snippets import MovieSnippets
from ecgbench.errors import DataError, NotApplicableError
from ecgbench.specs import DatasetContext
from ecgbench_noise_models.annotator import AnnotatorNoise

NAN = np.nan


def with_raters(annotations, n_classes=2):
    data = build_data(len(annotations), n_classes)
    return dataclasses.replace(data, annotations=np.array(annotations, dtype=float))


def test_each_item_has_the_label_of_a_rater_who_judged_it():
    data = with_raters([[0, NAN, 2], [NAN, NAN, 1], [NAN, 2, 2], [1, 1, 1]] * 50, 3)
    labels = corrupt(AnnotatorNoise(), data).labels.reshape(50, 4)
    assert [set(column.tolist()) for column in labels.T] == [{0, 2}, {1}, {2}, {1}]


def test_every_rater_is_drawn_equally_often():
    data = with_raters([[0, NAN, 1, 2, 3]] * 4000, 4)
    assert np.bincount(corrupt(AnnotatorNoise(), data).labels) == pytest.approx(1000, abs=120)


def test_an_item_without_a_rater_keeps_its_label():
    data = with_raters([[NAN, NAN], [1, 1]] * 20)
    labels = corrupt(AnnotatorNoise(), data).labels
    assert labels[::2].tolist() == data.labels[::2].tolist()
    assert set(labels[1::2]) == {1}


def test_seeds_draw_other_raters_and_equal_seeds_the_same():
    data = with_raters([[0, 1]] * 40)
    first, again, other = (corrupt(AnnotatorNoise(), data, seed=seed).labels.tolist() for seed in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize("annotations", [None, np.empty((20, 0)), np.full((20, 3), NAN)])
def test_a_dataset_without_annotations_is_refused_in_one_line(annotations):
    data = dataclasses.replace(build_data(20), annotations=annotations)
    with pytest.raises(NotApplicableError, match="toy has none: use a dataset with annotations") as refused:
        corrupt(AnnotatorNoise(), data)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("annotations", [[[0.5, 1]], [[-1, 1]], [[2, NAN]]])
def test_annotations_that_are_no_classes_are_refused(annotations):
    with pytest.raises(DataError, match="class numbers from 0 to 1"):
        corrupt(AnnotatorNoise(), with_raters(annotations))


def test_one_rater_of_a_movie_snippet_differs_from_their_mean_about_once_in_eighteen(tmp_path):
    """Real human noise: 5.7 % over all draws, a rating of 0 read as negative; positive texts are misjudged oftener."""
    data = MovieSnippets(half="second").load(DatasetContext(tmp_path))
    heard = np.isfinite(data.annotations)
    differs = (data.annotations != data.labels[:, None]) & heard
    assert (differs.sum(axis=1) / heard.sum(axis=1)).mean() == pytest.approx(0.0567, abs=0.0001)
    for seed in range(3):
        task = harness_corrupt(AnnotatorNoise(), data, 0.0, seed)
        assert task.is_noisy.mean() == pytest.approx(0.057, abs=0.01)
        (_, to_positive), (to_negative, _) = task.transition
        assert to_positive + to_negative == task.is_noisy.sum()
        assert to_negative > to_positive
