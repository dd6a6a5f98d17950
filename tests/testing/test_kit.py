"""The kit itself: every check can fail, and says which, what was seen and what must hold."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from kit_broken import BROKEN, failures
from kit_faults import Flipping, Loading, Measuring
from kit_subjects import (
    Bare,
    Declared,
    Honest,
    Listed,
    Misspelt,
    OfClasses,
    OnOwnEngine,
    Overdeclared,
    Silent,
    Upside,
    Wordy,
)

from ecgbench.errors import UsageError
from ecgbench.testing import (
    CheckFailedError,
    check_dataset,
    check_detector,
    check_metric,
    check_noise_model,
    common,
    datasets,
    detectors,
    metrics,
    noise_models,
    parametrize_with_checks,
)
from ecgbench.testing.base import Check, Ending, Kind, find_subject
from ecgbench.testing.looking import moved_random_states
from ecgbench.testing.suites import CHECKS, iter_results

NEED_A_SPEC = {"target_importable", "requires_declared", "light_import"}
"""Shown to fail by the plugin files of tests/cli/test_check.py."""
HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECGBENCH_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize(("instance", "name", "seen"), BROKEN, ids=lambda value: str(value)[:40])
def test_a_subject_that_is_wrong_in_one_point_fails_the_one_check_of_it(instance: Any, name: str, seen: str) -> None:
    failed = failures(instance)
    assert list(failed) == [name], failed
    assert seen in failed[name]
    assert f"it must hold that {check_named(instance, name).summary}" in failed[name]
    assert "\n" not in failed[name]


def check_named(instance: Any, name: str) -> Check:
    return next(check for check in CHECKS[find_subject(instance).kind] if check.name == name)


def test_every_check_is_shown_to_fail() -> None:
    shown = {(find_subject(instance).kind, name) for instance, name, _ in BROKEN}
    of_all = {check.name for check in common.COMMON}
    wanted = {(kind, check.name) for kind, checks in CHECKS.items() for check in checks if check.name not in of_all}
    assert wanted <= shown
    assert of_all - {name for _, name in shown} == NEED_A_SPEC


@pytest.mark.parametrize(
    "instance",
    [
        *(Honest(), OfClasses((2,)), OfClasses((3, 4))),
        *(Flipping(), Flipping("raters"), Flipping("two"), Flipping("three")),
        *(Measuring(), Measuring("spread"), Loading()),
    ],
    ids=repr,
)
def test_what_is_right_passes_every_check(instance: Any) -> None:
    assert failures(instance) == {}


@pytest.mark.parametrize("instance", [OfClasses(), Flipping("never"), Measuring("never")], ids=repr)
def test_what_is_never_applicable_fails(instance: Any) -> None:
    said = failures(instance)
    assert len(said) > 3
    assert any(
        "it raised it is made for () classes" in line or "it raised it fits nothing" in line for line in said.values()
    )


@pytest.mark.parametrize("module", [common, datasets, detectors, metrics, noise_models], ids=lambda m: m.__name__)
def test_no_check_is_left_out(module: ModuleType) -> None:
    listed = getattr(module, "COMMON", None) or module.CHECKS
    assert {id(check) for check in listed} == {id(v) for v in vars(module).values() if isinstance(v, Check)}


def test_checks_have_names_of_their_own_and_a_line_that_explains_them() -> None:
    for checks in CHECKS.values():
        assert len({check.name for check in checks}) == len(checks)
        for check in checks:
            assert len(check.summary.split()) > 3, check.name


@pytest.mark.parametrize(
    ("check_all", "right", "wrong"),
    [
        (check_detector, Honest(), Upside()),
        (check_noise_model, Flipping(), Flipping("texts")),
        (check_metric, Measuring(), Measuring("far")),
        (check_dataset, Loading(), Loading("noun")),
    ],
    ids=lambda value: getattr(value, "__name__", repr(value)),
)
def test_the_first_failure_is_raised_in_one_line(check_all: Callable[[Any], None], right: Any, wrong: Any) -> None:
    check_all(right)
    with pytest.raises(CheckFailedError) as failed:
        check_all(wrong)
    (name,) = failures(wrong)
    assert f"{find_subject(wrong)}: {name}: " in str(failed.value)
    assert "\n" not in str(failed.value)


def test_another_kind_and_a_class_are_wrong_usage() -> None:
    with pytest.raises(UsageError, match=r"Measuring object is no detector; give an instance"):
        check_detector(Measuring())
    with pytest.raises(UsageError, match=r"the class Honest is no detector, noise model, metric or dataset"):
        parametrize_with_checks([Honest])


def test_an_expected_failure_is_no_failure_and_one_that_passes_is() -> None:
    check_detector(Declared())
    (ended,) = [r for r in iter_results(find_subject(Declared())) if r.ending is Ending.EXPECTED]
    assert ended.reason == "it is upside down on purpose"
    assert failures(Overdeclared()) == {"ten_rows": "it holds: take it out of expected_failures"}


def test_expected_failures_name_checks_and_give_reasons() -> None:
    for declare in (check_detector, lambda subject: parametrize_with_checks([subject])):
        with pytest.raises(UsageError, match=r"'ten_row'. Did you mean: ten_rows\?"):
            declare(Misspelt())
        with pytest.raises(UsageError, match=r"expected_failures\['ten_rows'\] has no reason"):
            declare(Silent())
        with pytest.raises(UsageError, match=r"expected_failures is \['ten_rows'\]; give a mapping"):
            declare(Listed())


def test_an_engine_of_a_plugins_own_asks_for_a_fake_and_works_with_one() -> None:
    failed = failures(OnOwnEngine())
    wanted = "OwnEngine loads an engine by load_own, for which there is no stand-in: give the artifact a method `fake("
    assert wanted in failed["scores_valid"]
    assert failures(OnOwnEngine(faked=True)) == {}


def test_global_random_states_are_put_back() -> None:
    before = np.random.get_state()[1].tolist()
    check_detector(Honest())
    assert np.random.get_state()[1].tolist() == before


@pytest.mark.slow
def test_the_global_state_of_torch_is_watched_and_put_back() -> None:
    import torch

    before = torch.get_rng_state()
    assert moved_random_states(lambda: torch.manual_seed(0)) == ["torch"]
    assert moved_random_states(lambda: torch.rand(1, generator=torch.Generator())) == []
    assert torch.equal(torch.get_rng_state(), before)


def test_what_was_raised_is_said_with_its_line_and_kept_as_the_cause() -> None:
    with pytest.raises(CheckFailedError) as failed:
        detectors.empty_and_unicode_texts(Wordy())
    line = inspect.getsourcelines(Wordy)[1] + 3
    assert f"it raised IndexError: list index out of range (line {line}); it must hold that" in str(failed.value)
    assert isinstance(failed.value.__cause__, IndexError)


CONFORMANCE = """
from kit_subjects import Declared, Honest, Overdeclared
from ecgbench.testing import parametrize_with_checks

