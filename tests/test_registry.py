"""Registries: names lead to specs, to classes only on use, and a wrong parameter is named."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecgbench.errors import EcgbenchError, MissingPackageError, UnknownNameError, UsageError
from ecgbench.grid.selection import Selection, parse_selection
from ecgbench.registry import Registered, Registry, missing_modules
from ecgbench.specs import DetectorSpec


@dataclass(frozen=True)
class Tunable:
    """Stand for a detector with parameters."""

    k: int = 15
    share: float = 0.5
    mode: Literal["one", "two"] = "one"
    markers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.k < 1:
            raise UsageError(f"k is {self.k}; give at least 1")
        if self.share > 1:
            raise ValueError("share is above 1")


@dataclass(frozen=True)
class Limits:
    """Stand for what a parameter inside a parameter holds."""

    low: float = 0.0
    high: float = 9.0

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise UsageError(f"low is {self.low}; give at most {self.high}")


@dataclass(frozen=True)
class Weights:
    """Stand for parameters inside a parameter."""

    nli: float = 0.3
    artifact: float = 0.1
    words: tuple[str, ...] = ()
    limits: Limits = Limits()


@dataclass(frozen=True)
class Nested:
    """Stand for a detector with parameters inside a parameter, whose defaults are its own, not their class's."""

    k: int = 15
    weights: Weights = Weights(artifact=0.2, limits=Limits(high=2.0))
    more: Limits | None = None


def register(target: str = f"{__name__}:Tunable", **more: Any) -> Registered[DetectorSpec]:
    return Registered(DetectorSpec("tunable", target, "a stand-in", **more), "plugin", "dist", "1.0")


def test_an_unknown_name_offers_the_nearest() -> None:
    registry = Registry("detector", [register()])
    assert registry.names == ("tunable",)
    assert len(registry) == len(list(registry)) == 1
    with pytest.raises(UnknownNameError, match=r"^unknown detector 'tunabel'\. Did you mean: tunable\?$"):
        registry["tunabel"]


def test_a_name_like_none_lists_all() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown detector 'xyz'\. Choose from: tunable\."):
        Registry("detector", [register()])["xyz"]


def test_parameters_are_validated_and_converted() -> None:
    built = register().build({"k": "30", "markers": ["a", "b"], "mode": "two"})
    assert built == Tunable(k=30, markers=("a", "b"), mode="two")
    assert register().parameters() == {"k": 15, "share": 0.5, "mode": "one", "markers": ()}


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"k": "many"}, "tunable: parameter k = 'many': .*integer"),
        ({"mode": "three"}, "tunable: parameter mode = 'three': .*'one' or 'two'"),
        ({"kk": 1}, "unknown parameter of tunable 'kk'. Did you mean: k?"),
        ({"k": 0}, "k is 0; give at least 1"),
        ({"share": 2}, "share is above 1"),
    ],
)
def test_a_wrong_parameter_is_named(params: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        register().build(params)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("params", "changed"),
    [({}, {}), ({"k": 15, "share": 0.5}, {}), ({"k": 3, "share": "0.5"}, {"k": 3}), ({"share": 1}, {"share": 1.0})],
)
def test_only_parameters_off_their_defaults_count_and_equal_ones_are_equal(
    params: dict[str, Any], changed: dict[str, Any]
) -> None:
    found = register().changed(params)
    assert found == changed
    assert {key: type(value) for key, value in found.items()} == {key: type(value) for key, value in changed.items()}


NESTED = f"{__name__}:Nested"


def test_what_is_not_given_inside_a_parameter_keeps_the_default_of_that_parameter() -> None:
    built = register(NESTED).build({"weights": {"nli": 0, "limits": {"low": 1}}})
    assert built == Nested(weights=Weights(nli=0.0, artifact=0.2, limits=Limits(low=1.0, high=2.0)))
    assert type(built.weights.nli) is float


