"""`ecgbench run` on toy data, through the real command line: statuses, isolation, sharing, options."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from conftest import TOY, Workspace
from ecgbench.grid.sanity import SANITY_ROWS
from ecgbench.grid.selection import Selection
from ecgbench.results import CellRecord, Status

SANITY = len(SANITY_ROWS)


def scores_of(records: dict[str, CellRecord]) -> dict[str, str | None]:
    return {name: record.scores for name, record in records.items()}


def test_a_grid_gives_a_table_records_and_a_board(workspace: Workspace) -> None:
    done = workspace.run("toy_lengths,toy_votes", "--noise", "uniform,none", "--rate", "0.1,0.2", "--seeds", "0,1")
    assert done.code == 0, done.err
    assert "toy_votes" in done.out
    assert len(workspace.records) == (2 * 2 + 1 * 2) * (2 + SANITY)  # "none" takes no rate
    assert {record.status for record in workspace.records} == {Status.OK}
    assert workspace.by_detector["oracle"].metrics["auroc"] is None  # the last rows have no noise
    assert "toy_votes" in workspace.board.read_text(encoding="utf-8")
    assert workspace.cli("leaderboard", "--check", "--out", str(workspace.folder / "out")).code == 0


def test_three_classes_run_under_every_noise(workspace: Workspace) -> None:
    noises = "none,uniform,artifact_aligned,artifact_aligned[clean_marker_rate=0.05]"
    assert workspace.run("toy_votes", "--noise", noises, dataset="toy[classes=3]").code == 0
    assert {record.n_classes for record in workspace.records} == {3}
    marked = [r for r in workspace.records if r.noise == "artifact_aligned" and r.detector == "marker_probe"]
    assert [r.metrics["auroc"] == 1.0 for r in marked] == [True, False]


def test_json_is_one_array_of_records_and_nothing_else(workspace: Workspace) -> None:
    done = workspace.run("toy_lengths", "--json")
    assert [row["detector"] for row in json.loads(done.out)] == ["toy_lengths", *SANITY_ROWS]


def test_an_identical_run_computes_nothing_and_writes_nothing(workspace: Workspace) -> None:
    first = workspace.run("toy_lengths,toy_votes,toy_slow")
    calls, board, records = workspace.calls, workspace.board.read_bytes(), workspace.records
    again = workspace.run("toy_lengths,toy_votes,toy_slow")
    assert again.out == first.out
    assert workspace.calls == calls == {"TextLengths": 60, "WordVotes": 1, "Slow-a": 1}
    assert workspace.records == records
    assert workspace.board.read_bytes() == board


def test_another_noise_computes_no_text_it_has_seen(workspace: Workspace) -> None:
    workspace.run("toy_lengths", "--noise", "artifact_aligned", "--rate", "0.1")
    assert workspace.calls["TextLengths"] == 60
    workspace.run("toy_lengths", "--noise", "uniform", "--rate", "0.1,0.3", "--seeds", "0,1,2")
    assert workspace.calls["TextLengths"] == 60 + 6  # the six texts that carried a marker, without it
    workspace.run("toy_lengths", "--noise", "artifact_aligned", "--rate", "0.1", "--seeds", "1")
    assert workspace.calls["TextLengths"] == 60 + 6 + 6


def test_duplicate_texts_are_computed_once(workspace: Workspace) -> None:
    assert workspace.run("toy_lengths", "--noise", "uniform", dataset="toy[copies=20]").code == 0
    assert workspace.calls["TextLengths"] == 40


def test_empty_texts_are_texts(workspace: Workspace) -> None:
    done = workspace.run("toy_lengths,toy_votes", "--noise", "uniform,artifact_aligned", dataset="toy[blank=4]")
    assert done.code == 0, done.out


@pytest.mark.parametrize(
    ("fault", "status", "reason"),
    [
        ("a_nan", "invalid", "1 of 60 scores are not finite (first: nan at item 3)"),
        ("an_inf", "invalid", "1 of 60 scores are not finite (first: inf at item 3)"),
        ("short", "invalid", "the scores have shape (59,), expected (60,)"),
        ("column", "invalid", "the scores have shape (60, 1), expected (60,)"),
        ("strings", "invalid", "the scores are of type <U4, expected float64"),
        ("bools", "invalid", "the scores are of type bool, expected float64"),
        ("ragged", "invalid", "the scores are no array"),
        ("none", "invalid", "the scores have shape (), expected (60,)"),
        ("raise", "failed", "toy_bad: RuntimeError: the detector broke"),
        ("exit", "failed", "toy_bad: SystemExit: 0"),
        ("undeclared", "failed", "was read but not declared (declared: none): add it to needs()"),
        ("write", "failed", "toy_bad: ValueError: assignment destination is read-only"),
    ],
)
def test_a_bad_detector_is_reported_and_harms_no_other(
    workspace: Workspace, fault: str, status: str, reason: str
) -> None:
    assert workspace.run("toy_lengths,toy_votes").code == 0
    alone = scores_of(workspace.by_detector)
    (workspace.folder / "out" / "results" / "toy.jsonl").unlink()
    done = workspace.run(f"toy_lengths,toy_bad[fault={fault}],toy_votes")
    assert done.code == 1
    found = workspace.by_detector
    bad = found.pop("toy_bad")
    assert (bad.status, bad.scores, dict(bad.metrics)) == (status, None, {})
    assert bad.reason is not None
    assert reason in bad.reason
    assert "\n" not in bad.reason
    assert bad.reason in done.out
    assert "Traceback" not in done.err
    assert scores_of(found) == alone
    assert {record.status for record in found.values()} == {Status.OK}


@pytest.mark.parametrize("fault", ["raise", "exit", "objects", "unpackable", "key"])
def test_a_bad_artifact_fails_what_needs_it_and_nothing_else(workspace: Workspace, fault: str) -> None:
    done = workspace.run(f"toy_on_broken[fault={fault}],toy_votes")
    assert done.code == 1, done.err
    found = workspace.by_detector
    assert (found["toy_on_broken"].status, found["toy_votes"].status) == (Status.FAILED, Status.OK)
    assert "Broken" in str(found["toy_on_broken"].reason)


@pytest.mark.parametrize(
    ("detector", "status", "reason"),
    [
        ("toy_missing", "skipped", "toy_missing needs no_such_module, which is not installed: pip install"),
        ("toy_absent", "failed", "cannot import"),
        ("toy_wishful", "failed", "toy_wishful: RuntimeError: needs broke"),
    ],
)
def test_a_detector_that_cannot_be_built_says_why(
    workspace: Workspace, detector: str, status: str, reason: str
) -> None:
    assert workspace.run(f"{detector},toy_lengths").code == 1
    found = workspace.by_detector
    assert found[detector].status == status
    assert reason in str(found[detector].reason)
    assert found["toy_lengths"].status is Status.OK


@pytest.mark.parametrize(
    ("fault", "status", "reason"),
    [
        ("rate", "invalid", "made 0 labels wrong, rate 0.1 asks 6"),
        ("range", "invalid", "labels from 5 to 6; they must lie in 0..1"),
        ("type", "invalid", "labels of type float64, not integers"),
        ("length", "invalid", "labels of shape (59,) for 60 items"),
        ("exit", "failed", "SystemExit: 3"),
    ],
)
def test_a_bad_noise_model_spoils_its_own_rows_only(workspace: Workspace, fault: str, status: str, reason: str) -> None:
    done = workspace.run("toy_lengths", "--noise", f"toy_careless[fault={fault}],uniform")
    assert done.code == 1, done.err
    careless = [record for record in workspace.records if record.noise == "toy_careless"]
    assert [record.status for record in careless] == [status] * (1 + SANITY)
    assert all(reason in str(record.reason) for record in careless)
    assert {record.status for record in workspace.records if record.noise == "uniform"} == {Status.OK}


@pytest.mark.parametrize(("fault", "reason"), [("raise", "the metric broke"), ("nan", "returned nan"), ("exit", "3")])
def test_a_bad_metric_is_null_with_a_reason(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, fault: str, reason: str
) -> None:
    monkeypatch.setenv("ECGBENCH_TOY_METRIC", fault)
    assert workspace.run("toy_lengths").code == 0
    record = workspace.by_detector["toy_lengths"]
    assert record.metrics["toy_mean"] is None
    assert reason in record.metric_reasons["toy_mean"]
    assert isinstance(record.metrics["auroc"], float)


def test_a_new_metric_is_added_from_kept_scores_without_a_new_run(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.run("toy_slow")
    monkeypatch.setenv("ECGBENCH_TOY_METRIC", "ok")
    workspace.run("toy_slow")
    assert workspace.calls == {"Slow-a": 1}
    old, new = (r for r in workspace.records if r.detector == "toy_slow")
    assert "toy_mean" not in old.metrics
    assert isinstance(new.metrics["toy_mean"], float)
    assert (new.scores, new.metrics["auroc"]) == (old.scores, old.metrics["auroc"])
    assert "toy_mean" in workspace.board.read_text(encoding="utf-8")
    # The truth is kept nowhere: the harness's own rows are scored anew.
    assert {name: workspace.by_detector[name].metrics["toy_mean"] for name in SANITY_ROWS} == {
        "oracle": 0.1,
        "marker_probe": 0.1,
        "none": 0.0,
    }


@pytest.mark.parametrize(("rerun", "computed"), [("missing", []), ("failed", ["toy_bad"]), ("all", None)])
def test_rerun_chooses_the_cells(workspace: Workspace, rerun: str, computed: list[str] | None) -> None:
    workspace.run("toy_lengths,toy_bad,toy_slow")
    before = workspace.records
    workspace.run("toy_lengths,toy_bad,toy_slow", "--rerun", rerun)
    again = [record.detector for record in workspace.records[len(before) :]]
    assert again == ([record.detector for record in before] if computed is None else computed)
    assert workspace.calls["TextLengths"] == 60  # what is computed stays computed
    assert workspace.calls["Slow-a"] == (2 if rerun == "all" else 1)


def test_fail_fast_stops_at_the_first_bad_cell_and_keeps_what_is_done(workspace: Workspace) -> None:
    done = workspace.run("toy_lengths,toy_bad,toy_slow", "--fail-fast")
    assert done.code == 1
    assert done.error == "error: stopped at toy_bad: failed: toy_bad: RuntimeError: the detector broke"
    assert [record.detector for record in workspace.records] == ["toy_lengths", "toy_bad"]
    assert workspace.run("toy_lengths,toy_bad,toy_slow").code == 1
    assert len(workspace.records) == 3 + SANITY


def test_parameters_make_columns_of_their_own(workspace: Workspace) -> None:
    workspace.run("toy_lengths,toy_lengths[sign=-1]")
    params = [dict(r.detector_params) for r in workspace.records if r.detector == "toy_lengths"]
    assert params == [{}, {"sign": -1}]
    assert "toy_lengths[sign=-1]" in workspace.board.read_text(encoding="utf-8").replace("\\", "")


def test_a_parameter_at_its_default_is_the_same_column(workspace: Workspace) -> None:
    workspace.run("toy_lengths,toy_lengths[power=1.0],toy_lengths[power=1]")
    assert [dict(r.detector_params) for r in workspace.records if r.detector == "toy_lengths"] == [{}]


def test_param_sets_a_parameter_of_detector_noise_and_dataset(workspace: Workspace) -> None:
    params = ["toy_lengths.power=2", "artifact_aligned.clean_marker_rate=0.5", "toy.size=40"]
    done = workspace.run("toy_lengths", "--noise", "artifact_aligned", *(f"--param={p}" for p in params))
    assert done.code == 0, done.err
    record = workspace.by_detector["toy_lengths"]
    assert (record.n, dict(record.detector_params)) == (40, {"power": 2.0})
    assert dict(record.noise_params) == {"clean_marker_rate": 0.5}


def test_n_draws_a_sample_that_seeds_share(workspace: Workspace) -> None:
    workspace.run("toy_lengths", "--n", "20", "--noise", "uniform", "--seeds", "0,1,2")
    assert {record.n for record in workspace.records} == {20}
    assert workspace.calls["TextLengths"] == 20


def test_a_suite_file_is_a_grid_and_options_change_it(workspace: Workspace, tmp_path: Path) -> None:
    suite = tmp_path / "mine.toml"
    suite.write_text(
        'name = "mine"\ndetectors = [{ name = "toy_lengths", params = { sign = -1 } }]\n'
        '[[datasets]]\nname = "toy"\nn = 30\n[[noises]]\nname = "uniform"\nrates = [0.1, 0.2]\n'
    )
    assert workspace.cli("run", "--suite", str(suite), *workspace.options).code == 0
    assert len(workspace.records) == 2 * (1 + SANITY)
    assert {(r.run, r.n) for r in workspace.records} == {("mine", 30)}
    assert workspace.cli("run", "--suite", str(suite), "--seeds", "5", "--n", "all", *workspace.options).code == 0
    assert {(r.n, r.seed) for r in workspace.records} == {(30, 0), (60, 5)}


def test_a_corrupted_object_is_computed_again_with_a_warning_and_the_same_scores(
    workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    workspace.run("toy_votes")
    before = scores_of(workspace.by_detector)
    for path in (workspace.folder / "cache" / "objects").glob("??/*/value.npy"):
        path.write_bytes(path.read_bytes()[:-1] + b"\x00")
    done = workspace.run("toy_votes", "--rerun", "all")
    assert done.code == 0, done.out
    assert "is corrupted" in caplog.text
    assert workspace.calls["WordVotes"] == 2
    assert scores_of(workspace.by_detector) == before


def test_a_corrupted_row_is_computed_again_with_a_warning_and_the_same_scores(
    workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    workspace.run("toy_lengths")
    before = scores_of(workspace.by_detector)
    with sqlite3.connect(workspace.folder / "cache" / "rows.sqlite") as connection:
        key = connection.execute("SELECT key FROM rows").fetchone()[0]
        connection.execute("UPDATE rows SET value = x'39' WHERE key = ?", [key])
    connection.close()
    assert workspace.run("toy_lengths", "--rerun", "all").code == 0
    assert "is corrupted" in caplog.text
    assert workspace.calls["TextLengths"] == 60 + 1
    assert scores_of(workspace.by_detector) == before


def test_scores_do_not_depend_on_what_else_is_in_the_grid(workspace: Workspace) -> None:
    workspace.run("toy_slow,toy_votes", "--noise", "uniform")
    few = scores_of(workspace.by_detector)
    (workspace.folder / "out" / "results" / "toy.jsonl").unlink()
    workspace.run("random,toy_bad,toy_lengths,toy_votes,toy_slow", "--noise", "none,uniform", "--seeds", "1,0")
    many = {r.detector: r.scores for r in workspace.records if (r.noise, r.seed) == ("uniform", 0)}
    assert {name: many[name] for name in few} == few


def test_the_same_seed_gives_the_same_records_in_a_fresh_cache(workspace: Workspace) -> None:
    workspace.run("toy_votes,toy_slow,random")
    first = {name: (r.scores, r.ranking, r.metrics) for name, r in workspace.by_detector.items()}
    workspace.cli("cache", "prune", "--all", "--cache", str(workspace.folder / "cache"))
    workspace.run("toy_votes,toy_slow,random", "--rerun", "all")
    assert workspace.calls["WordVotes"] == 2
    assert {name: (r.scores, r.ranking, r.metrics) for name, r in workspace.by_detector.items()} == first


def test_too_few_texts_for_the_folds_are_skipped_before_a_model_loads(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ecgbench.artifacts.classifier.load_classifier", lambda *_: pytest.fail("a model was loaded"))
    done = workspace.run("loss,toy_lengths", "--noise", "uniform", "--rate", "0.25", dataset="toy[size=4]")
    assert done.code == 1
    assert workspace.by_detector["loss"].status is Status.SKIPPED
    assert "4 distinct texts are too few for 5 folds" in str(workspace.by_detector["loss"].reason)
    assert workspace.by_detector["toy_lengths"].status is Status.OK


def test_a_file_with_string_labels_runs(workspace: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "my reviews.csv"
    file.write_text("words,topic\n" + "".join(f"text {i},{('sports', 'politics')[i % 2]}\n" for i in range(40)))
    options = ["--text-column", "words", "--label-column", "topic", "--noise", "uniform"]
    done = workspace.run("toy_lengths", *options, dataset=f"file:{file}")
    assert done.code == 0, done.err
    assert {(record.dataset, record.n_classes) for record in workspace.records} == {("file:my reviews.csv", 2)}


def test_a_file_with_noise_of_its_own_is_judged_by_its_true_labels(workspace: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "checked.csv"
    rows = (f"text {i},{(i + (i % 10 == 0)) % 2},{i % 2}\n" for i in range(40))
    file.write_text("text,given,true\n" + "".join(rows))
    options = ["--label-column", "given", "--true-label-column", "true", "--noise", "none"]
    done = workspace.run("toy_lengths", *options, dataset=f"file:{file}")
    assert done.code == 0, done.err
    oracle = workspace.by_detector["oracle"]
    assert (oracle.rate, oracle.realised_rate, oracle.metrics["auroc"]) == (0.0, 0.1, 1.0)


def test_a_record_names_the_plugin_and_no_folder_of_this_machine(workspace: Workspace, tmp_path: Path) -> None:
    workspace.run("toy_lengths,toy_bad")
    assert workspace.by_detector["toy_lengths"].versions["toy.py"] == "file"
    published = (workspace.folder / "out" / "results" / "toy.jsonl").read_text() + workspace.board.read_text("utf-8")
    assert str(TOY.parent) not in published
    assert str(tmp_path) not in published


@pytest.mark.parametrize(
    ("dataset", "name"),
    [
        ("toy", "toy"),
        ("toy[copies=10,size=40]", "toy"),
        ("toy,movie_snippets", "toy"),
        ("file:embedded.csv", "file-embedded"),
        ("file:./my data/embedded.csv[text_column='a/b.c']", "file-embedded"),
        ('file:"/data/a,b [1].csv"', "file-a-b-1"),
        ("file", "file"),
        (None, "movie_snippets"),
    ],
)
def test_a_run_is_named_by_its_first_dataset(dataset: str | None, name: str) -> None:
    from ecgbench.cli.options import GridOptions
    from ecgbench.plugins import load_plugins

    assert GridOptions(dataset=dataset).build(load_plugins([TOY])).name == name


def test_a_file_with_a_comma_in_its_name_can_be_given(workspace: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "a,b.csv"
    file.write_text("text,label\n" + "".join(f"text {i},{i % 2}\n" for i in range(40)))
    done = workspace.run("toy_lengths", dataset=f'file:"{file}",toy')
    assert done.code == 0, done.err
    assert {(record.run, record.dataset) for record in workspace.records} == {
        ("file-a-b", "file:a,b.csv"),
        ("file-a-b", "toy"),
    }


def test_the_options_for_files_leave_other_datasets_alone(workspace: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_text("words,label\n" + "".join(f"text {i},{i % 2}\n" for i in range(40)))
    done = workspace.run("toy_lengths", "--text-column", "words", dataset=f"toy,file:{file}")
    assert done.code == 0, done.err
    assert {record.dataset for record in workspace.records} == {"toy", "file:mine.csv"}


def test_a_bad_line_in_another_results_file_does_not_hide_a_finished_run(workspace: Workspace) -> None:
    results = workspace.folder / "out" / "results"
    results.mkdir(parents=True)
    (results / "other.jsonl").write_text("not json\n")
    done = workspace.run("toy_lengths")
    assert done.code == 1
    assert "toy_lengths" in done.out
    assert "other.jsonl, line 1: not JSON" in done.error


def test_rates_that_differ_little_are_two(workspace: Workspace) -> None:
    workspace.run("toy_lengths", "--noise", "uniform", "--rate", "0.1,0.1000000001,0.1")
    assert sorted({record.rate for record in workspace.records}) == [0.1, 0.1000000001]


def test_two_plugin_files_work_side_by_side(workspace: Workspace, tmp_path: Path) -> None:
    other = tmp_path / "other.py"
    other.write_text(TOY.read_text().replace("toy", "boy"))
    assert workspace.run("toy_lengths,boy_lengths[sign=-1]", "--plugin", str(other)).code == 0
    assert {"toy_lengths", "boy_lengths"} <= set(workspace.by_detector)


PAIR = "toy_lengths,toy_lengths[power=2],toy_slow,toy_lengths[sign=-1]"


def redundant_of(workspace: Workspace) -> dict[str, dict[str, float]]:
    """Return what the last record of each detector says of others, by its name with parameters."""
    return {str(Selection(r.detector, r.detector_params)): dict(r.redundant) for r in workspace.records}


def test_a_record_names_the_detectors_before_it_that_it_ranks_like(workspace: Workspace) -> None:
    assert workspace.run(PAIR, "--seeds", "0,1").code == 0
    found = redundant_of(workspace)
    assert found.pop("toy_lengths[power=2.0]") == {"toy_lengths": 1.0}
    assert found.pop("toy_lengths[sign=-1]") == {"toy_lengths": -1.0, "toy_lengths[power=2.0]": -1.0}
    assert set(map(str, found.values())) == {"{}"}
    board = workspace.board.read_text(encoding="utf-8").replace("\\", "")
    assert "- toy_lengths and toy_lengths[power=2.0] rank identically in every cell" in board
    assert "- toy_lengths and toy_lengths[sign=-1] rank almost in reverse: |Spearman| at least 1.000" in board
    assert "almost alike" not in board


def test_a_detector_that_is_added_later_is_compared_with_what_is_there(workspace: Workspace) -> None:
    workspace.run("toy_lengths")
    workspace.run("toy_slow,toy_lengths[power=2]")
    assert redundant_of(workspace)["toy_lengths[power=2.0]"] == {"toy_lengths": 1.0}


def test_a_cell_that_is_computed_again_keeps_its_pairs_on_the_board(workspace: Workspace) -> None:
    workspace.run(PAIR)
    board = workspace.board.read_bytes()
    workspace.run("toy_lengths", "--rerun", "all")
    assert redundant_of(workspace)["toy_lengths"] == {"toy_lengths[power=2.0]": 1.0, "toy_lengths[sign=-1]": -1.0}
    assert workspace.board.read_bytes() == board
    workspace.run(PAIR, "--rerun", "all")
    assert workspace.board.read_bytes() == board


def test_a_new_metric_keeps_the_pairs(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace.run(PAIR)
    monkeypatch.setenv("ECGBENCH_TOY_METRIC", "ok")
    workspace.run(PAIR)
    assert "rank almost in reverse" in workspace.board.read_text(encoding="utf-8")


def test_a_detector_against_the_truth_is_told_under_the_table(workspace: Workspace) -> None:
    done = workspace.run("toy_votes,toy_lengths", "--noise", "toy_careless[fault=rate],uniform", "--rate", "0.1")
    assert "ranks against the truth" not in done.out
    upside_down = workspace.folder / "down.py"
    upside_down.write_text(TOY.read_text().replace("toy", "down").replace("votes + jitter", "-votes - jitter"))
    done = workspace.run("down_votes", "--noise", "uniform", "--plugin", str(upside_down))
    auroc = workspace.by_detector["down_votes"].metrics["auroc"]
    assert isinstance(auroc, float)
    line = f"down_votes ranks against the truth: AUROC {auroc:.3f}, flipped {1 - auroc:.3f}"
    assert f"- {line}" in done.out
    assert f"- {line}" in workspace.board.read_text(encoding="utf-8")
