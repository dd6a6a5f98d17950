"""Contradiction of explanation and given label: what is asked, by whom, and how the answers become one score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from answering import answer
from ecgbench.artifacts.base import Artifact
from ecgbench.artifacts.llm import Explanations, FewShots
from ecgbench.artifacts.nli import CrossEncoderNli, LlmNli, NliScores, judge_endings
from ecgbench.data import DetectionTask, Shot, TaskDescription
from ecgbench.datasets.movie_snippets import DESCRIPTION as MOVIES
from ecgbench.engines.context import ComputeContext, EnginePool
from ecgbench.engines.models import model_folder
from ecgbench.grid.values import identify, resolve_closure
from ecgbench.profiles import EMBEDDED, CrossEncoderSettings, Profile
from ecgbench.prompts import Explanation
from ecgbench.shots import ShotSets
from ecgbench.store.cache import default_cache_folder

SHOTS = (Shot("it rained", "wet", ("rained",), "Water fell."), Shot("blue sky", "dry", ("blue",), "No clouds."))
WEATHER = TaskDescription(noun="weather", label_names=("wet", "dry"), shots=SHOTS)
TEXTS = ("rain and more rain", "sun", "hail", "a very bright day")
EXPLAINED = (
    Explanation("wet", ("rain", "more"), "It pours."),
    Explanation("dry", ("sun",), "It shines."),
    None,
    Explanation("dry", ("bright",), "There is light."),
)
ONE, TWO = CrossEncoderSettings("one"), CrossEncoderSettings("two")
PAPER = replace(EMBEDDED, nli=(ONE, TWO))


class FakeJudge:
    """A cross-encoder that finds a premise more contradictory the longer it is."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def classify(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        self.asked += pairs
        return np.array([[0.5, 0.5 - len(premise) / 1000, len(premise) / 1000] for premise, _ in pairs])


