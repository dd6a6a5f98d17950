"""The language model's artifacts: what is asked, how often, and what becomes of bad replies."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from answering import answer
from ecgbench.artifacts.base import Artifact
from ecgbench.artifacts.embeddings import TextEmbeddings
from ecgbench.artifacts.llm import (
    CalibratedLabels,
    ExplanationEmbeddings,
    Explanations,
    ExplanationSamples,
    FewShots,
    LabelLogits,
    calibrate,
)
from ecgbench.artifacts.llm.explanations import draw_labels
from ecgbench.artifacts.llm.labels import pack_row
from ecgbench.data import DetectionTask, Shot, TaskDescription
from ecgbench.engines.context import ComputeContext, EnginePool
from ecgbench.errors import EcgbenchError
from ecgbench.profiles import EMBEDDED
from ecgbench.prompts import Explanation
from ecgbench.shots import ShotSets

SHOTS = (Shot("it rained", "wet", ("rained",), "Water fell."), Shot("blue sky", "dry", ("blue",), "No clouds."))
WEATHER = TaskDescription(noun="weather", label_names=("wet", "dry"), shots=SHOTS)
TEXTS = ("rain and more rain", "sun", "hail", "a very bright day")


class FakeLlm:
    """Answers from the prompt's text, records each batch, and runs out of memory above `limit` prompts."""

    def __init__(self, limit: int = 10**9) -> None:
        self.limit = limit
        self.batches: list[list[str]] = []
        self.drawn: list[int] = []
        self.temperatures: list[float] = []

    def label_logits(self, prompts: Sequence[Any], labels: Sequence[str]) -> np.ndarray:
        assert tuple(labels) == WEATHER.label_names
        self._record(prompts)
        return np.array([[-float(len(prompt.suffix)), -1.0] for prompt in prompts])

    def generate(self, prompts, *, max_new_tokens, stop, schemas=None, temperature=0.0, seeds=None) -> list[str]:
        assert (max_new_tokens, stop, schemas) == (EMBEDDED.llm.reply_tokens, "\n\n", None)
        self._record(prompts)
        self.temperatures.append(temperature)
        if temperature:
            self.drawn += seeds
        return [self._reply(prompt.suffix, temperature) for prompt in prompts]

    def _record(self, prompts: Sequence[Any]) -> None:
        if len(prompts) > self.limit:
            raise MemoryError
        self.batches.append([prompt.suffix for prompt in prompts])

    def _reply(self, suffix: str, temperature: float) -> str:
        if "hail" in suffix or ("sun" in suffix and not temperature):
            return "no idea"
        word = suffix.partition("Text: ")[2].split()[0]
        return f' "{word}"\nReason: It says so.'


@pytest.fixture
def llm(monkeypatch: pytest.MonkeyPatch) -> FakeLlm:
    fake = FakeLlm()
    for module in ("labels", "explanations"):
        monkeypatch.setattr(f"ecgbench.artifacts.llm.{module}.load_llm", lambda *_: fake)
    return fake


def task(labels: Sequence[int] = (0, 1, 0, 1), description: TaskDescription = WEATHER) -> DetectionTask:
    return DetectionTask(TEXTS, np.array(labels), description)


def resolved(artifact: Artifact[Any]) -> Any:
    return artifact.resolve(EMBEDDED)


def inputs(**values: Any) -> Any:
    """Map the artifacts that the tested ones read to values."""
    kinds = {
        "shots": FewShots(EMBEDDED.llm),
        "logits": LabelLogits(EMBEDDED.llm),
        "labels": CalibratedLabels(EMBEDDED.llm),
        "explanations": Explanations(EMBEDDED.llm),
        "embeddings": TextEmbeddings(),
    }
    return {kinds[name]: value for name, value in values.items()}


def context() -> ComputeContext:
    return ComputeContext(EnginePool(Path()))


def rows(artifact: Any, requests: Sequence[Any]) -> list[bytes | None]:
    return answer(artifact, requests, context())


def explanation_requests(labels: Sequence[int] = (0, 1, 1, 1)) -> Sequence[Any]:
    probabilities = np.eye(2)[list(labels)]
    return resolved(Explanations()).requests(task(), inputs(shots=ShotSets(SHOTS), labels=probabilities))


def test_own_examples_make_requests_that_do_not_depend_on_given_labels():
    artifact = resolved(LabelLogits())
    asked = []
    for labels in ([0, 1, 0, 1], [1, 1, 0, 0]):
        shots = resolved(FewShots()).compute(task(labels), inputs(), context())
        asked.append([artifact.row_key(r) for r in artifact.requests(task(labels), inputs(shots=shots))])
    assert asked[0] == asked[1]
    assert len(set(asked[0])) == len(TEXTS)


