import numpy as np
from corrupting import build_data, changed, corrupt
from hypothesis import given, settings
from hypothesis import strategies as st

from ecgbench_noise_models.asymmetric import AsymmetricNoise
from ecgbench_noise_models.uniform import UniformNoise

rates = st.floats(0, 0.99)


@settings(deadline=None)
@given(rates, st.integers(1, 200), st.integers(2, 6), st.integers(0, 2**32))
def test_every_wrong_label_is_the_next_class_and_the_items_are_those_of_uniform_noise(rate, n, n_classes, seed):
    data = build_data(n, n_classes)
    corruption = corrupt(AsymmetricNoise(), data, rate, seed)
    flipped = sorted(changed(data, corruption))
    assert len(flipped) == round(rate * n)
    assert (corruption.labels[flipped] == (data.labels[flipped] + 1) % n_classes).all()
    assert set(flipped) == changed(data, corrupt(UniformNoise(), data, rate, seed))


def test_of_two_classes_its_labels_are_those_of_uniform_noise_and_of_three_they_are_not():
    for n_classes, are_equal in ((2, True), (3, False)):
        data = build_data(100, n_classes)
        asymmetric, uniform = (corrupt(model, data, 0.3).labels for model in (AsymmetricNoise(), UniformNoise()))
        assert np.array_equal(asymmetric, uniform) is are_equal


@settings(deadline=None)
@given(rates, rates, st.integers(2, 6))
def test_a_smaller_rate_is_nested_in_a_larger_one(a, b, n_classes):
    data = build_data(80, n_classes)
    small, large = (changed(data, corrupt(AsymmetricNoise(), data, rate)) for rate in sorted((a, b)))
    assert small <= large
