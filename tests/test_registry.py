"""Registries: names lead to specs, to classes only on use, and a wrong parameter is named."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from ecgbench.errors import EcgbenchError, MissingPackageError, UnknownNameError, UsageError
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
