"""Hostile packages, installed as real ones are: each has its reason, and every other cell comes out as without them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from conftest import PACKAGES, facts, install, without_costs
from ecgbench.grid.selection import parse_selection
from ecgbench.results import CellRecord, Status
from hostile_runs import DATASETS, GOOD, NOISES, Run, amid, install_all, run

SANITY = ("oracle", "marker_probe", "none")

BROKEN = {
    "import_error": "ModuleNotFoundError: No module named 'no_such_module'",
    "syntax_error": "SyntaxError: invalid syntax (syntax_error.py, line 3)",
    "leaving_at_import": "SystemExit: 3",
    "raising_hook": "RuntimeError: the hook broke",
    "misspelt_hook": "unknown hook 'ecgbench_detektors'",
    "nonsense_hook": "TypeError: ecgbench_detectors must return DetectorSpec objects, not str",
    "wrong_specs": "TypeError: a spec's name, target, summary and requires are text",
    "wrong_name": r"ValueError: 'a [b],\x1b[31m' is no name",
}
UNIMPORTABLE = "cannot import 'leaving_at_import:Thing': SystemExit: 3"
CAUGHT = {
    "raising": ("failed", "raising: RuntimeError: <script>alert(1)</script> | [a](javascript:b)"),
    "raising[mute=true]": ("failed", "raising: MuteError: (its message cannot be read)"),
    "wrong_answers": ("invalid", "the scores are of type <U4, expected float64"),
    "wrong_answers[kind=objects]": ("invalid", "the scores are of type object, expected float64"),
    "wrong_answers[kind=matrix]": ("invalid", "the scores have shape (60, 2), expected (60,)"),
    "wrong_answers[kind=undefined]": ("invalid", "1 of 60 scores are not finite (first: nan at item 3)"),
    "wrong_answers[kind=short]": ("invalid", "the scores have shape (59,), expected (60,)"),
    "wrong_answers[kind=nothing]": ("invalid", "the scores have shape (), expected (60,)"),
    "mutating": ("failed", "mutating: ValueError: assignment destination is read-only"),
    "ending": ("failed", "ending: SystemExit: 3"),
    "undeclared": ("failed", "was read but not declared (declared: none): add it to needs()"),
    "panicking": ("failed", "panicking: Panic: in needs"),
    "unimportable": ("failed", f"unimportable: {UNIMPORTABLE}"),
    "choosing[mode=b]": ("failed", "no record can name its parameters: a cache key cannot hold Mode"),
}
METRICS = {
    "spoiling": "metric spoiling: ValueError: output array is read-only",
    "overriding": None,  # it has copies
    "panicking": "metric panicking: Panic: in compute",
    "unimportable": f"metric unimportable: {UNIMPORTABLE}",
}
LOADED = {
    "loading": ("failed", "dataset loading: RuntimeError: the loader broke"),
    "loading[how=leave]": ("failed", "dataset loading: SystemExit: 0"),
    "loading[how=nothing]": ("invalid", "dataset loading returned NoneType, not LabeledTexts with a description"),
    "loading[how=range]": ("invalid", "dataset loading holds labels from 0 to 2; they must lie in 0..1"),
    "panicking": ("failed", "dataset panicking: Panic: in load"),
    "unimportable": ("failed", f"dataset unimportable: {UNIMPORTABLE}"),
}
CORRUPTED = {
    "noising": ("failed", "noise model noising: this data is too clean"),
    "noising[how=leave]": ("failed", "noise model noising: SystemExit: 0"),
    "noising[how=range]": ("invalid", "the noise model returned labels from 5 to 6; they must lie in 0..1"),
    "panicking": ("failed", "noise model panicking: Panic: in corrupt"),
    "unimportable": ("failed", f"noise model unimportable: {UNIMPORTABLE}"),
}
HARMLESS = ("seeding", "printing", "peeking")
CRASHING = {
    "ending[how=os_exit]": ("failed", "ending: its process ended with exit code 3"),
    "ending[how=segfault]": ("failed", "ending: its process ended by SIGSEGV"),
    "looping": ("timeout", "looping: not done in 20 seconds"),
    "hogging": ("failed", "MiB of memory, allowed are 500"),
}
LIMITS = ["--executor", "process", "--time-limit", "20", "--memory-limit", "500"]


def without_hostile_metrics(record: CellRecord) -> CellRecord:
    """Return a record as it is where the hostile metrics are not installed."""
    metrics = {name: value for name, value in record.metrics.items() if name not in METRICS}
    reasons = {name: reason for name, reason in record.metric_reasons.items() if name not in METRICS}
    return replace(record, metrics=metrics, metric_reasons=reasons)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with all hostile packages but the one that no run can do with."""
    folder = tmp_path_factory.mktemp("site")
    install_all(folder)
    return folder


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return the run of the good detectors alone."""
    return run(tmp_path_factory.mktemp("clean"), list(GOOD))


@pytest.fixture(scope="module", params=["local", pytest.param("process", marks=pytest.mark.slow)])
def hostile(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, packages: Path) -> Run:
    """Return a run amid all that an executor promises to hold."""
    chosen = [*CAUGHT, *HARMLESS]
    limits = []
    if request.param == "process":
        chosen, limits = [*chosen, *CRASHING, "patching"], LIMITS
    return run(tmp_path_factory.mktemp(request.param), amid(chosen), *limits, packages=packages)


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory, packages: Path) -> Run:
    """Return a run of the good detectors amid datasets and noise models that give none."""
    grid = {"datasets": amid(LOADED, DATASETS), "noises": amid(CORRUPTED, NOISES)}
    return run(tmp_path_factory.mktemp("broken"), GOOD, **grid, packages=packages)


def test_every_other_cell_comes_out_as_without_them(hostile: Run, clean: Run) -> None:
    assert clean.done.returncode == 0, clean.done.stderr
    assert hostile.done.returncode == 1, hostile.done.stderr
    expected, found = facts(clean.folder / "out"), facts(hostile.folder / "out")
    assert len(expected) == 2 * len(GOOD + SANITY)
    assert {record.status for record in expected.values()} == {Status.OK}
    assert {key: without_hostile_metrics(found[key]) for key in expected} == expected


def test_every_cell_of_other_data_and_noise_comes_out_as_without_the_broken_ones(broken: Run, clean: Run) -> None:
    assert broken.done.returncode == 1, broken.done.stderr
    assert "Traceback" not in broken.done.stderr
    expected, found = facts(clean.folder / "out"), facts(broken.folder / "out")
    assert len(json.loads(broken.done.stdout)) == len(found)
    assert {key: without_hostile_metrics(found[key]) for key in expected} == expected


def test_a_hostile_metric_has_its_reason_in_the_record_of_every_cell(hostile: Run) -> None:
    record = hostile.named("toy_lengths")
    assert {name: record.metric_reasons.get(name) for name in METRICS} == METRICS


@pytest.mark.parametrize("name", LOADED)
def test_the_cells_of_a_dataset_that_does_not_load_say_why(broken: Run, name: str) -> None:
    records = [record for record in broken.records if record.dataset == name]
    assert {(str(record.status), record.reason, record.n, record.n_classes) for record in records} == {
        (*LOADED[name], 0, None)
    }
    assert {record.detector for record in records} >= {*GOOD, *SANITY}


@pytest.mark.parametrize("name", CORRUPTED)
def test_the_cells_of_a_noise_model_that_gives_none_say_why(broken: Run, name: str) -> None:
    noise = parse_selection(name)
    params = dict(noise.params) or {}
    records = [r for r in broken.records if (r.dataset, r.noise, dict(r.noise_params)) == ("toy", noise.name, params)]
    assert {(str(record.status), record.reason) for record in records} == {CORRUPTED[name]}
    assert {record.detector for record in records} >= {*GOOD, *SANITY}


@pytest.mark.parametrize("name", CAUGHT)
def test_a_hostile_cell_says_what_was_wrong(hostile: Run, name: str) -> None:
    record = hostile.named(name)
    status, reason = CAUGHT[name]
    assert (record.status, record.scores, dict(record.metrics)) == (status, None, {})
    assert reason in str(record.reason)
    assert "\n" not in str(record.reason)


@pytest.mark.parametrize("package", BROKEN)
def test_a_package_that_does_not_load_is_one_line_with_its_reason(hostile: Run, package: str) -> None:
    lines = [line for line in hostile.done.stderr.splitlines() if f"plugin {package}_plugin ({package})" in line]
    assert len(lines) == 1
    assert BROKEN[package] in lines[0]
    assert "Traceback" not in hostile.done.stderr


def test_standard_output_is_the_records_and_nothing_that_a_plugin_printed(hostile: Run) -> None:
    assert len(json.loads(hostile.done.stdout)) == len(hostile.records)
    for where in ("at import", "by the hook", "by needs", "by score", "around", "on the descriptor", "by a program"):
        assert where in hostile.done.stderr, where
    assert hostile.named("printing").status is Status.OK


def test_a_plugin_that_uses_the_global_random_states_is_told_of_in_a_warning(hostile: Run) -> None:
    record = hostile.named("seeding")
    assert (record.status, record.findings) == (Status.OK, ())
    told = "used the global random state of random and numpy, which was put back: draw from the rng that is given"
    assert hostile.done.stderr.count(f"seeding {told}") == 1


def test_the_truth_is_in_no_file_of_a_run(hostile: Run) -> None:
    found = hostile.named("peeking").findings
    assert not [line for line in found if "files" in line]
    arrays = [np.load(path) for path in (hostile.folder / "cache").rglob("*.npy")]
    given = {"oracle": hostile.named("oracle").realised_rate, "arrays": len(arrays)}
    assert given == {"oracle": 0.1, "arrays": len(arrays)}
    assert len(arrays) > len(GOOD)  # the cells of detectors are kept
    assert not [array for array in arrays if set(np.unique(array)) <= {0.0, 1.0} and array.sum() == 6]


@pytest.mark.parametrize("name", CRASHING)
@pytest.mark.parametrize("hostile", [pytest.param("process", marks=pytest.mark.slow)], indirect=True)
def test_a_cell_that_crashes_hangs_or_takes_all_memory_ends_alone_in_its_process(hostile: Run, name: str) -> None:
    record = hostile.named(name)
    status, reason = CRASHING[name]
    assert record.status == status
    assert reason in str(record.reason)


@pytest.mark.parametrize("hostile", [pytest.param("process", marks=pytest.mark.slow)], indirect=True)
def test_in_its_process_a_cell_finds_no_truth_and_no_name_of_the_noise(hostile: Run) -> None:
    record = hostile.named("peeking")
    assert (record.status, record.findings) == (Status.OK, ())


@pytest.mark.parametrize("hostile", ["local"], indirect=True)
def test_in_the_run_s_process_a_cell_that_means_to_finds_the_truth(hostile: Run) -> None:
    """What SECURITY.md says is not held: and so the search of the test above does find what is there."""
    assert "found in objects" in hostile.named("peeking").findings
    assert "told in argv" in hostile.named("peeking").findings


@pytest.mark.slow
def test_what_ends_a_run_in_one_process_ends_its_cell_alone_once_cells_have_their_own(
    tmp_path: Path, packages: Path, clean: Run
) -> None:
    hostile = amid(["ending[how=os_exit]"])
    ended = run(tmp_path, hostile, packages=packages)
    assert ended.done.returncode == 3
    assert ended.done.stdout == ""
    done = run(tmp_path, hostile, *LIMITS, packages=packages)
    assert done.done.returncode == 1
    found, expected = facts(tmp_path / "out"), facts(clean.folder / "out")
    assert {key: without_hostile_metrics(found[key]) for key in expected} == expected


def test_a_package_that_claims_a_name_is_refused_and_can_be_switched_off(
    tmp_path: Path, clean: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    site.mkdir()
    install(site, "duplicate_name", (PACKAGES / "duplicate_name.py").read_text(encoding="utf-8"))
    refused = run(tmp_path, list(GOOD), packages=site)
    assert refused.done.returncode == 2
    assert "detector 'loss' comes from two plugins: " in refused.done.stderr
    assert "duplicate_name_plugin (duplicate_name 1.5)" in refused.done.stderr
    monkeypatch.setenv("ECGBENCH_DISABLE_PLUGINS", "duplicate_name_plugin")
    assert run(tmp_path, list(GOOD), packages=site).done.returncode == 0
    assert facts(tmp_path / "out") == facts(clean.folder / "out")


def test_the_notes_of_a_hostile_run_hold_no_markup(hostile: Run) -> None:
    board = (hostile.folder / "out" / "LEADERBOARD.md").read_text(encoding="utf-8")
    (line, *_) = [line for line in board.splitlines() if line.startswith("- raising")]
    assert r"\<script\>alert(1)\</script\> \| \[a\](javascript:b) \`c\` \[31m \[red\]d" in line
    assert "\x1b" not in board


def test_records_without_times_are_compared_and_not_nothing(clean: Run) -> None:
    """`facts` leaves out the clock alone."""
    record = clean.named("toy_lengths")
    kept = facts(clean.folder / "out")[record.cell_key]
    assert without_costs(record) == kept
    assert kept.metrics