def test_examples_are_drawn_where_the_description_has_none():
    artifact = resolved(FewShots())
    vectors = np.eye(4, dtype=np.float32)
    drawn = artifact.compute(task(description=replace(WEATHER, shots=())), inputs(embeddings=vectors), context())
    assert {(shot.text in TEXTS, shot.label) for shot in drawn.primary} == {(True, "wet"), (True, "dry")}


def test_row_key_changes_with_text_label_model_and_examples():
    first = explanation_requests()[0]
    artifact = resolved(Explanations())
    other_model = Explanations(replace(EMBEDDED.llm, model="other"))
    other_prefix = replace(first, prompt=replace(first.prompt, prefix="other"))
    keys = [
        artifact.row_key(first),
        artifact.row_key(replace(first, text="other")),
        artifact.row_key(replace(first, label="dry")),
        artifact.row_key(other_prefix),
        other_model.row_key(first),
    ]
    assert len(set(keys)) == len(keys)


def test_logits_return_to_the_order_of_the_texts(llm, monkeypatch):
    monkeypatch.setenv("ECGBENCH_BATCH_SIZE", "2")
    artifact = resolved(LabelLogits())
    requests = artifact.requests(task(), inputs(shots=ShotSets(SHOTS)))
    logits = artifact.assemble(rows(artifact, requests))
    assert logits[:, 0].tolist() == [-float(len(r.prompt.suffix)) for r in requests]
    assert [len(batch) for batch in llm.batches] == [2, 2]


def test_batches_of_what_a_killed_run_left_are_those_of_a_whole_run(llm, monkeypatch):
    monkeypatch.setenv("ECGBENCH_BATCH_SIZE", "2")
    artifact = resolved(LabelLogits())
    requests = artifact.requests(task(), inputs(shots=ShotSets(SHOTS)))
    first = next(iter(artifact.batches(requests)))
    artifact.compute([requests[p] for p in first], context())
    rows(artifact, [r for p, r in enumerate(requests) if p not in first])
    rows(artifact, requests)
    assert llm.batches[:2] == llm.batches[2:]


def test_batch_is_halved_where_memory_runs_out(llm):
    llm.limit = 1
    assert None not in rows(
        resolved(LabelLogits()), LabelLogits(EMBEDDED.llm).requests(task(), inputs(shots=ShotSets(SHOTS)))
    )
    assert len(llm.batches) == len(TEXTS)


def test_calibration_takes_out_the_preference_for_a_label():
    logits = np.array([[-0.1, -5.0], [-0.2, -3.0], [-0.1, -4.0], [-0.3, -2.0]])
    probabilities = calibrate(logits)
    assert probabilities.argmax(axis=1).tolist() == [0, 1, 0, 1]
    assert np.allclose(probabilities.sum(axis=1), 1)
    assert np.allclose(calibrate(logits + np.array([2.0, -7.0])), probabilities)


def test_explanation_is_asked_for_the_calibrated_label():
    suffixes = [request.prompt.suffix for request in explanation_requests([1, 0, 0, 0])]
    assert suffixes[0] == "Text: rain and more rain\nLabel: dry\nEvidence:"
    assert suffixes[1] == "Text: sun\nLabel: wet\nEvidence:"


def test_invalid_reply_is_asked_once_more_and_then_recorded_as_failed(llm):
    found = resolved(Explanations()).assemble(rows(resolved(Explanations()), explanation_requests()))
    assert found == (
        Explanation("wet", ("rain",), "It says so."),
        Explanation("dry", ("sun",), "It says so."),
        None,
        Explanation("dry", ("a",), "It says so."),
    )
    assert len(llm.batches) == 2, "one greedy batch, one batch of second attempts"
    assert len(llm.batches[1]) == len(set(llm.drawn)) == 2


def test_a_batch_of_valid_replies_is_asked_once(llm):
    requests = explanation_requests()
    assert None not in rows(resolved(Explanations()), [requests[0], requests[3]])
    assert len(llm.batches) == 1


def sample_requests(probabilities: Sequence[Sequence[float]] = ((0.9, 0.1),) * 4) -> Sequence[Any]:
    given = inputs(shots=ShotSets(SHOTS), labels=np.array(probabilities))
    return resolved(ExplanationSamples()).requests(task(), given)


def test_samples_of_a_batch_are_drawn_in_one_pass_with_a_seed_each(llm):
    artifact = resolved(ExplanationSamples())
    found = artifact.assemble(rows(artifact, sample_requests()))
    assert [len(samples) for samples in found] == [2] * len(TEXTS)
    assert len(llm.batches[0]) == 2 * len(TEXTS)
    assert llm.temperatures == [EMBEDDED.llm.sample_temperature] * 2
    assert len(set(llm.drawn)) == len(llm.drawn), "the second attempt draws anew, too"


