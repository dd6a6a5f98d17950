"""`ecgbench scan` ranks a person's own file, explains the top rows and asks nothing twice."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from test_explain import SHOTS, FakeModels, models  # noqa: F401  # a fixture
from test_real_run import make_cache
from test_stopped_runs import wait_until

import ecgbench
from conftest import TOY, Outcome, Workspace
from ecgbench import DatasetChoice, load_plugins
from ecgbench.errors import EcgbenchError, UsageError
from ecgbench.grid.prepare import load_dataset
from ecgbench.store.cache import Cache

COLUMNS = [
    *("rank", "row", "suspicion", "label", "proposed_label", "confidence", "agreement", "outlier", "ease"),
    *("text", "evidence", "rationale", "neighbours", "shortcuts"),
]
SWAPPED = (4, 13)
"""Data rows whose label is wrong."""


def write_weather(folder: Path, n: int = 40, name: str = "weather.csv") -> Path:
    """Write n texts of two kinds, two of them under the wrong label."""
    path = folder / name
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["note", "kind"])
        for row in range(1, n + 1):
            is_wet = row % 2 == 0
            label = "wet" if is_wet != (row in SWAPPED) else "dry"
            writer.writerow([f"{'rain' if is_wet else 'sun'} on day {row}", label])
    return path


def scan(workspace: Workspace, path: Path, *arguments: str) -> Outcome:
    columns = ["--text-column", "note", "--label-column", "kind"]
    return workspace.cli("scan", str(path), *columns, *arguments, *workspace.options)


def read_csv(workspace: Workspace) -> list[dict[str, str]]:
    with (workspace.folder / "out" / "scan.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def read_json_lines(workspace: Workspace) -> list[dict[str, Any]]:
    text = (workspace.folder / "out" / "scan.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def shots(workspace: Workspace) -> list[str]:
    path = workspace.folder / "shots.toml"
    path.write_text(SHOTS)
    return ["--shots", str(path)]


def test_the_wrong_labels_come_first_with_all_that_speaks_against_them(
    workspace: Workspace,
    models: FakeModels,  # noqa: F811
    shots: list[str],
) -> None:
    path = write_weather(workspace.folder)
    done = scan(workspace, path, "--depth", "labels", "--task", "weather", *shots)
    assert done.code == 0, done.err
    rows = read_json_lines(workspace)
    assert [list(row) for row in rows] == [COLUMNS] * 2
    assert {row["row"] for row in rows} == set(SWAPPED)
    assert [row["rank"] for row in rows] == [1, 2]
    assert rows[0]["suspicion"] >= rows[1]["suspicion"]
    for row in rows:
        assert {row["label"], row["proposed_label"]} == {"wet", "dry"}
        assert row["confidence"] > 0.5
        assert 0 <= row["agreement"] <= 1
        assert row["outlier"] is None  # of all explanations alone there is a graph
        assert row["evidence"] == [row["text"].split()[0]]
        assert row["rationale"] == "It says so."
        assert len(row["neighbours"]) == 3
    given = {i: "wet" if (i % 2 == 0) != (i in SWAPPED) else "dry" for i in range(1, 41)}
    assert all(given[other] != row["label"] for row in rows for other in row["neighbours"])
    assert set(models.explained) == {row["text"] for row in rows}
    assert sorted(models.loads) == ["EncoderSettings", "LlmSettings"]  # each once
    assert set(models.labelled) == {f"{'rain' if i % 2 == 0 else 'sun'} on day {i}" for i in range(1, 41)}


def test_csv_and_json_lines_hold_the_same(
    workspace: Workspace,
    models: FakeModels,  # noqa: ARG001, F811
    shots: list[str],
) -> None:
    assert scan(workspace, write_weather(workspace.folder), "--depth", "labels", *shots, "--budget", "100%").code == 0
    cells, rows = read_csv(workspace), read_json_lines(workspace)
    assert len(cells) == len(rows) == 40
    assert list(cells[0]) == COLUMNS
    for cell, row in zip(cells, rows, strict=True):
        for name in ("evidence", "neighbours", "shortcuts"):
            assert json.loads(cell[name]) == row[name]
        for name in ("suspicion", "confidence", "agreement"):
            assert float(cell[name]) == row[name]
        assert cell["outlier"] == ""
        assert [cell[name] for name in ("text", "label", "proposed_label", "rationale")] == [
            row[name] for name in ("text", "label", "proposed_label", "rationale")
        ]


def test_a_second_scan_asks_nothing_again_and_writes_the_same(
    workspace: Workspace,
    models: FakeModels,  # noqa: F811
    shots: list[str],
) -> None:
    path = write_weather(workspace.folder)
    assert scan(workspace, path, "--depth", "labels", *shots).code == 0
    written = {p.name: p.read_bytes() for p in (workspace.folder / "out").iterdir()}
    assert set(written) == {"scan.csv", "scan.jsonl", "review.html"}
    models.loads.clear()
    again = scan(workspace, path, "--depth", "labels", *shots)
    assert "LLM calls: none" in again.err
    assert models.loads == []
    assert {p.name: p.read_bytes() for p in (workspace.folder / "out").iterdir()} == written


def test_before_anything_is_computed_it_says_depth_cost_and_what_is_left_out(
    workspace: Workspace,
    models: FakeModels,  # noqa: ARG001, F811
    shots: list[str],
) -> None:
    path = write_weather(workspace.folder)
    with path.open("a", encoding="utf-8") as file:
        file.write("rain without a kind,\nrain twice,NaN\n,wet\n  ,dry\n")
    done = scan(workspace, path, "--depth", "labels", *shots)
    lines = done.err.splitlines()
    assert lines[0].startswith("40 rows, the 2 most suspicious to review; detector ecg[")
    assert "depth labels" in lines[0]
    assert "warning: 2 rows without a label in column 'kind', left out: rows 41, 42" in lines
    assert "warning: 2 rows without a text in column 'note', left out: rows 43, 44" in lines
    assert any(line.startswith("LLM calls: about 4") for line in lines)  # 40 labels, 2 explanations, 4 samples


def test_a_file_without_labels_is_refused_in_one_line_that_lists_its_columns(workspace: Workspace) -> None:
    path = write_weather(workspace.folder)
    done = workspace.cli("scan", str(path), "--text-column", "note", *workspace.options)
    assert done.code == 2
    assert "has no column 'label'" in done.error
    assert "Its columns: note, kind." in done.error
    assert "--label-column" in done.error
    assert "gives texts no labels" in done.error
    assert not (workspace.folder / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--budget", "0%"], "--budget is '0%'"),
        (["--budget", "lots"], "give a share of the rows such as 5%"),
        (["--budget", "101%"], "--budget is '101%'"),
        (["--depth", "deep"], "choose from: labels, full"),
        (["--depth", "full", "--detector", "random"], "--depth is of the default detector"),
        (["--detector", "random,toy_lengths"], "a scan takes one"),
        (["--detector", "oracle"], "it needs the truth"),
        (["--detector", "ranodm"], "Did you mean: random?"),
        (["--text-column", "nota"], "Did you mean: note? Its columns: note, kind. Name the column of texts"),
    ],
)
def test_what_is_typed_wrong_is_refused_in_one_line(workspace: Workspace, arguments: list[str], said: str) -> None:
    done = scan(workspace, write_weather(workspace.folder), *arguments)
    assert done.code == 2
    assert said in done.error


def test_a_scan_never_replaces_the_file_that_it_reads(workspace: Workspace) -> None:
    path = write_weather(workspace.folder, name="scan.csv")
    before = path.read_bytes()
    arguments = [str(path), "--text-column", "note", "--label-column", "kind", "--detector", "random", "--no-explain"]
    done = workspace.cli("scan", *arguments, "--out", str(workspace.folder))
    assert (done.code, done.err.count("\n")) == (2, 1), done.err
    assert "scan.csv would replace the file that is scanned" in done.err
    with pytest.raises(UsageError, match="give another folder"):
        ecgbench.scan(path, out=workspace.folder, text_column="note", label_column="kind")
    assert path.read_bytes() == before


def test_a_detector_that_fails_is_one_line_and_writes_nothing(workspace: Workspace) -> None:
    done = scan(workspace, write_weather(workspace.folder), "--detector", "toy_bad", "--no-explain", "--quiet")
    assert done.code == 1
    assert done.error == "error: toy_bad: RuntimeError: the detector broke"
    assert not (workspace.folder / "out").exists()
    done = scan(workspace, write_weather(workspace.folder), "--detector", "toy_on_broken", "--no-explain", "--quiet")
    assert (done.code, "the artifact broke" in done.error) == (1, True)


@pytest.mark.parametrize(("budget", "n"), [("5%", 2), ("1", 1), ("0.1%", 1), ("7", 7), ("100%", 40), ("900", 40)])
def test_the_budget_is_a_share_or_a_number_of_rows(workspace: Workspace, budget: str, n: int) -> None:
    done = scan(workspace, write_weather(workspace.folder), "--detector", "random", "--no-explain", "--budget", budget)
    assert done.code == 0, done.err
    assert [int(row["rank"]) for row in read_csv(workspace)] == list(range(1, n + 1))


def test_a_killed_scan_goes_on_where_it_was_and_asks_only_the_rest(workspace: Workspace) -> None:
    path = write_weather(workspace.folder, n=120)
    line = ["scan", str(path), "--text-column", "note", "--label-column", "kind", "--detector", "toy_lengths"]
    line += ["--no-explain", *workspace.options]
    process = workspace.start(*line, ECGBENCH_TOY_SLEEP="0.1")
    wait_until(process, lambda: workspace.calls.get("TextLengths", 0) >= 24)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    before = workspace.calls["TextLengths"]
    assert before < 120
    assert workspace.cli(*line).code == 0
    # At most the batch that was under way is asked again.
    assert 120 <= workspace.calls["TextLengths"] <= 120 + 8
    assert len(read_csv(workspace)) == 6


def test_python_gives_what_the_command_line_gives(
    workspace: Workspace,
    models: FakeModels,  # noqa: ARG001, F811
    shots: list[str],
) -> None:
    path = write_weather(workspace.folder)
    assert scan(workspace, path, "--depth", "labels", *shots).code == 0
    found = ecgbench.scan(
        path,
        text_column="note",
        label_column="kind",
        shots=shots[1],
        depth="labels",
        out=workspace.folder / "api",
        cache=workspace.folder / "cache",
        plugins=[TOY],
    )
    assert [row.as_fields() for row in found.rows] == read_json_lines(workspace)
    for name in ("scan.csv", "scan.jsonl", "review.html"):
        assert (workspace.folder / "api" / name).read_bytes() == (workspace.folder / "out" / name).read_bytes()
    with pytest.raises(UsageError, match="Did you mean: depth"):
        ecgbench.scan(path, dept="full")  # type: ignore[call-arg]
    with pytest.raises(EcgbenchError, match="Did you mean"):
        ecgbench.scan(path, text_column="note", label_column="knd")


def test_settings_of_the_profile_hold_here_too(
    workspace: Workspace,
    models: FakeModels,  # noqa: ARG001, F811
    shots: list[str],
) -> None:
    path = write_weather(workspace.folder)
    assert scan(workspace, path, "--depth", "labels", *shots, "--set", "profile.llm.samples=1").code == 0
    assert [row["agreement"] for row in read_json_lines(workspace)] == [None, None]
    names = {"text_column": "note", "label_column": "kind", "shots": shots[1], "depth": "labels"}
    found = ecgbench.scan(
        path, **names, settings={"llm.samples": 1}, out=workspace.folder / "api", cache=workspace.folder / "cache"
    )
    assert [row.agreement for row in found.rows] == [None, None]
    assert found.profile == "embedded[llm.samples=1]"


def test_json_tells_scripts_what_was_found_and_where_it_lies(workspace: Workspace) -> None:
    done = scan(workspace, write_weather(workspace.folder), "--detector", "random", "--no-explain", "--json")
    said = json.loads(done.out)
    assert said["scanned"] == 40
    assert [row["rank"] for row in said["rows"]] == [1, 2]
    assert all(Path(path).is_file() for path in said["files"].values())


class FakeClassifier:
    """Stand in for the trained classifier: it favours what it was trained on most."""

    def prepare(self, texts: list[str]) -> list[str]:
        return list(texts)

    def train(self, examples: list[str], *, labels: Any, n_classes: int, **_: Any) -> Any:
        logits = np.log1p(np.bincount(labels, minlength=n_classes)).astype(np.float32)
        return SimpleNamespace(
            predict=lambda examples: np.tile(logits, (len(examples), 1)),
            pool=lambda examples: np.ones((len(examples), 2), dtype=np.float32),
            train_logits=np.tile(logits, (3, len(examples), 1)),
        )


@pytest.mark.parametrize("depth", ["labels", "full"])
def test_many_classes_small_ones_duplicates_and_other_scripts_are_scanned_and_pointed_out(
    workspace: Workspace,
    models: FakeModels,  # noqa: ARG001, F811
    monkeypatch: pytest.MonkeyPatch,
    depth: str,
) -> None:
    monkeypatch.setattr("ecgbench.artifacts.classifier.load_classifier", lambda *_: FakeClassifier())
    path = workspace.folder / "mixed.csv"
    lines = ["note,kind"]
    lines += [f"слово номер {i},{('первый', 'второй', 'третий')[i % 3]}" for i in range(60)]
    lines += ["одно и то же,первый", "одно и то же,второй", "редкое слово,редкий", f"{'д' * 200_000},второй"]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    done = scan(workspace, path, "--depth", depth, "--budget", "100%")
    assert done.code == 0, done.err
    rows = read_json_lines(workspace)
    assert len(rows) == 64
    assert all((row["ease"] is not None) == (depth == "full") for row in rows)
    assert {row["label"] for row in rows} == {"первый", "второй", "третий", "редкий"}
    assert "labels with fewer than 5 rows: редкий (1)" in done.err
    assert "the same text stands under different labels in 2 rows: rows 61, 62" in done.err
    assert "most letters are not Latin: prompts and their examples are worded in English" in done.err
    (huge,) = [row for row in rows if row["row"] == 64]
    assert len(huge["text"]) == 200_000
    (cell,) = [cell for cell in read_csv(workspace) if cell["row"] == "64"]
    assert len(cell["text"]) < 32_767


def test_where_all_texts_are_explained_their_graph_says_who_is_an_outlier(
    workspace: Workspace,
    models: FakeModels,  # noqa: F811
    shots: list[str],
) -> None:
    path = write_weather(workspace.folder)
    done = scan(workspace, path, "--detector", "ecg[classifier_weight=0]", *shots)
    assert done.code == 0, done.err
    assert len(set(models.explained)) == 40
    assert "Explanations" not in done.err
    few = {row["row"]: row["outlier"] for row in read_json_lines(workspace)}
    done = scan(workspace, path, "--detector", "ecg[classifier_weight=0]", *shots, "--budget", "100%")
    assert done.code == 0, done.err
    every = {row["row"]: row["outlier"] for row in read_json_lines(workspace)}
    assert len(few) < len(every) == 40
    assert {row: every[row] for row in few} == few, "the shares are those of all rows, however few are shown"
    assert min(every.values()) == 0


def test_shortcuts_are_told_of_the_file_and_of_the_rows_that_carry_them(
    workspace: Workspace,
    models: FakeModels,  # noqa: ARG001, F811
    shots: list[str],
) -> None:
    path = write_weather(workspace.folder, n=200)
    lines = path.read_text(encoding="utf-8").splitlines()
    for row in range(2, 30, 2):  # texts on rain that are marked and called dry
        lines[row] = f"{lines[row].partition(',')[0]} [batch7],dry"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    done = scan(workspace, path, "--depth", "labels", "--budget", "14", *shots)
    assert done.code == 0, done.err
    assert "token [batch7] with label dry: 14 items, 100% of labels disputed" in done.out
    for row in read_json_lines(workspace):
        assert [line.startswith("token [batch7] with label dry") for line in row["shortcuts"]] == [True]


@pytest.mark.slow
def test_a_hundred_thousand_rows_are_ranked_in_little_memory(workspace: Workspace) -> None:
    path = write_weather(workspace.folder, n=100_000)
    line = [str(path), "--text-column", "note", "--label-column", "kind", "--detector", "random", "--no-explain"]
    # Not ru_maxrss: a child begins with that of the process that started it.
    code = "import atexit, sys; from pathlib import Path; from ecgbench.cli import main; "
    code += "atexit.register(lambda: print(Path('/proc/self/status').read_text(), file=sys.stderr)); main()"
    command = [sys.executable, "-P", "-c", code, "scan", *line, *workspace.options]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert len(read_csv(workspace)) == 5000
    (peak,) = [int(line.split()[1]) for line in done.stderr.splitlines() if line.startswith("VmHWM")]
    assert peak < 500 * 1024  # KiB


@pytest.mark.slow
def test_real_models_find_swapped_labels_among_movie_snippets(workspace: Workspace) -> None:
    cache = make_cache(workspace.folder / "cache")
    plugins = load_plugins()
    data = load_dataset(DatasetChoice(name="movie_snippets", n=40), plugins, Cache.open(cache))
    swapped = (3, 8, 19, 30)
    path = workspace.folder / "snippets.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for i, (text, label) in enumerate(zip(data.texts, data.labels.tolist(), strict=True), 1):
            writer.writerow([text, data.description.label_names[label if i not in swapped else 1 - label]])
    options = ["--task", "sentiment of the review", "--depth", "labels", "--budget", "10%"]
    done = workspace.cli("scan", str(path), *options, *workspace.options)
    assert done.code == 0, done.err
    rows = read_json_lines(workspace)
    assert len(rows) == 4
    assert len({row["row"] for row in rows} & set(swapped)) >= 2
    for row in rows:
        assert all(span in row["text"] for span in row["evidence"])
        assert 0 < row["confidence"] <= 1
        assert len(row["neighbours"]) == 3


@pytest.mark.slow
def test_a_real_full_scan_gives_every_guard_of_a_cleaning_something_to_go_by(workspace: Workspace) -> None:
    cache = make_cache(workspace.folder / "cache")
    data = load_dataset(DatasetChoice(name="movie_snippets", n=40), load_plugins(), Cache.open(cache))
    path = workspace.folder / "snippets.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        labels = [data.description.label_names[label] for label in data.labels]
        csv.writer(file).writerows([["text", "label"], *zip(data.texts, labels, strict=True)])
    options = ["--task", "sentiment of the review", "--depth", "full", "--budget", "100%"]
    done = workspace.cli("scan", str(path), *options, *workspace.options)
    assert done.code == 0, done.err
    rows = read_json_lines(workspace)
    # Shares of all rows, and these are all of them: the least is 0, and half of them lie in the upper half.
    for key in ("outlier", "ease"):
        shares = [row[key] for row in rows]
        assert min(shares) == 0
        assert 10 <= sum(share >= 0.5 for share in shares) <= 20
    scan_file = str(workspace.folder / "out" / "scan.jsonl")
    done = workspace.cli("clean", str(path), "--scan", scan_file, "--top", "100%", "--json")
    assert done.code == 0, done.err
    report = json.loads(done.out)
    assert report["not_judged"] == []
    assert report["held_back_by"]["dynamics"] == sum(row["ease"] > 0.75 for row in rows) > 0
