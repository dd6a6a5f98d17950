"""Nested parameters and their dotted names say the same."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecgbench.params import flatten, merge, nest

names = st.from_regex(r"[a-z_]{1,6}", fullmatch=True)
params = st.recursive(
    st.dictionaries(names, st.integers(), max_size=3),
    lambda inner: st.dictionaries(names, st.integers() | inner, max_size=3),
    max_leaves=6,
)


@given(params)
def test_flat_names_nest_back_to_what_they_were(nested: dict[str, Any]) -> None:
    assert nest(flatten(nested).items()) == nested


@given(params)
def test_no_flat_value_holds_parameters(nested: dict[str, Any]) -> None:
    assert all(value == {} or not isinstance(value, dict) for value in flatten(nested).values())


@pytest.mark.parametrize(
    ("assignments", "nested"),
    [
        ([("k", 1), ("weights.nli", 2)], {"k": 1, "weights": {"nli": 2}}),
        ([("a.b.c", 1), ("a.b.d", 2), ("a.e", 3)], {"a": {"b": {"c": 1, "d": 2}, "e": 3}}),
        ([("a", {"b": 1}), ("a.c", 2)], {"a": {"b": 1, "c": 2}}),
        ([("a.b", 1), ("a.b", 2)], {"a": {"b": 2}}),
        ([("a", 1), ("a.b", 2)], {"a": {"b": 2}}),
        ([("a.b", 2), ("a", 1)], {"a": 1}),
    ],
)
def test_dotted_names_nest_and_the_later_value_counts(
    assignments: list[tuple[str, Any]], nested: dict[str, Any]
) -> None:
    assert nest(assignments) == nested


def test_merging_changes_neither_side() -> None:
    old, new = {"a": {"b": 1}}, {"a": {"c": 2}}
    assert merge(old, new) == {"a": {"b": 1, "c": 2}}
    assert (old, new) == ({"a": {"b": 1}}, {"a": {"c": 2}})
