import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecgbench.data import LabeledTexts, TaskDescription
from ecgbench.errors import DataError
from ecgbench.subsample import subsample


def build_data(labels, name="toy"):
    names = tuple(map(str, range(max(labels) + 1)))
    texts = tuple(f"text {i}" for i in range(len(labels)))
    return LabeledTexts(name=name, texts=texts, labels=np.array(labels), description=TaskDescription("topic", names))


label_lists = st.lists(st.integers(0, 4), min_size=1, max_size=120)


@settings(deadline=None)
@given(label_lists, st.data())
def test_a_sample_has_n_items_and_lies_in_every_larger_sample(labels, draw):
    data = build_data(labels)
    small, large = sorted(draw.draw(st.tuples(*[st.integers(1, len(labels))] * 2)))
    sample = subsample(data, small).texts
    assert len(set(sample)) == small
    assert set(sample) <= set(subsample(data, large).texts)


@settings(deadline=None)
@given(st.lists(st.integers(0, 1), min_size=2, max_size=120), st.data())
def test_two_classes_keep_their_shares_to_the_item(labels, draw):
    n = draw.draw(st.integers(1, len(labels)))
    share = n * sum(labels) / len(labels)
    assert abs(subsample(build_data(labels), n).labels.sum() - share) < 1


def test_labels_stay_with_their_texts_in_a_shuffled_order():
    data = build_data([0] * 50 + [1] * 50)
    sample = subsample(data, None)
    assert sorted(sample.texts) == sorted(data.texts)
    assert sample.texts != data.texts
    assert all(
        data.labels[int(text.split()[1])] == label for text, label in zip(sample.texts, sample.labels, strict=True)
    )


def test_the_sample_is_fixed_by_name_and_size():
    labels = [0, 1] * 50
    assert subsample(build_data(labels), 20).texts == subsample(build_data(labels), 20).texts
    assert subsample(build_data(labels), 20).texts != subsample(build_data(labels, "other"), 20).texts


@pytest.mark.parametrize("n", [0, -1, 11])
def test_an_n_outside_the_data_names_both_numbers(n):
    with pytest.raises(DataError, match=rf"n is {n}, but dataset 'toy' has 10 items"):
        subsample(build_data([0, 1] * 5), n)