class FakeLlm:
    """A language model that ends a hypothesis by the length of the prompt."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def label_logits(self, prompts: Sequence[Any], labels: Sequence[str]) -> np.ndarray:
        assert labels[-1] == "unclear"
        self.asked += [prompt.suffix for prompt in prompts]
        names = [-float(len(label)) for label in labels[:-1]]
        return np.array([[*names, -float(len(prompt.suffix))] for prompt in prompts])


def task(labels: Sequence[int] = (0, 0, 1, 1)) -> DetectionTask:
    return DetectionTask(TEXTS, np.array(labels), WEATHER)


def inputs(values: dict[Artifact[Any], Any] | None = None) -> Any:
    return {FewShots(EMBEDDED.llm): ShotSets(SHOTS), Explanations(EMBEDDED.llm): EXPLAINED, **(values or {})}


def context() -> ComputeContext:
    return ComputeContext(EnginePool(Path()))


def keys(artifact: Any, asked: DetectionTask) -> list[str]:
    return [artifact.row_key(request) for request in artifact.requests(asked, inputs())]


def value(artifact: Any, asked: DetectionTask) -> np.ndarray:
    requests = artifact.requests(asked, inputs())
    result: np.ndarray = artifact.assemble(answer(artifact, requests, context()))
    return result


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch) -> FakeJudge:
    fake = FakeJudge()
    monkeypatch.setattr("ecgbench.artifacts.nli.load_cross_encoder", lambda *_: fake)
    return fake


@pytest.fixture
def llm(monkeypatch: pytest.MonkeyPatch) -> FakeLlm:
    fake = FakeLlm()
    monkeypatch.setattr("ecgbench.artifacts.nli.load_llm", lambda *_: fake)
    return fake


def test_a_cross_encoder_is_asked_anew_for_changed_labels_only() -> None:
    artifact = CrossEncoderNli(ONE, EMBEDDED.llm)
    before, after = keys(artifact, task((0, 0, 1, 1))), keys(artifact, task((0, 1, 1, 1)))
    assert [a == b for a, b in zip(before, after, strict=True)] == [True, False, True, True]
    assert len(set(before)) == len(TEXTS)


def test_the_length_of_a_reply_is_part_of_the_key_of_stated_endings_alone() -> None:
    chat = replace(EMBEDDED.llm, style="chat")
    for settings, n_keys in ((replace(chat, label_answers="stated"), 2), (chat, 1)):
        (request, *_) = LlmNli(EMBEDDED.llm).requests(task(), inputs())
        found = {LlmNli(replace(settings, reply_tokens=length)).row_key(request) for length in (5, 40)}
        assert len(found) == n_keys


def test_a_cross_encoders_rows_are_keyed_by_its_own_settings_and_not_by_what_wrote_the_premise() -> None:
    other_llm = replace(EMBEDDED.llm, model="other")
    request = CrossEncoderNli(ONE, EMBEDDED.llm).requests(task(), inputs())[0]
    found = [
        CrossEncoderNli(model, llm).row_key(request)
        for model, llm in [(ONE, EMBEDDED.llm), (ONE, other_llm), (TWO, None), (replace(ONE, max_tokens=9), None)]
    ]
    assert found[0] == found[1]
    assert len(set(found)) == 3


def test_a_pair_holds_the_explanation_without_its_label_and_the_given_label() -> None:
    first = CrossEncoderNli(ONE, EMBEDDED.llm).requests(task((1, 0, 0, 0)), inputs())[0]
    assert first.premise == "Evidence: rain; more | Rationale: It pours."
    assert first.hypothesis == "The weather is dry."


def test_an_item_without_explanation_is_neutral_and_nothing_is_asked_about_it(judge: FakeJudge) -> None:
    found = value(CrossEncoderNli(ONE, EMBEDDED.llm), task())
    assert (found.dtype, found.shape) == (np.float64, (4, 3))
    assert found[2].tolist() == [1 / 3] * 3
    assert len(judge.asked) == 3
    assert found[[0, 1, 3], 2].tolist() == [len(str(e)) / 1000 for e in EXPLAINED if e]


def test_the_language_model_is_asked_the_same_whatever_the_given_labels() -> None:
    artifact = LlmNli(EMBEDDED.llm)
    assert keys(artifact, task((0, 0, 1, 1))) == keys(artifact, task((1, 1, 0, 0)))
    assert len(set(keys(artifact, task()))) == len(TEXTS)
    first = artifact.requests(task(), inputs())[0]
    assert LlmNli(replace(EMBEDDED.llm, model="other")).row_key(first) != artifact.row_key(first)
    assert artifact.row_key(replace(first, labels=("wet", "unclear"))) != artifact.row_key(first)


def test_the_language_models_rows_stay_as_they_are_and_silent_ones_prefer_nothing(llm: FakeLlm) -> None:
    found = value(LlmNli(EMBEDDED.llm), task())
    assert (found.dtype, found.shape) == (np.float64, (4, 3))
    assert np.allclose(np.exp(found[2]), 1 / 3)
    assert len(llm.asked) == 3
    assert found[0].tolist() == [-3.0, -3.0, -float(len(f"{EXPLAINED[0]}\nThe weather is"))]


@pytest.mark.usefixtures("llm")
def test_tasks_that_share_examples_but_not_classes_share_no_batch() -> None:
    artifact = LlmNli(EMBEDDED.llm)
    other = DetectionTask(TEXTS, task().labels, replace(WEATHER, label_names=("wet", "dry", "stormy")))
    requests = [*artifact.requests(task(), inputs())[:2], *artifact.requests(other, inputs())[:2]]
    assert len({request.prompt.prefix for request in requests}) == 1
    found = answer(artifact, requests, context())
    assert [np.frombuffer(found[p] or b"")[:-1].tolist() for p in range(4)] == [[-3, -3]] * 2 + [[-3, -3, -6]] * 2


def test_all_engines_stay_unloaded_where_no_item_is_explained(judge: FakeJudge, llm: FakeLlm) -> None:
    silent = {Explanations(EMBEDDED.llm): (None,) * 4}
    for artifact in (CrossEncoderNli(ONE, EMBEDDED.llm), LlmNli(EMBEDDED.llm)):
        requests: Any = artifact.requests(task(), inputs(silent))
        assert [len(batch) for batch in artifact.batches(requests)] == [4]
        assert None not in answer(artifact, requests, ComputeContext(None))
    assert (judge.asked, llm.asked) == ([], [])


def test_another_label_than_the_ending_contradicts() -> None:
    endings = np.log([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]])
    judged = judge_endings(endings, np.zeros(3, dtype=np.int64), np.ones(3, dtype=bool))
    assert np.allclose(judged, [[0.8, 0.1, 0.1], [0.1, 0.1, 0.8], [0.1, 0.8, 0.1]])


def test_calibration_takes_out_the_preference_for_an_ending_and_leaves_silent_items_aside() -> None:
    rng = np.random.default_rng(0)
    endings, labels = rng.normal(size=(6, 4)), np.array([0, 1, 2, 0, 1, 2])
    explained = np.array([True, True, False, True, True, True])
    judged = judge_endings(endings, labels, explained)
    preferring = endings + np.array([3.0, -1.0, 0.0, 5.0])
    preferring[2] = [9.0, -9.0, 0.0, 4.0]
    assert np.allclose(judge_endings(preferring, labels, explained), judged)
    assert judged[2].tolist() == [1 / 3] * 3
    assert np.allclose(judged.sum(axis=1), 1)
    assert judged.min() >= 0


def scores(artifact: NliScores, judgements: dict[Artifact[Any], Any], profile: Profile) -> np.ndarray:
    return artifact.resolve(profile).compute(task(), inputs(judgements), context())


def test_the_score_is_the_mean_of_the_ensemble_or_its_first_model() -> None:
    one = np.array([[0.7, 0.2, 0.1], [0.0, 0.1, 0.9], [1 / 3] * 3, [1.0, 0.0, 0.0]])
    two = np.array([[0.1, 0.2, 0.7], [0.0, 0.0, 1.0], [1 / 3] * 3, [1.0, 0.0, 0.0]])
    judgements: dict[Artifact[Any], Any] = {
        CrossEncoderNli(ONE, EMBEDDED.llm): one,
        CrossEncoderNli(TWO, EMBEDDED.llm): two,
    }
    assert np.allclose(scores(NliScores(), judgements, PAPER), [0.0, 0.95, 0.0, -1.0])
    single = NliScores(ensemble=False)
    assert np.allclose(scores(single, judgements, PAPER), [-0.6, 0.9, 0.0, -1.0])
    assert CrossEncoderNli(TWO, EMBEDDED.llm) not in single.resolve(PAPER).inputs()


def test_a_profile_without_cross_encoders_asks_the_language_model() -> None:
    endings = np.log([[0.9, 0.05, 0.05], [0.1, 0.85, 0.05], [1 / 3] * 3, [0.1, 0.8, 0.1]])
    found = scores(NliScores(), {LlmNli(EMBEDDED.llm): endings}, EMBEDDED)
    assert NliScores().resolve(EMBEDDED).inputs() == (Explanations(EMBEDDED.llm), LlmNli(EMBEDDED.llm))
    assert found[0] < 0 < found[1], "sunshine contradicts wet"
    assert found[3] < 0
    assert found[2] == 0.0, "nothing is known where nothing is explained"
    assert np.abs(found).max() <= 1


def test_models_chosen_by_hand_win_over_the_profiles() -> None:
    assert LlmNli(EMBEDDED.llm) in NliScores(nli=()).resolve(PAPER).inputs()
    assert CrossEncoderNli(TWO, EMBEDDED.llm) in NliScores(nli=(TWO,)).resolve(EMBEDDED).inputs()


def test_what_follows_from_the_scores_depends_on_labels_and_models() -> None:
    found = [
        identify(NliScores(ensemble=e).resolve(p), p) for e, p in [(True, PAPER), (False, PAPER), (True, EMBEDDED)]
    ]
    assert all(identity.uses_labels and not identity.uses_seed for identity in found)
    assert len({str(identity.lineage) for identity in found}) == 3


def test_all_questions_to_the_language_model_name_the_same_settings_so_that_it_is_loaded_once() -> None:
    closure = resolve_closure([NliScores()], EMBEDDED)
    assert {artifact.llm for artifact in closure if hasattr(artifact, "llm")} == {EMBEDDED.llm}


def test_models_of_the_profile_are_listed() -> None:
    assert PAPER.models[-2:] == ("one", "two")


HAND_MADE = (
    ("positive", ("a delight",), "The writer had a good time."),
    ("positive", ("wonderful performances", "moving"), "The actors are praised."),
    ("positive", ("worth every minute",), "The writer recommends seeing it."),
    ("positive", ("sharp, witty script",), "The writing is admired."),
    ("positive", ("one of the best this year",), "It is ranked above others."),
    ("positive", ("laughed until I cried",), "The jokes worked for the writer."),
    ("negative", ("a waste of time",), "The writer regrets seeing it."),
    ("negative", ("dull", "badly acted"), "The writer was bored by the actors."),
    ("negative", ("I nearly fell asleep",), "It is too slow for the writer."),
    ("negative", ("clumsy and predictable",), "The story holds no surprise."),
    ("negative", ("stay away",), "The writer warns others."),
    ("negative", ("neither scary nor funny",), "It fails at what it tries."),
)


@pytest.mark.slow
def test_the_real_model_finds_the_other_label_more_contradictory() -> None:
    models = default_cache_folder() / "models"
    model_folder(EMBEDDED.llm.model, models)
    explained = tuple(Explanation(*fields) for fields in HAND_MADE)
    own = np.array([MOVIES.label_names.index(e.label) for e in explained])
    given: Any = {FewShots(EMBEDDED.llm): ShotSets(MOVIES.shots), Explanations(EMBEDDED.llm): explained}
    nli = LlmNli().resolve(EMBEDDED)
    asked = nli.requests(DetectionTask(("",) * len(own), own, MOVIES), given)
    given[nli] = nli.assemble(answer(nli, asked, ComputeContext(EnginePool(models))))
    matching, other = (
        NliScores().resolve(EMBEDDED).compute(DetectionTask(("",) * len(own), labels, MOVIES), given, context())
        for labels in (own, 1 - own)
    )
    assert (matching < other).mean() >= 0.8


@pytest.mark.parametrize("n_classes", [2, 4, 10])
def test_an_explanation_that_tells_nothing_contradicts_no_label_however_many_there_are(n_classes: int) -> None:
    endings, labels = np.zeros((3, n_classes + 1)), np.array([0, 1, 1])
    judged = judge_endings(endings, labels, np.ones(3, dtype=bool))
    assert np.allclose(judged, 1 / 3)
