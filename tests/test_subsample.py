import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecgbench.data import LabeledTexts, TaskDescription
from ecgbench.errors import DataError, UsageError
from ecgbench.grid.prepare import prepare
from ecgbench.grid.suite import validate_suite
from ecgbench.plugins import load_plugins
from ecgbench.store.cache import Cache
from ecgbench.subsample import subsample

FIRST_SAMPLE = [15, 35, 48, 20, 4, 37, 22, 53, 27]


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


def test_seed_0_is_the_sample_that_published_records_used():
    assert [int(text.split()[1]) for text in subsample(build_data([0, 1, 2] * 20), 9).texts] == FIRST_SAMPLE


def test_another_seed_is_another_sample_that_its_name_tells():
    data = build_data([0, 1, 1, 1] * 50)
    plain, third, fourth = (subsample(data, 40, seed=seed) for seed in (0, 3, 4))
    assert (plain.name, third.name) == ("toy", "toy[sample_seed=3]")
    assert third.texts == subsample(data, 40, seed=3).texts
    assert len({plain.texts, third.texts, fourth.texts}) == 3
    assert plain.labels.sum() == third.labels.sum() == fourth.labels.sum() == 30
    assert subsample(build_data([0, 1], "toy[half=second]"), 1, seed=2).name == "toy[half=second,sample_seed=2]"


def build_grid(tmp_path, *datasets):
    suite = validate_suite(
        {
            "name": "samples",
            "datasets": list(datasets),
            "noises": [{"name": "none"}],
            "detectors": [{"name": "random"}],
        },
        where="the test",
    )
    return prepare(suite, load_plugins(()), Cache.open(tmp_path / "cache"))


def test_a_suite_draws_a_sample_by_seed_and_the_row_says_so(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("text,label\n" + "".join(f"t{i},{i % 2}\n" for i in range(100)))
    name = f"file:{path}"
    grid = build_grid(
        tmp_path,
        {"name": name, "n": 10},
        {"name": name, "n": 10, "sample_seed": 3},
        {"name": name, "n": 10, "params": {"sample_seed": 3}},  # as a record writes it, so the same row
    )
    assert [row.dataset.name for row in grid.rows] == ["file:rows.csv", "file:rows.csv[sample_seed=3]"]
    assert grid.rows[0].dataset.texts != grid.rows[1].dataset.texts


def test_a_sample_seed_where_nothing_is_drawn_is_refused(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("text,label\na,0\nb,1\n")
    with pytest.raises(UsageError, match="sample_seed is 3, but all 2 items"):
        build_grid(tmp_path, {"name": f"file:{path}", "sample_seed": 3})
    with pytest.raises(UsageError, match="sample_seed"):
        build_grid(tmp_path, {"name": f"file:{path}", "n": 1, "sample_seed": -1})
