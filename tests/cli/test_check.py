"""`ecgbench check`: a line a check, exit codes, and the checks that need a spec."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import Outcome, Workspace
from ecgbench.testing.base import Kind
from ecgbench.testing.suites import CHECKS

PLUGIN = '''
from dataclasses import dataclass
import numpy as np
from ecgbench.artifacts.classifier import OutOfFoldProbs
from ecgbench.hookspecs import hookimpl
from ecgbench.specs import Detector, DetectorSpec
{top}

@dataclass(frozen=True)
class Mine(Detector):
    """A detector with one thing to be put in."""

    sign: float = 1.0

    def __post_init__(self):
        {building}

    def needs(self):
        {inside}
        return (OutOfFoldProbs(),)

    def score(self, task, artifacts, rng):
        return -self.sign * artifacts[OutOfFoldProbs()][np.arange(len(task)), task.labels]

@hookimpl
def ecgbench_detectors():
    return [DetectorSpec("{name}", "{target}", "a detector", requires={requires})]
'''


@pytest.fixture
def check(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    monkeypatch.setenv("ECGBENCH_CACHE", str(tmp_path / "cache"))
    return Check(workspace, tmp_path)


class Check:
    """The command, on a plugin file that is written for it."""

    def __init__(self, workspace: Workspace, folder: Path) -> None:
        self.workspace, self.folder = workspace, folder

    def __call__(self, *arguments: str) -> Outcome:
        return self.workspace.cli("check", *arguments)

    def plugin(
        self,
        *selections: str,
        top: str = "",
        inside: str = "",
        building: str = "",
        target: str = "guest:Mine",
        requires: tuple[str, ...] = (),
        name: str = "mine",
    ) -> Outcome:
        code = PLUGIN.format(
            top=top, inside=inside, building=building or "pass", target=target, requires=requires, name=name
        )
        (self.folder / "guest.py").write_text(code, encoding="utf-8")
        return self(*(selections or ["mine"]), "--plugin", str(self.folder / "guest.py"))


def failed_lines(done: Outcome) -> list[str]:
    return [line.split(maxsplit=1)[1] for line in done.out.splitlines() if line.startswith("  FAILED")]


def test_a_detector_that_conforms_is_a_line_a_check_and_exit_0(check: Check) -> None:
    done = check("margin")
    assert (done.code, done.err) == (0, "")
    head, *lines, total = done.out.splitlines()
    assert head.startswith("detector margin (ecgbench ")
    assert lines == [f"  ok                {made.name}" for made in CHECKS[Kind.DETECTOR]]
    assert total == f"  {len(lines)} ok"


def test_expected_failures_and_skips_are_shown_with_their_reasons_and_are_no_failure(check: Check) -> None:
    done = check("random", "none")
    assert done.code == 0
    assert "  expected failure  higher_is_more_suspicious: it is the floor: " in done.out
    assert "  skipped           exact_rate: it takes no rate" in done.out
    assert "  16 ok, 2 expected failure" in done.out


def test_a_plugin_file_is_checked_and_a_parameter_that_breaks_it_is_exit_1(check: Check) -> None:
    assert check.plugin().code == 0
    done = check.plugin("mine[sign=-1.0]")
    assert done.code == 1
    (line,) = failed_lines(done)
    assert line.startswith("higher_is_more_suspicious: the mean AUROC of 3 tasks is 0.0")
    assert "it must hold that planted wrong labels are ranked above chance" in line


def test_a_heavy_import_at_the_top_fails_and_inside_a_function_does_not(check: Check) -> None:
    (line,) = failed_lines(check.plugin(top="import scipy"))
    assert line.startswith("light_import: importing ecgbench_file_plugin_guest loads scipy")
    assert check.plugin(inside="import scipy").code == 0


def test_an_import_that_nothing_installs_must_stand_in_requires(check: Check) -> None:
    (line,) = failed_lines(check.plugin(inside="import pytest"))
    assert line.startswith("requires_declared: ecgbench_file_plugin_guest imports pytest")
    assert check.plugin(inside="import pytest", requires=("pytest",)).code == 0
    optional = "try:\n            import pytest\n        except ImportError:\n            pass"
    assert check.plugin(inside=optional).code == 0


@pytest.mark.parametrize(
    ("target", "seen"),
    [
        ("guest:Yours", "cannot import 'guest:Yours': AttributeError"),
        ("guest:np", "guest:np is no class derived from Detector"),
        ("guest:OutOfFoldProbs", "guest:OutOfFoldProbs is no class derived from Detector"),
        ("guest:Detector", "guest:Detector is no dataclass"),
    ],
)
def test_a_target_that_leads_nowhere_fails_alone(check: Check, target: str, seen: str) -> None:
    done = check.plugin(target=target)
    assert done.code == 1
    (line,) = failed_lines(done)
    assert line.startswith(f"target_importable: {seen}")
    assert done.out.splitlines()[-1] == "  1 FAILED"


def test_what_a_plugin_prints_goes_to_standard_error(check: Check) -> None:
    done = check.plugin(top="print('loaded')", inside="print('asked')")
    assert done.code == 0
    assert {"loaded", "asked"} <= set(done.err.split())
    assert not {"loaded", "asked"} & set(done.out.split())


def test_a_name_of_two_kinds_is_checked_in_both(check: Check) -> None:
    done = check.plugin("uniform", name="uniform")
    assert [line.partition(" (")[0] for line in done.out.splitlines() if not line.startswith("  ")] == [
        "detector uniform",
        "noise model uniform",
    ]


def test_a_dataset_is_checked_with_its_source_and_without_it_is_wrong_usage(check: Check, tmp_path: Path) -> None:
    rows = "\n".join(f"text {i},{i % 2}" for i in range(6))
    (tmp_path / "reviews.csv").write_text(f"text,label\n{rows}\n", encoding="utf-8")
    assert check(f"file:{tmp_path / 'reviews.csv'}").code == 0
    for text, wanted in (("file", "needs a path"), (f"file:{tmp_path / 'no.csv'}", "no.csv")):
        done = check(text)
        assert done.code == 2
        assert wanted in done.error


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["margn"], "error: unknown detector, noise model, metric or dataset 'margn'. Did you mean: margin?"),
        ([], "error: nothing to check; give names"),
        (["ecg[k=no]"], "error: ecg: parameter k = 'no'"),
        (["ecg[kk=1]"], "error: unknown parameter of ecg 'kk'"),
        (["uniform:x"], "error: unknown detector, noise model, metric or dataset 'uniform:x'"),
    ],
)
def test_wrong_usage_is_a_line_and_exit_2(check: Check, arguments: list[str], said: str) -> None:
    done = check(*arguments)
    assert done.code == 2
    assert done.error.startswith(said)


def test_a_missing_package_skips_the_name_with_the_line_that_installs_it(check: Check) -> None:
    done = check.plugin("mine", "margin", requires=("no_such_module",))
    assert done.code == 1
    _, line, total, *others = done.out.splitlines()
    wanted = "mine needs no_such_module, which is not installed: pip install no-such-module"
    assert line == f"  skipped           {wanted}"
    assert total == "  1 skipped"
    assert others[-1] == f"  {len(CHECKS[Kind.DETECTOR])} ok"


@pytest.mark.parametrize(
    ("building", "seen"),
    [
        ("import sys; sys.exit(0)", "it raised SystemExit: 0"),
        ("raise BaseException('no')", "it raised BaseException: no"),
        ("raise RuntimeError('no')", "it raised RuntimeError: no"),
    ],
)
def test_what_cannot_be_built_fails_alone_and_the_next_name_is_checked(check: Check, building: str, seen: str) -> None:
    done = check.plugin("mine", "margin", building=building)
    assert done.code == 1
    assert failed_lines(done) == [seen]
    assert done.out.splitlines()[-1] == f"  {len(CHECKS[Kind.DETECTOR])} ok"


@pytest.mark.parametrize("wrong", ["margn", "ecg[k=no]", "ecg[", "file", "file:no.csv"])
def test_wrong_usage_of_one_name_leaves_the_next_to_be_checked(check: Check, wrong: str) -> None:
    done = check(wrong, "margin")
    assert done.code == 2
    assert done.error
    assert done.out.splitlines()[-1] == f"  {len(CHECKS[Kind.DETECTOR])} ok"


def test_the_list_shows_every_check_with_what_must_hold(check: Check) -> None:
    done = check("--list")
    assert done.code == 0
    for kind, checks in CHECKS.items():
        for made in checks:
            assert any(
                line.startswith(f"{kind} ") and f" {made.name} " in line and line.rstrip().endswith(made.summary)
                for line in done.out.splitlines()
            ), made.name
