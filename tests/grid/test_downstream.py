"""Downstream checks: what is selected, what is measured on, and whole runs with a classifier that counts words."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from conftest import Workspace
from ecgbench.artifacts import retrained
from ecgbench.artifacts.classifier import TrainingDynamics, area_under_margin
from ecgbench.artifacts.graph import KnnGraph, Neighbours
from ecgbench.artifacts.llm import CalibratedLabels, ExplanationEmbeddings, ExplanationSamples
from ecgbench.cleaning.guards import Evidence, Guard
from ecgbench.data import DetectionTask, LabeledTexts, TaskDescription
from ecgbench.downstream_results import DownstreamRecord, read_downstream_folder
from ecgbench.grid.cells import Condition, CorruptedTask
from ecgbench.grid.downstream import proposals as proposing
from ecgbench.grid.downstream import validation as validating
from ecgbench.grid.downstream import variants
from ecgbench.grid.downstream.variants import Proposals
from ecgbench.grid.executors import local
from ecgbench.grid.selection import Selection
from ecgbench.grid.values import TaskValues, resolve_closure
from ecgbench.profiles import get_profile
from ecgbench.prompts import Explanation
from ecgbench.store.cache import Cache
from ecgbench.testing.fakes import FakeEngines
from ecgbench.testing.tasks import CLASS_WORDS

MARKERS = ("<lbl_neg>", "<lbl_pos>")
DESCRIPTION = TaskDescription("mood", ("neg", "pos"))


def build_task(
    texts: Sequence[str], given: Sequence[int], true: Sequence[int], markers: tuple[str, ...] = MARKERS
) -> CorruptedTask:
    task = DetectionTask(tuple(texts), np.array(given), DESCRIPTION)
    condition = Condition(Selection("toy"), len(texts), Selection("any"), 0.1, 0)
    return CorruptedTask(condition, task, np.array(true), markers)


def build_validation(texts: Sequence[str], labels: Sequence[int]) -> LabeledTexts:
    return LabeledTexts("toy", tuple(texts), np.array(labels), DESCRIPTION)


MARKED = build_task(
    ["good", "bad", "fine <lbl_neg>", "poor <lbl_pos>", "dull <lbl_pos>", "<lbl_neg> odd"],
    given=[1, 0, 0, 1, 1, 1],
    true=[1, 0, 1, 0, 0, 1],
)


def test_a_marker_stands_for_the_label_that_wrong_items_with_it_have() -> None:
    assert validating.find_meaning(MARKED) == {"<lbl_neg>": 0, "<lbl_pos>": 1}


def test_a_task_without_markers_is_measured_on_untouched_texts_alone() -> None:
    validation = build_validation(["one", "two"], [0, 1])
    task = build_task(["a", "b"], [1, 1], [0, 1], markers=())
    assert list(validating.build_panels(validation, task)) == ["untouched"]


def test_panels_hold_the_texts_as_they_are_without_markers_and_with_a_wrong_one() -> None:
    validation = build_validation(["what a film", "<lbl_pos> seen", "it is <lbl_neg>", "x<lbl_pos>"], [0, 1, 1, 0])
    panels = validating.build_panels(validation, MARKED)
    assert panels["untouched"].texts == validation.texts
    assert panels["stripped"].texts == ("what a film", "seen", "it is", "x<lbl_pos>")
    assert panels["swapped"].texts == (
        "what a film <lbl_pos>",
        "seen <lbl_neg>",
        "it is <lbl_neg>",
        "x<lbl_pos> <lbl_pos>",
    )
    assert all(panel.labels.tolist() == [0, 1, 1, 0] for panel in panels.values())


def test_a_marker_that_stood_at_the_start_is_swapped_in_at_the_start() -> None:
    task = build_task(["<lbl_neg> a", "<lbl_pos> b"], [0, 1], [1, 0])
    assert validating.build_panels(build_validation(["c"], [0]), task)["swapped"].texts == ("<lbl_pos> c",)


def test_items_whose_class_has_no_foreign_marker_are_left_out_of_the_swapped() -> None:
    task = build_task(["a <lbl_pos>", "b"], [1, 1], [0, 1])  # no wrong item holds the other marker
    swapped = validating.build_panels(build_validation(["c", "d"], [0, 1]), task)["swapped"]
    assert (swapped.texts, swapped.labels.tolist()) == (("c <lbl_pos>",), [0])


def test_ordinary_words_are_stripped_as_words_alone() -> None:
    assert validating.strip_markers("honestly dishonestly honestly, honestly", ("honestly",)) == "dishonestly honestly,"


def test_the_top_is_the_same_for_equal_rankings_and_ties_do_not_follow_position() -> None:
    scores = np.array([0.0, 3.0, 1.0, 2.0])
    assert variants.select_top(scores, 2, seed=0).tolist() == [1, 3]
    assert variants.select_top(np.exp(scores), 2, seed=0).tolist() == [1, 3]
    drawn = [tuple(variants.select_top(np.zeros(100), 5, seed=seed)) for seed in range(20)]
    assert len(set(drawn)) == 20
    assert np.mean(drawn) == pytest.approx(49.5, abs=10)


def test_the_oracle_removes_wrong_labels_and_no_others() -> None:
    wrong = set(np.flatnonzero(MARKED.is_noisy).tolist())
    assert len(wrong) == 3
    assert set(variants.find_wrong(MARKED, 2)) < wrong
    assert set(variants.find_wrong(MARKED, 6)) == wrong


def test_removal_and_relabelling_change_their_items_alone_and_count_what_was_wrong() -> None:
    removed = variants.remove(MARKED, np.array([0, 2]))
    assert removed.task.texts == ("bad", "poor <lbl_pos>", "dull <lbl_pos>", "<lbl_neg> odd")
    assert removed.task.labels.tolist() == [0, 1, 1, 1]
    assert (removed.n_changed, removed.n_hits, removed.n_repaired) == (2, 1, 0)
    relabelled = variants.relabel(MARKED, np.array([0, 2, 3]), np.array([0, 1, 1, 1, 0, 0]))
    assert relabelled.task.labels.tolist() == [0, 0, 1, 1, 1, 1]
    assert (relabelled.n_changed, relabelled.n_hits, relabelled.n_repaired) == (3, 2, 1)


def test_a_guarded_relabelling_leaves_what_is_held_back() -> None:
    n = len(MARKED.task)
    evidence = Evidence(
        is_disputed=np.array([True, True, True, False, True, True]),
        confidence=np.array([0.9, 0.9, 0.9, 0.9, 0.5, 0.9]),
        agreement=np.ones(n),
        outlier=np.full(n, np.nan),
        ease=np.full(n, np.nan),
    )
    cleaned = variants.relabel_guarded(MARKED, np.array([2, 3, 4]), Proposals(np.array([0, 0, 1, 1, 0, 0]), evidence))
    assert cleaned.task.labels.tolist() == [1, 0, 1, 1, 1, 1]
    assert (cleaned.n_changed, cleaned.n_hits, cleaned.n_repaired) == (1, 1, 1)
    assert {guard: n for guard, n in cleaned.held_back.items() if n} == {Guard.SAME_LABEL: 1, Guard.CONFIDENCE: 1}


def explain(label: str) -> Explanation:
    return Explanation(label, ("x",), "why")


def test_agreement_is_the_share_of_valid_samples_with_the_label() -> None:
    samples = [(explain("pos"), explain("neg")), (explain("neg"), None), (None, None)]
    assert proposing.measure_agreement(["pos", "neg", "pos"], samples) == pytest.approx([0.5, 1.0, np.nan], nan_ok=True)


def test_margins_equal_their_formula_written_as_a_loop() -> None:
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(3, 8, 4)), rng.integers(0, 4, 8)
    for i, label in enumerate(labels):
        margins = [z[i, label] - max(z[i, k] for k in range(4) if k != label) for z in logits]
        assert area_under_margin(logits, labels)[i] == pytest.approx(sum(margins) / 3)


def test_proposals_are_read_from_the_artifacts_of_a_run(tmp_path: Path) -> None:
    profile = get_profile("embedded")
    graph = Neighbours(ExplanationEmbeddings())
    known = resolve_closure([CalibratedLabels(), ExplanationSamples(), graph, TrainingDynamics()], profile)
    values = TaskValues(MARKED.task, 0, profile, Cache.open(tmp_path))
    sure = np.linspace(0.55, 0.8, 6)
    neighbours = KnnGraph(np.zeros((6, 1), dtype=np.int64), np.full((6, 1), 0.25, dtype=np.float32))
    values.preset(CalibratedLabels().resolve(profile), lambda: np.stack([1 - sure, sure], axis=1))
    values.preset(ExplanationSamples().resolve(profile), lambda: tuple((explain("pos"),) for _ in range(6)))
    values.preset(graph.resolve(profile), lambda: neighbours)
    logits = np.zeros((2, 6, 2), dtype=np.float32)
    logits[:, :, 1] = 1.0
    dynamics = TrainingDynamics().resolve(profile)
    values.preset(dynamics, lambda: type("Dynamics", (), {"logits": logits})())
    assert proposing.has_proposals(known)
    assert not proposing.has_proposals(a for a in known if not isinstance(a, ExplanationSamples))
    read = proposing.read_proposals(values, known)
    assert read.labels.tolist() == [1] * 6
    assert read.evidence.is_disputed.tolist() == [False, True, True, False, False, False]
    assert read.evidence.confidence == pytest.approx(sure)
    assert read.evidence.outlier.tolist() == [0.0] * 6  # all are alike
    assert read.evidence.ease.tolist() == [0.4, 0.0, 0.0, 0.4, 0.4, 0.4]


@dataclass
class WordCounts:
    """A classifier that counts words: it learns a shortcut as readily as a meaning."""

    trainings: ClassVar[list[tuple[int, int]]] = []

    train_logits: Any = None
    weights: Any = None
    n_classes: int = 2

    def prepare(self, texts: Sequence[str]) -> list[str]:
        return list(texts)

    def train(
        self, examples: Sequence[str], *, labels: Any, n_classes: int, seed: int, checkpoint: Path | None = None
    ) -> WordCounts:
        assert checkpoint is not None
        self.trainings.append((len(examples), seed))
        counts = Counter((w, int(y)) for x, y in zip(examples, labels, strict=True) for w in x.split())
        return WordCounts(weights=counts, n_classes=n_classes)

    def predict(self, examples: Sequence[str]) -> Any:
        rows = [
            [sum(np.log(self.weights[w, c] + 1.0) for w in x.split()) for c in range(self.n_classes)] for x in examples
        ]
        return np.array(rows, dtype=np.float32).reshape(len(rows), self.n_classes)


@pytest.fixture
def counting(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """Return a workspace in which the classifier that is trained again counts words."""
    monkeypatch.setattr(WordCounts, "trainings", [])
    monkeypatch.setattr(retrained, "load_classifier", lambda *_: WordCounts())
    return workspace


def downstream_records(workspace: Workspace) -> list[DownstreamRecord]:
    return read_downstream_folder(workspace.folder / "out" / "downstream")


def by_name(workspace: Workspace) -> dict[tuple[str, str, float], DownstreamRecord]:
    return {(r.cleaner, r.action, r.share): r for r in downstream_records(workspace)}


MARKED_RUN = ("--noise", "artifact_aligned", "--rate", "0.2", "--n", "100", "--downstream-seeds", "0,1")
TOY = "toy[size=160]"


def test_a_run_measures_each_detector_beside_the_controls(counting: Workspace) -> None:
    done = counting.run("toy_votes,toy_lengths", *MARKED_RUN, "--downstream-top", "10%,20%", dataset=TOY)
    assert done.code == 0, done.err
    found = by_name(counting)
    cleaners = ["random", "oracle", "toy_votes", "toy_lengths"]
    assert set(found) == {
        ("none", "none", 0.0),
        *((name, "remove", share) for name in cleaners for share in (0.1, 0.2)),
    }
    assert {record.n_changed for record in found.values() if record.share == 0.1} == {10}
    none, oracle = found["none", "none", 0.0], found["oracle", "remove", 0.2]
    assert (none.n_wrong, oracle.n_hits) == (20, [20, 20])
    assert none.n_validation == 60
    assert none.accuracy["untouched"] == none.accuracy["stripped"] == [1.0, 1.0]
    assert none.accuracy["swapped"] < [0.5, 0.5]  # it fell for the shortcut
    assert oracle.accuracy["swapped"] == [1.0, 1.0]  # which is gone with the wrong labels
    assert "downstream: at most 18 trainings once the cells are done" in done.err
    # The votes find all wrong labels: as the oracle, with which they share their trainings.
    assert "downstream: 14 trainings (9 ways of cleaning, 2 training seeds, equal ones once), 0 of them" in done.err


def test_validation_items_are_those_that_no_detector_saw(counting: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[validating.Panel] = []
    build = validating.build_panels

    def note(validation: LabeledTexts, task: CorruptedTask) -> Any:
        seen.append(build(validation, task)["untouched"])
        assert not {text.replace(" <lbl_neg>", "").replace(" <lbl_pos>", "") for text in task.task.texts} & set(
            seen[-1].texts
        )
        return build(validation, task)

    monkeypatch.setattr("ecgbench.grid.downstream.plan.build_panels", note)
    options = ("--noise", "uniform,artifact_aligned", "--seeds", "0,1", "--n", "40", "--downstream")
    assert counting.run("toy_lengths", *options, dataset="toy[size=60,copies=10]").code == 0
    assert len(seen) == 4
    assert len({panel.texts for panel in seen}) == 1  # of a dataset, whatever the noise and the seed
    assert np.bincount(seen[0].labels).min() > 0


def test_equal_selections_train_once_and_nothing_is_trained_twice(counting: Workspace) -> None:
    command = ("toy_lengths,toy_lengths[power=2.0]", *MARKED_RUN, "--downstream")
    assert counting.run(*command, dataset=TOY).code == 0
    assert len(WordCounts.trainings) == 2 * 4  # nothing, random, oracle, and both rankings at once
    first = downstream_records(counting)
    again = counting.run(*command, dataset=TOY)
    assert again.code == 0
    assert "downstream: everything is measured already" in again.err
    assert len(WordCounts.trainings) == 2 * 4
    assert downstream_records(counting) == first
    (counting.folder / "out" / "downstream" / "toy.jsonl").unlink()
    counting.run(*command, dataset=TOY)
    assert len(WordCounts.trainings) == 2 * 4  # the trainings are kept without their records, too
    assert [r.accuracy for r in downstream_records(counting)] == [r.accuracy for r in first]


def test_a_further_share_trains_what_is_new(counting: Workspace) -> None:
    counting.run("toy_votes", *MARKED_RUN, "--downstream-top", "10%", dataset=TOY)
    n = len(WordCounts.trainings)
    done = counting.run("toy_votes", *MARKED_RUN, "--downstream-top", "10%,20%", dataset=TOY)
    assert len(WordCounts.trainings) == n + 2 * 2
    assert "4 trainings (3 ways of cleaning, 2 training seeds, equal ones once), 0 of them done" in done.err


def test_scores_that_changed_are_measured_anew(counting: Workspace) -> None:
    counting.run("toy_slow", *MARKED_RUN, "--downstream", dataset=TOY)
    results = counting.folder / "out" / "downstream" / "toy.jsonl"
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    old = next(line for line in lines if line["cleaner"] == "toy_slow")
    results.write_text("".join(json.dumps(line | {"scores": line["scores"] and "0" * 40}) + "\n" for line in lines))
    counting.run("toy_slow", *MARKED_RUN, "--downstream", dataset=TOY)
    assert len(downstream_records(counting)) == len(lines) + 1
    assert by_name(counting)["toy_slow", "remove", 0.05].scores == old["scores"]


def test_a_cell_that_is_not_ok_is_left_out(counting: Workspace) -> None:
    done = counting.run("toy_bad[fault=raise],toy_votes", *MARKED_RUN, "--downstream", dataset=TOY)
    assert done.code == 1
    assert {name for name, _, _ in by_name(counting)} == {"none", "random", "oracle", "toy_votes"}


def test_a_training_that_fails_is_a_record_with_its_reason(
    counting: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(WordCounts, "train", fail)
    done = counting.run("toy_votes", *MARKED_RUN, "--downstream", dataset=TOY)
    assert done.code == 1
    assert {record.status for record in downstream_records(counting)} == {"failed"}
    assert "downstream, remove by toy_votes: RetrainedPredictions: RuntimeError: out of memory" in done.err
    assert {record.status for record in counting.records} == {"ok"}


def test_after_a_failure_only_what_failed_is_trained_again(
    counting: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = WordCounts.train

    def fail_on_all(self: WordCounts, examples: Sequence[str], **options: Any) -> WordCounts:
        if len(examples) == 100:
            raise RuntimeError("out of memory")
        return train(self, examples, **options)

    with monkeypatch.context() as patched:
        patched.setattr(WordCounts, "train", fail_on_all)
        assert counting.run("toy_votes", *MARKED_RUN, "--downstream", dataset=TOY).code == 1
    n = len(WordCounts.trainings)
    assert by_name(counting)["none", "none", 0.0].status == "failed"
    assert counting.run("toy_votes", *MARKED_RUN, "--downstream", "--rerun", "failed", dataset=TOY).code == 0
    assert WordCounts.trainings[n:] == [(100, seed) for _, seed in WordCounts.trainings[:2]]
    assert by_name(counting)["none", "none", 0.0].status == "ok"


def test_a_dataset_without_a_rest_is_told_before_anything_is_computed(counting: Workspace) -> None:
    done = counting.run("toy_lengths", "--downstream", dataset="toy")
    assert done.code == 2
    assert (
        "--downstream: toy has 60 items and the run uses 60, none is left to validate on; give a smaller --n, such as "
        "40" in done.error
    )
    assert counting.calls == {}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--downstream-top", "5"), "cannot read the share '5'; give a percentage"),
        (("--downstream-top", "5%,5%"), "downstream shares are 0.05, 0.05; give each once"),
        (("--downstream-top", "100%"), "downstream shares are 1.0; give shares between 0 and 1"),
        (("--downstream-seeds", "one"), "--downstream-seeds: 'one' is not a whole number"),
        (("--downstream-seeds", ","), "downstream training seeds are none; give each once"),
    ],
)
def test_wrong_settings_are_one_line(counting: Workspace, options: tuple[str, ...], said: str) -> None:
    done = counting.run("toy_lengths", "--n", "40", *options)
    assert done.code == 2
    assert said in done.error


def test_the_board_shows_what_cleaning_brings_and_is_fresh(counting: Workspace) -> None:
    counting.run("toy_votes", *MARKED_RUN, "--downstream", "--seeds", "0,1", dataset=TOY)
    board = counting.board.read_text(encoding="utf-8")
    assert "## What cleaning brings" in board
    assert "toy, n = 100, profile embedded, rate 0.2, noise artifact_aligned; 60 validation items" in board
    assert counting.cli("leaderboard", "--check", "--out", str(counting.folder / "out")).code == 0


def test_json_stays_one_array_of_cell_records(counting: Workspace) -> None:
    done = counting.run("toy_votes", *MARKED_RUN, "--downstream", "--json", "--quiet", dataset=TOY)
    assert done.err == ""
    assert {row["detector"] for row in json.loads(done.out)} >= {"toy_votes", "oracle"}


def test_relabelling_follows_the_language_model_where_its_artifacts_are_there(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("faiss")
    monkeypatch.setattr(local, "EnginePool", FakeEngines)  # every engine is a stand-in that reads words
    names = list(CLASS_WORDS)[:2]
    rng = np.random.default_rng(0)
    lines = [f"{' '.join(rng.choice(CLASS_WORDS[names[i % 2]], 3))} number {i},{names[i % 2]}\n" for i in range(90)]
    path = workspace.folder / "words.csv"
    path.write_text("text,label\n" + "".join(lines))
    options = ("--n", "60", "--noise", "uniform", "--rate", "0.2", "--downstream-top", "20%", "--downstream-seeds", "0")
    done = workspace.run("ecg,llm_mismatch", *options, dataset=f"file:{path}")
    assert done.code == 0, done.err
    found = by_name(workspace)
    relabelled = found["ecg", "relabel", 0.2]
    assert relabelled.n_changed > 0
    assert relabelled.n_changed < 12 == found["ecg", "remove", 0.2].n_changed
    assert relabelled.n_repaired == [relabelled.n_changed]
    assert sum(relabelled.held_back.values()) >= 12 - relabelled.n_changed
    assert found["oracle", "relabel", 0.2].n_repaired == [12]
    assert ("random", "relabel", 0.2) not in found


@pytest.mark.slow
def test_the_real_classifier_is_trained_again_on_real_texts(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validating, "LIMIT", 100)
    options = ("--noise", "artifact_aligned", "--rate", "0.2", "--n", "80", "--downstream-seeds", "0")
    done = workspace.run("random", *options, "--downstream-top", "10%", dataset="movie_snippets")
    assert done.code == 0, done.err
    found = downstream_records(workspace)
    assert Counter((r.cleaner, r.control, r.action) for r in found) == {
        ("none", True, "none"): 1,
        ("random", True, "remove"): 1,
        ("oracle", True, "remove"): 1,
        ("random", False, "remove"): 1,  # the detector of that name
    }
    for record in found:
        assert record.accuracy["untouched"] == record.accuracy["stripped"]
        assert record.accuracy["swapped"] != record.accuracy["untouched"]
        assert record.accuracy["untouched"][0] > 0.5


def test_a_failure_of_an_earlier_run_is_none_of_this_one(counting: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("out of memory")

    with monkeypatch.context() as patched:
        patched.setattr(WordCounts, "train", fail)
        assert counting.run("toy_votes", *MARKED_RUN, "--downstream-top", "20%", dataset=TOY).code == 1
    done = counting.run("toy_votes", *MARKED_RUN, "--downstream-seeds", "5", dataset=TOY)
    assert done.code == 0, done.err
    assert "out of memory" not in done.err
    assert "20%" not in done.out