@pytest.mark.parametrize(
    "params",
    [
        {"weights": {"nli": 0, "words": ["<a>", "b"]}},
        {"weights.nli": 0.0, "weights.words": ("<a>", "b")},
        {"weights": {"nli": "0", "artifact": 0.2}, "weights.words": ["<a>", "b"], "k": 15},
        {"weights": {"nli": 0, "words": ["<a>", "b"], "limits": {"high": 2}}},
    ],
)
def test_two_spellings_of_one_choice_change_the_same(params: dict[str, Any]) -> None:
    found = register(NESTED).changed(params)
    assert found == {"weights": {"nli": 0.0, "words": ("<a>", "b")}}
    assert type(found["weights"]["nli"]) is float


@pytest.mark.parametrize("params", [{"weights": {}}, {"weights": {"limits": {"high": 2}}}, {"weights": {"nli": 0.3}}])
def test_defaults_inside_a_parameter_change_nothing(params: dict[str, Any]) -> None:
    assert register(NESTED).changed(params) == {}


@settings(deadline=None)  # building a validator takes its time
@given(
    st.floats(0, 1), st.floats(0, 1), st.lists(st.text("ab<>,[]{} .=\"'", max_size=5), max_size=3), st.integers(1, 20)
)
def test_a_name_with_parameters_is_parsed_to_the_same_choice(nli: float, low: float, words: list[str], k: int) -> None:
    entry = register(NESTED)
    chosen = entry.changed({"k": k, "weights": {"nli": nli, "words": words, "limits": {"low": low}}})
    read = parse_selection(str(Selection("tunable", chosen)))
    assert entry.changed(read.params) == chosen
    assert entry.build(read.params) == entry.build(chosen)


def test_parameters_inside_a_parameter_are_listed_by_dotted_name() -> None:
    assert register(NESTED).parameters() == {
        "k": 15,
        "weights.nli": 0.3,
        "weights.artifact": 0.2,
        "weights.words": (),
        "weights.limits.low": 0.0,
        "weights.limits.high": 2.0,
        "more": None,
    }


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"weights": {"nly": 0}}, "unknown parameter of tunable 'weights.nly'. Did you mean: weights.nli?"),
        ({"wieghts": {"nli": 0}}, "unknown parameter of tunable 'wieghts.nli'. Did you mean: weights.nli?"),
        ({"weights": {"limits": {"hihg": 0}}}, "'weights.limits.hihg'. Did you mean: weights.limits.high?"),
        ({"weights": {"nli": "x"}}, "tunable: parameter weights.nli = 'x': .*number"),
        ({"weights": 3}, "tunable: parameter weights = 3: "),
        ({"weights.nli.deep": 3}, "tunable: parameter weights.nli = {'deep': 3}: "),
        ({"k": {"x": 3}}, "tunable: parameter k = {'x': 3}: .*integer"),
        ({"weights": {"limits": {"low": 3}}}, "low is 3.0; give at most 2.0"),
        ({"more": {"lo": 3}}, "tunable: parameter more.*lo"),
    ],
)
def test_a_wrong_parameter_inside_a_parameter_is_named(params: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        register(NESTED).build(params)
    assert "\n" not in str(raised.value)


def test_a_missing_package_is_named_with_the_line_that_installs_it() -> None:
    entry = register(requires=("no_such_module",))
    assert entry.missing() == ("no_such_module",)
    with pytest.raises(MissingPackageError, match=r"tunable needs no_such_module, .*: pip install no-such-module"):
        entry.resolve()


def test_looking_for_modules_imports_none() -> None:
    assert missing_modules(("antigravity", "no_such_package.inside", "json.decoder")) == ("no_such_package.inside",)
    assert "antigravity" not in sys.modules


@pytest.mark.parametrize("target", ["no_such_module:A", f"{__name__}:NoSuchClass", f"{__name__}", ":A"])
def test_a_target_that_is_not_there_is_one_line(target: str) -> None:
    with pytest.raises(EcgbenchError, match="cannot import"):
        register(target).resolve()
