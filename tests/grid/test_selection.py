"""What is written is read back; what cannot be read says so."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecgbench.errors import UsageError
from ecgbench.grid.selection import Selection, parse_selection, parse_value, render_value, split_list

names = st.from_regex(r"[a-z_][a-z0-9_]{0,10}(:[A-Za-z0-9 ./_-]*[a-z0-9])?", fullmatch=True)
strings = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
scalars = st.booleans() | st.integers() | st.floats(allow_nan=False) | strings
values = scalars | st.lists(scalars, max_size=4)
keys = st.from_regex(r"[a-z_]{1,9}", fullmatch=True)
params = st.dictionaries(keys, values | st.dictionaries(keys, values | st.dictionaries(keys, values)))
selections = st.builds(Selection, names, params)


def typed(value: Any) -> Any:
    """Tell 1 from 1.0 and True, which are equal in Python."""
    if isinstance(value, dict):
        return {key: typed(item) for key, item in value.items()}
    return [typed(item) for item in value] if isinstance(value, list) else (type(value), value)


@given(values)
def test_a_value_is_read_back_as_it_was_written(value: Any) -> None:
    assert typed(parse_value(render_value(value))) == typed(value)


@given(selections)
def test_a_selection_is_read_back_as_it_was_written(selection: Selection) -> None:
    found = parse_selection(str(selection))
    assert found.name == selection.name
    assert typed(found.params) == typed(selection.params)


@given(st.lists(selections, max_size=4))
def test_a_list_is_split_into_the_selections_it_was_joined_from(chosen: list[Selection]) -> None:
    assert list(split_list(",".join(map(str, chosen)))) == [str(selection) for selection in chosen]


NESTED = "input_knn[k=3,weights=uniform]"


@pytest.mark.parametrize(
    ("text", "name", "params"),
    [
        ("ecg", "ecg", {}),
        (" ecg[ k = 30 , mode=pmi ] ", "ecg", {"k": 30, "mode": "pmi"}),
        ("ecg[]", "ecg", {}),
        ("a[on=true,rate=.5,share=0.5]", "a", {"on": True, "rate": ".5", "share": 0.5}),
        ('a[markers=["x, y", "]"],position=suffix]', "a", {"markers": ["x, y", "]"], "position": "suffix"}),
        ("a[quote='it is \"so\"']", "a", {"quote": 'it is "so"'}),
        (r'a[quote="say \"a,b\""]', "a", {"quote": 'say "a,b"'}),
        ("ecg[weights.nli=0, k=3,weights.artifact=.5]", "ecg", {"weights": {"nli": 0, "artifact": ".5"}, "k": 3}),
        ("ecg[weights={nli=0},weights.artifact=1.0]", "ecg", {"weights": {"nli": 0, "artifact": 1.0}}),
        ('ecg[known_artifacts=["<a>","<b>"]]', "ecg", {"known_artifacts": ["<a>", "<b>"]}),
        ("borda[members=[loss, input_knn[k=3,weights=uniform],1]]", "borda", {"members": ["loss", NESTED, 1]}),
        ("a[x=[b], y=[[b, 2], []]]", "a", {"x": ["b"], "y": [["b", 2], []]}),
        ("file:my data/reviews.csv", "file:my data/reviews.csv", {}),
        ('file:"a,b [1].csv"[task="x"]', "file:a,b [1].csv", {"task": "x"}),
        ("file:'it is \"so\".csv'", 'file:it is "so".csv', {}),
    ],
)
def test_what_people_type_is_read(text: str, name: str, params: dict[str, Any]) -> None:
    assert parse_selection(text) == Selection(name, params)


@pytest.mark.parametrize("text", ["", "[k=3]", "ecg[k=3", "ecg[k]", "ecg[=3]", "ecg]"])
def test_what_cannot_be_read_is_refused_with_its_text(text: str) -> None:
    with pytest.raises(UsageError, match="cannot read"):
        parse_selection(text)


@pytest.mark.parametrize("text", ["a[b", "a]b", 'a["b]', "a['b]"])
def test_an_open_bracket_or_quote_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="unbalanced"):
        list(split_list(text))


def test_a_value_cannot_smuggle_in_a_second_key() -> None:
    assert parse_value("1\nother = 2") == "1\nother = 2"


@pytest.mark.parametrize("text", ["[a", "a]", "[a]b", "[a]b]", "[a, [b]", '["a]', "[" * 5_000 + "]" * 5_000])
def test_what_is_no_list_is_plain_text(text: str) -> None:
    assert parse_value(text) == text


def test_parameters_print_in_order_of_name() -> None:
    assert str(Selection("a", {"z": 1, "b": "x y"})) == 'a[b="x y",z=1]'


def test_parameters_inside_a_parameter_print_by_dotted_name() -> None:
    params = {"weights": {"nli": 0.0, "artifact": {"deep": 1}}, "aggregation": "fixed", "known": ("<a>", "b")}
    assert str(Selection("ecg", params)) == (
        'ecg[aggregation=fixed,known=["<a>", "b"],weights.artifact.deep=1,weights.nli=0.0]'
    )