@parametrize_with_checks([Honest(), Declared(), Overdeclared()])
def test_conformance(subject, check):
    check(subject)
"""


def test_pytest_shows_a_test_a_check_and_expected_failures_strictly_with_their_reasons(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(CONFORMANCE, encoding="utf-8")
    code = f"import sys, pytest; sys.path.insert(0, {str(HERE)!r}); sys.exit(pytest.main(sys.argv[1:]))"
    arguments = ["-q", "-rxsf", "--rootdir", str(tmp_path), "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    names = [check.name for check in CHECKS[Kind.DETECTOR]]
    assert f"{3 * len(names) - 8} passed, 6 skipped, 1 xfailed" in done.stdout.replace("1 failed, ", ""), done.stdout
    assert "test_conformance[Declared-higher_is_more_suspicious] - it is upside down on purpose" in done.stdout
    assert "test_mine.py::test_conformance[Overdeclared-ten_rows]" in done.stdout
    assert "no installed plugin registers it" in done.stdout


def test_the_kit_needs_no_pytest() -> None:
    code = (
        "import sys; sys.modules['pytest'] = None\n"
        "from ecgbench.testing import check_detector\n"
        "from ecgbench_detectors.margin import Margin\n"
        "check_detector(Margin())\n"
        "assert not {'torch', 'transformers', 'faiss'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_dataset_is_loaded_once_to_be_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[int] = []
    load = Loading.load
    monkeypatch.setattr(Loading, "load", lambda *given: loads.append(1) or load(*given))
    check_dataset(Loading())
    assert len(loads) == 1 + 1 + 2  # to look, to compare, and twice under watch


def test_a_subject_is_named_with_its_parameters() -> None:
    assert str(find_subject(Measuring("far"))) == "Measuring[fault=far]"
    assert str(find_subject(Bare(3))) == "Bare"


@dataclass(frozen=True)
class Leaving(Honest):
    """By default it cannot be built."""

    k: int = 1

    def __post_init__(self) -> None:
        if self.k == 1:
            sys.exit(0)


def test_a_subject_that_cannot_be_built_by_default_is_named_by_its_class() -> None:
    assert str(find_subject(Leaving(2))) == "Leaving"