def test_samples_that_never_become_valid_are_counted_one_by_one(llm, monkeypatch):
    reply = llm._reply
    spoil = {"Label: dry": "no idea"}
    monkeypatch.setattr(llm, "_reply", lambda s, t: next((r for k, r in spoil.items() if k in s), reply(s, t)))
    artifact = resolved(ExplanationSamples())
    certain = np.eye(2)[[0, 1, 0, 0]]
    answers = rows(artifact, sample_requests(certain))
    assert artifact.assemble(answers)[1:3] == ((None, None), (None, None)), "sun is dry here, hail never valid"
    assert answers[1] is None
    assert artifact.count_failed(answers) == 4


def test_samples_are_the_same_in_every_run_and_task():
    artifact = resolved(ExplanationSamples())
    probabilities = np.full((4, 2), 0.5)
    first = sample_requests(probabilities)
    part = DetectionTask(TEXTS[2:], np.array([1, 1]), WEATHER)
    again = artifact.requests(part, inputs(shots=ShotSets(SHOTS), labels=probabilities[2:]))
    assert list(again) == list(first[2:])
    assert [artifact.row_key(r) for r in again] == [artifact.row_key(r) for r in first[2:]]


def test_sampled_labels_follow_the_probabilities_at_their_temperature():
    texts = [f"text {i}" for i in range(4000)]
    probabilities = np.tile([0.2, 0.8], (len(texts), 1))
    drawn = draw_labels(texts, probabilities, sample=1, temperature=0.7)
    expected = 0.8 ** (1 / 0.7) / (0.8 ** (1 / 0.7) + 0.2 ** (1 / 0.7))
    assert abs(drawn.mean() - expected) < 0.02
    other = draw_labels(texts, probabilities, sample=2, temperature=0.7)
    assert 0.05 < (drawn != other).mean() < 0.5, "each sample draws for itself"
    assert (draw_labels(texts[:9], np.eye(2)[[0, 1, 0] * 3], sample=1, temperature=0.7) == [0, 1, 0] * 3).all()


def test_one_sample_a_text_asks_for_no_further_ones(llm):
    artifact = ExplanationSamples(replace(EMBEDDED.llm, samples=1))
    requests = artifact.requests(
        task(), {FewShots(artifact.llm): ShotSets(SHOTS), CalibratedLabels(artifact.llm): np.eye(2)[[0, 1, 0, 0]]}
    )
    assert artifact.assemble(rows(artifact, requests)) == ((),) * 4
    assert llm.batches == []


def test_failed_explanation_embeds_as_zeros_and_the_label_is_not_embedded(monkeypatch):
    seen: list[str] = []

    class FakeEncoder:
        def encode(self, texts: Sequence[str]) -> np.ndarray:
            seen.extend(texts)
            return np.ones((len(texts), 3), dtype=np.float32)

    monkeypatch.setattr("ecgbench.artifacts.embeddings.load_encoder", lambda *_: FakeEncoder())
    artifact = resolved(ExplanationEmbeddings())
    explanations = (Explanation("wet", ("rain", "more"), "It pours."), None)
    requests = artifact.requests(task(), inputs(explanations=explanations))
    assert artifact.assemble(rows(artifact, requests)).tolist() == [[1, 1, 1], [0, 0, 0]]
    assert "Evidence: rain; more | Rationale: It pours." in seen


CHAT = replace(EMBEDDED.llm, style="chat")
STATED = replace(CHAT, label_answers="stated")


