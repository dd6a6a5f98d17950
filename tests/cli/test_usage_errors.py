"""What people type wrong: exit code 2 (1 where the machine is at fault), one line on stderr, nothing computed."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import Workspace

SUITE = 'name = "s"\n[[datasets]]\nname = "toy"\n'


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--detectors", "toy_lenghts"], "unknown detector 'toy_lenghts'. Did you mean: toy_lengths?"),
        (["--detectors", "clenlab"], "unknown detector 'clenlab'. Did you mean: cleanlab?"),
        (["--noise", "unifrom"], "unknown noise model 'unifrom'. Did you mean: uniform?"),
        (["--dataset", "moovie_snippets"], "unknown dataset 'moovie_snippets'. Did you mean: movie_snippets?"),
        (["--dataset", "toy:x"], "dataset 'toy' takes no argument, but 'toy:x' was given"),
        (["--profile", "embeded"], "unknown profile 'embeded'. Did you mean: embedded?"),
        (["--rerun", "fialed"], "unknown rerun choice 'fialed'. Did you mean: failed?"),
        (["--detectors", "toy_lengths[powr=2]"], "unknown parameter of toy_lengths 'powr'. Did you mean: power?"),
        (["--detectors", "random[k=2]"], "unknown parameter of random 'k'. Choose from: (it takes none)."),
        (["--detectors", "toy_lengths[power=high]"], "toy_lengths: parameter power = 'high'"),
        (["--detectors", "toy_lengths[power=2"], "unbalanced brackets"),
        (["--noise", "uniform[rate=0.1]"], "unknown parameter of uniform 'rate'"),
        (["--noise", "artifact_aligned[injection_rate=2]"], "give a share from 0 to 1"),
        (["--param", "toy_lengths.powr=2"], "unknown parameter of toy_lengths 'powr'. Did you mean: power?"),
        (["--param", "toy_lenghts.power=2"], "unknown name in --param 'toy_lenghts'. Did you mean: toy_lengths?"),
        (["--param", "power=2"], "write NAME.PARAMETER=VALUE"),
        (["--param", "toy_lengths.power"], "write parameter=value"),
        (["--rate", "1.0"], "rate 1.0 is outside [0, 1)"),
        (["--rate", "-0.1"], "rate -0.1 is outside [0, 1)"),
        (["--rate", "nan"], "rate nan is outside [0, 1)"),
        (["--rate", "ten"], "--rate: 'ten' is not a number"),
        (["--seeds", "one"], "--seeds: 'one' is not a whole number"),
        (["--seeds", "-1"], "must be whole numbers from 0"),
        (["--n", "61"], "n is 61, but dataset 'toy' has 60 items; give an n from 1 to 60"),
        (["--n", "0"], "greater than or equal to 1"),
        (["--n", "many"], "--n: 'many' is not a whole number"),
        (["--dataset", "toy[classes=1]"], "toy holds one class only (alpha)"),
        (["--dataset", "toy[size=0]"], "toy holds one class only (none)"),
        (["--dataset", "file:absent.csv"], "absent.csv"),
        (["--dataset", "file"], "dataset file needs a path"),
        (["--text-column", "words"], "--text-column: not for toy; give your own file with --dataset file:PATH"),
        (["--task", "topic", "--shots", "x.toml"], "--task, --shots: not for toy"),
        (["--dataset", "movie_snippets", "--offline"], "vaderSentiment-0.5.zip is not at "),
        (["--dataset", "file:'a,b.csv'"], "cannot read a,b.csv"),
        (["--suite", "absent.toml"], "suite file 'absent.toml' does not exist"),
        (["--plugin", "absent.py"], "plugin file 'absent.py' does not exist"),
        (["--detectors", ","], "at least 1 item"),
        (["--noise", ","], "at least 1 item"),
        (["--seeds", ","], "at least 1 item"),
        (["--dataset", ""], "at least 1 item"),
    ],
)
@pytest.mark.parametrize("command", ["run", "plan"])
def test_a_wrong_word_is_one_line_and_computes_nothing(
    workspace: Workspace, command: str, arguments: list[str], message: str
) -> None:
    defaults = {"--dataset": "toy", "--detectors": "toy_lengths"}
    if arguments[0] == "--suite":
        defaults = {}  # the suite is refused first
    base = [word for option, value in defaults.items() if option not in arguments for word in (option, value)]
    done = workspace.cli(command, *base, *arguments, *workspace.options)
    assert done.code == 2
    assert message in done.error
    assert done.out == ""
    assert workspace.calls == {}
    assert not workspace.board.exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SUITE + "[[noise]]\n", "noise: Extra inputs are not permitted"),
        (SUITE + '[[noises]]\nname = "uniform"\nrates = [2]\n', "noises.0.rates: rate 2.0 is outside [0, 1)"),
        (SUITE + '[[noises]]\nname = "uniform"\nrate = 0.1\n', "noises.0.rate: Extra inputs"),
        (SUITE + "seeds = [0]", "datasets.0.seeds: Extra inputs"),
        (SUITE.replace('"s"', '"../s"'), "name: "),
        ("name = ", "cannot be read"),
        ('profile = "embedded"', "name: Field required"),
        (SUITE + "n = 0", "datasets.0.n: Input should be greater than or equal to 1"),
        ('name = "s"\ndetectors = []', "detectors: Tuple should have at least 1 item"),
        ('name = "s"\ndetectors = [{ nam = "loss" }]', "detectors.0.name: Field required"),
        ('name = "s"\ndetectors = "most"', "detectors: "),
    ],
)
def test_a_wrong_suite_names_the_file_and_the_key(
    workspace: Workspace, tmp_path: Path, text: str, message: str
) -> None:
    suite = tmp_path / "suite.toml"
    suite.write_text(text)
    done = workspace.cli("run", "--suite", str(suite), *workspace.options)
    assert done.code == 2
    assert f"suite file '{suite}'" in done.error
    assert message in done.error


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"text,label\na,x\nb,x\n", "one class only"),
        (b"words,label\na,x\nb,y\n", "text"),
        (b"text,label\n\xff\xfe,x\nb,y\n", "UTF-8"),
        (b"", "reviews.csv"),
    ],
)
def test_a_bad_file_is_one_line(workspace: Workspace, tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "reviews.csv"
    file.write_bytes(content)
    done = workspace.run("toy_lengths", dataset=f"file:{file}")
    assert done.code == 2
    assert message in done.error


def test_a_cache_of_another_version_is_one_line(workspace: Workspace) -> None:
    (workspace.folder / "cache").mkdir()
    (workspace.folder / "cache" / "CACHE_SCHEMA").write_text("99")
    done = workspace.run("toy_lengths")
    assert done.code == 1
    assert "was written by schema 99, this version reads 1: use --cache DIR or delete it" in done.error


def test_no_network_is_one_line_with_the_fix(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    done = workspace.run("random", dataset="movie_snippets")
    assert done.code == 2
    assert "cannot fetch vaderSentiment-0.5.zip with pip" in done.error
    assert "run `ecgbench fetch` with a network, or put the file at" in done.error


def test_a_second_run_into_the_same_results_is_refused(workspace: Workspace) -> None:
    from ecgbench.results import ResultsWriter

    with ResultsWriter(workspace.folder / "out" / "results" / "toy.jsonl"):
        done = workspace.run("toy_lengths")
    assert done.code == 2
    assert "another run writes" in done.error


def test_a_damaged_results_file_is_one_line_with_the_place(workspace: Workspace) -> None:
    workspace.run("toy_lengths")
    path = workspace.folder / "out" / "results" / "toy.jsonl"
    path.write_text("not json\n" + path.read_text())
    done = workspace.run("toy_lengths")
    assert done.code == 1
    assert "toy.jsonl, line 1: not JSON" in done.error


def test_an_unexpected_error_is_one_line_and_a_traceback_with_debug(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*_: object, **__: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr("ecgbench.api.prepare", explode)
    done = workspace.run("toy_lengths")
    assert done.code == 1
    assert done.error == "error: unexpected RuntimeError: boom; `ecgbench --debug ...` shows where"
    with pytest.raises(RuntimeError, match="boom"):
        workspace.run("toy_lengths", "--debug")
    with pytest.raises(RuntimeError, match="boom"):
        workspace.cli("--debug", "run", "--dataset", "toy", *workspace.options)


def test_debug_stands_before_any_command(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*_: object, **__: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr("ecgbench.cli.options.open_cache", explode)
    assert workspace.cli("doctor").error.endswith("`ecgbench --debug ...` shows where")
    with pytest.raises(RuntimeError, match="boom"):
        workspace.cli("--debug", "doctor")


@pytest.mark.parametrize("command", ["run", "plan"])
def test_a_wrong_batch_size_is_refused_before_anything_is_computed(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("ECGBENCH_BATCH_SIZE", "abc")
    done = workspace.run("toy_lengths", command=command)
    assert done.code == 2
    assert "ECGBENCH_BATCH_SIZE is 'abc'; give a whole number" in done.error
    assert (workspace.calls, workspace.records) == ({}, [])


@pytest.mark.parametrize("name", ["out", "out/results"])
def test_a_file_in_place_of_the_out_folder_is_wrong_usage(workspace: Workspace, name: str) -> None:
    path = workspace.folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("mine")
    done = workspace.run("toy_lengths")
    assert done.code == 2
    assert "is a file, where a folder is needed; give another with --out DIR" in done.error
    assert (workspace.calls, path.read_text()) == ({}, "mine")