class FakeChat:
    """Replies in JSON, keeps what it was asked and never gives a valid reply on hail."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, str, float]] = []

    def generate(self, prompts, *, max_new_tokens, stop, schemas, temperature, seeds) -> list[str]:
        assert (max_new_tokens, stop) == (CHAT.reply_tokens, None)
        assert len(schemas) == len(seeds) == len(prompts)
        self.asked += [(p, schema, temperature) for p, schema in zip(prompts, schemas, strict=True)]
        return [self._reply(p.suffix, json.loads(schema)) for p, schema in zip(prompts, schemas, strict=True)]

    def _reply(self, text: str, schema: dict[str, Any]) -> str:
        if "hail" in text:
            return '{"label": '
        reply: dict[str, Any] = {"label": schema["properties"]["label"]["enum"][-1], "confidence": 90}
        if "evidence" in schema["properties"]:
            reply |= {"evidence": [text.split()[0]], "rationale": "It says so.", "counterfactual": "Fog is seen."}
        return json.dumps(reply)


@pytest.fixture
def chat(monkeypatch: pytest.MonkeyPatch) -> FakeChat:
    fake = FakeChat()
    for module in ("labels", "explanations"):
        monkeypatch.setattr(f"ecgbench.artifacts.llm.{module}.load_llm", lambda *_: fake)
    return fake


def test_an_instruct_model_is_shown_no_examples_so_that_given_labels_change_no_question():
    artifact = FewShots(CHAT)
    assert artifact.inputs() == ()
    for description in (WEATHER, replace(WEATHER, shots=())):
        assert artifact.compute(task(description=description), {}, context()) == ShotSets(())


def test_explanations_of_a_chat_are_decoded_for_the_calibrated_label_and_asked_twice_where_not_valid(chat):
    artifact = Explanations(CHAT)
    given = {FewShots(CHAT): ShotSets(()), CalibratedLabels(CHAT): np.eye(2)[[0, 1, 1, 1]]}
    requests = artifact.requests(task(), given)
    found = artifact.assemble(rows(artifact, requests))
    assert found[0] == Explanation("wet", ("rain",), "It says so.", "Fog is seen.", 90)
    assert found[2] is None
    assert [temperature for _, _, temperature in chat.asked] == [0.0] * 4 + [0.7]
    assert all(prompt.chat for prompt, _, _ in chat.asked)
    assert len({schema for _, schema, _ in chat.asked}) == 2, "one a label"


@pytest.mark.usefixtures("chat")
def test_samples_of_one_text_are_one_prompt_under_the_schemas_of_their_labels():
    artifact = ExplanationSamples(CHAT)
    given = {FewShots(CHAT): ShotSets(()), CalibratedLabels(CHAT): np.full((4, 2), 0.5)}
    requests = artifact.requests(task(), given)
    assert all(len({sample.prompt for sample in request}) == 1 for request in requests)
    found = artifact.assemble(rows(artifact, requests))
    assert [e and e.label for e in found[0]] == [sample.label for sample in requests[0]]


def test_chat_and_continued_prompts_of_the_same_words_have_keys_of_their_own():
    first = explanation_requests()[0]
    artifact = resolved(Explanations())
    changed = [
        first,
        replace(first, prompt=replace(first.prompt, chat=True)),
        replace(first, schema="{}"),
    ]
    assert len({artifact.row_key(request) for request in changed}) == len(changed)


@pytest.mark.usefixtures("chat")
def test_stated_labels_become_log_probabilities_and_a_failed_one_is_undecided():
    artifact = LabelLogits(STATED)
    requests = artifact.requests(task(), {FewShots(STATED): ShotSets(())})
    answers = rows(artifact, requests)
    assert artifact.count_failed(answers) == 1
    logits = artifact.assemble(answers)
    assert np.exp(logits[[0, 1, 3]]) == pytest.approx(np.tile([0.1, 0.9], (3, 1)))
    assert calibrate(artifact.assemble([answers[0], pack_row(np.log([0.6, 0.4])), None]))[2] == pytest.approx(0.5)


def test_a_refused_prompt_is_a_failed_attempt_that_is_not_asked_twice(chat, monkeypatch):
    monkeypatch.setattr(chat, "_reply", lambda text, _: None if "sun" in text else '{"label": ')
    artifact = LabelLogits(STATED)
    requests = artifact.requests(task(), {FewShots(STATED): ShotSets(())})
    assert rows(artifact, requests) == [None] * 4
    assert sum("sun" in prompt.suffix for prompt, _, _ in chat.asked) == 1
    assert len(chat.asked) == 1 + 2 * 3


def test_the_length_of_a_reply_is_part_of_the_key_of_stated_labels_alone():
    def keys(settings: Any) -> list[str]:
        short = replace(settings, reply_tokens=5)
        return [artifact.row_key(stated) for artifact in (LabelLogits(settings), LabelLogits(short))]

    stated = LabelLogits(CHAT).requests(task(), {FewShots(CHAT): ShotSets(())})[0]
    assert len(set(keys(STATED))) == 2
    assert len(set(keys(CHAT))) == 1


def test_stated_and_read_off_labels_do_not_share_a_key():
    request = LabelLogits(CHAT).requests(task(), {FewShots(CHAT): ShotSets(())})[0]
    assert LabelLogits(CHAT).row_key(request) != LabelLogits(STATED).row_key(request)


def test_a_model_that_never_states_a_label_is_an_error_in_one_line():
    with pytest.raises(EcgbenchError, match="none of the language model's 2 answers was valid"):
        LabelLogits(STATED).assemble([None, None])


def test_a_counterfactual_is_embedded_only_on_request():
    explained = {Explanations(CHAT): (Explanation("wet", ("rain",), "It pours.", "The sun shines.", 80), None)}
    shown = [ExplanationEmbeddings(llm=CHAT, counterfactual=c).requests(task(), explained)[0] for c in (False, True)]
    assert shown[0] == "Evidence: rain | Rationale: It pours."
    assert shown[1] == f"{shown[0]} | Counterfactual: The sun shines."
