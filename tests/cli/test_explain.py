"""`ecgbench explain` says what the language model makes of texts of one's own, and asks it nothing twice."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_real_run import make_cache

from conftest import Outcome, Workspace

SHOTS = """
[[shot]]
text = "It poured all day."
label = "wet"
evidence = ["poured"]
reason = "Water fell."
[[shot]]
text = "Not a cloud."
label = "dry"
evidence = ["Not a cloud"]
reason = "The sky was clear."
"""


@dataclass
class FakeModels:
    """Stand in for both models: the words `rain` and `beta` speak for the second label, `mute` gets no answer."""

    loads: list[str] = field(default_factory=list)
    labelled: list[str] = field(default_factory=list)
    explained: list[str] = field(default_factory=list)
    reply: str = ""

    def label_logits(self, prompts: Sequence[Any], labels: Sequence[str]) -> Any:
        texts = [_text_of(prompt) for prompt in prompts]
        self.labelled += texts
        # A strong preference for the first label, which calibration has to take out.
        return np.array([[-0.1, -5.0 + 2.0 * ("rain" in t or "beta" in t)] + [-9.0] * (len(labels) - 2) for t in texts])

    def generate(self, prompts: Sequence[Any], **_: Any) -> list[str]:
        texts = [_text_of(prompt) for prompt in prompts]
        self.explained += texts
        return [self.reply or f' "{t.split()[0]}"\nReason: It says so.' if "mute" not in t else "?" for t in texts]

    def encode(self, texts: Sequence[str]) -> Any:
        return np.array([[1.0, len(t) % 7] for t in texts], dtype=np.float32) / 10


def _text_of(prompt: Any) -> str:
    return str(prompt.suffix).partition(": ")[2].partition("\n")[0]


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> FakeModels:
    fake = FakeModels()

    def load(settings: Any, _: Path) -> FakeModels:
        fake.loads.append(type(settings).__name__)
        return fake

    monkeypatch.setattr("ecgbench.artifacts.llm.labels.load_llm", load)
    monkeypatch.setattr("ecgbench.artifacts.llm.explanations.load_llm", load)
    monkeypatch.setattr("ecgbench.artifacts.embeddings.load_encoder", load)
    return fake


@pytest.fixture
def weather(workspace: Workspace) -> list[str]:
    """Write a file of ten texts with worked examples, and return the options that name it."""
    data, shots = workspace.folder / "weather.csv", workspace.folder / "shots.toml"
    rows = [f"{'rain' if i % 2 else 'sun'} on day {i},{'wet' if i % 2 else 'dry'}\n" for i in range(10)]
    data.write_text("text,label\n" + "".join(rows))
    shots.write_text(SHOTS)
    return ["--dataset", f"file:{data}", "--shots", str(shots)]


def explain(workspace: Workspace, *arguments: str) -> Outcome:
    return workspace.cli("explain", *arguments, *workspace.options[:4])


def explain_json(workspace: Workspace, *arguments: str) -> list[dict[str, Any]]:
    done = explain(workspace, *arguments, "--json", "--quiet")
    assert done.code == 0, done.err
    found: list[dict[str, Any]] = json.loads(done.out)
    return found


def type_in(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


@pytest.mark.usefixtures("models")
def test_a_text_gets_label_probability_evidence_rationale_samples_and_reliability(
    workspace: Workspace, weather: list[str]
) -> None:
    wet, dry = explain_json(workspace, "rain again", "sun at noon", *weather)
    assert (wet["text"], wet["label"], dry["label"]) == ("rain again", "wet", "dry")
    assert wet["probabilities"] == {"dry": pytest.approx(1 - wet["probability"]), "wet": wet["probability"]}
    assert 0.5 < wet["probability"] < 1
    assert wet["explanation"] == {"label": "wet", "evidence": ["rain"], "rationale": "It says so."}
    assert len(wet["samples"]) == 2
    assert {sample["rationale"] for sample in wet["samples"]} == {"It says so."}
    assert wet["reliability"].keys() == {"rho", "label_agreement", "evidence_jaccard", "rationale_cosine"}
    assert wet["reliability"]["evidence_jaccard"] == 1.0


@pytest.mark.usefixtures("models")
def test_the_lines_for_people_hold_the_same(workspace: Workspace, weather: list[str]) -> None:
    out = explain(workspace, "rain again", *weather).out
    lines = [line.strip() for line in out.splitlines()]
    assert lines[0] == "text: rain again"
    assert lines[1].startswith("label: wet (probability 0.")
    assert lines[2:4] == ['evidence: "rain"', "rationale: It says so."]
    assert [line.partition(":")[0] for line in lines[4:]] == ["sample 1", "sample 2", "reliability"]


@pytest.mark.usefixtures("models")
def test_the_prior_is_that_of_the_dataset_and_not_of_the_one_text(workspace: Workspace, weather: list[str]) -> None:
    (dry,) = explain_json(workspace, "sun at noon", *weather)
    assert dry["probability"] > 0.6  # calibrated on itself alone it would be 0.5


def test_only_the_given_texts_are_explained(workspace: Workspace, models: FakeModels, weather: list[str]) -> None:
    explain_json(workspace, "rain again", "rain again", "--calibration", "4", *weather)
    assert len(models.labelled) == 5
    assert set(models.explained) == {"rain again"}
    assert models.loads == ["LlmSettings", "EncoderSettings"]  # each once


def test_a_second_call_loads_no_model(workspace: Workspace, models: FakeModels, weather: list[str]) -> None:
    first = explain_json(workspace, "rain again", *weather)
    models.loads.clear()
    assert explain_json(workspace, "rain again", *weather) == first
    assert models.loads == []


def test_a_further_text_costs_its_own_answers_alone(
    workspace: Workspace, models: FakeModels, weather: list[str]
) -> None:
    explain_json(workspace, "rain again", *weather)
    models.labelled.clear()
    models.explained.clear()
    explain_json(workspace, "rain again", "more rain", *weather)
    assert models.labelled == ["more rain"]
    assert set(models.explained) == {"more rain"}


@pytest.mark.usefixtures("models")
def test_no_score_is_stored_under_the_key_of_a_task_that_was_not_run(workspace: Workspace, weather: list[str]) -> None:
    explain_json(workspace, "rain again", *weather)
    info = json.loads(workspace.cli("cache", "info", "--json", *workspace.options[2:4]).out)
    assert info["objects"] == {}
    kinds = {title.partition("(")[0] for title in info["rows"]}
    assert kinds == {"LabelLogits", "Explanations", "ExplanationSamples", "RationaleEmbeddings"}


def test_worked_examples_are_drawn_from_the_dataset_and_never_from_the_texts(
    workspace: Workspace, models: FakeModels
) -> None:
    first = explain_json(workspace, "alpha and beta", "--dataset", "toy")
    assert first[0]["label"] in ("alpha", "beta")
    asked = set(models.labelled)
    models.labelled.clear()
    explain_json(workspace, "gamma rays", "--dataset", "toy")
    assert "___ and ___" in asked, "label names are not shown"
    assert models.labelled == ["gamma rays"]  # the prompts of the items are what they were


@pytest.mark.usefixtures("models")
def test_an_invalid_explanation_is_said_to_be_invalid(workspace: Workspace, weather: list[str]) -> None:
    good, bad = explain_json(workspace, "rain again", "mute rain", *weather)
    assert good["explanation"] is not None
    assert (bad["label"], bad["explanation"], bad["samples"], bad["reliability"]) == ("wet", None, [None, None], None)
    out = explain(workspace, "mute rain", *weather).out
    assert "explanation: no valid explanation after two replies" in out
    assert "sample 1: no valid explanation after two replies" in out
    assert "reliability: unknown" in out


def test_control_characters_reach_no_terminal(workspace: Workspace, models: FakeModels, weather: list[str]) -> None:
    models.reply = ' "rain"\nReason: It \x1b]0;title\x07 says \x9b31m so.'
    done = explain(workspace, "rain\x1b[2J again", *weather)
    assert done.code == 0, done.err
    assert all(char.isprintable() for line in done.out.splitlines() for char in line)
    assert r"text: rain\x1b[2J again" in done.out


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize("arguments", [[], ["-"]])
def test_texts_come_one_a_line_from_standard_input(
    workspace: Workspace,
    weather: list[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
) -> None:
    type_in(monkeypatch, "\ufeffrain ågain\r\nsun\n".encode())
    assert [item["text"] for item in explain_json(workspace, *arguments, *weather)] == ["rain ågain", "sun"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([""], "text 1 of 1 is empty; give words to explain"),
        (["good", " \t\n"], "text 2 of 2 is empty"),
        (["bad \udcff byte"], "text 1 of 1 is not UTF-8"),
        (["good", "--calibration", "1"], "--calibration is 1; give at least 2 items"),
        (["good", "--dataset", "toy,movie_snippets"], "explain takes one dataset"),
        (["good", "--dataset", "moovie_snippets"], "unknown dataset 'moovie_snippets'. Did you mean: movie_snippets?"),
        (["good", "--dataset", "file:absent.csv"], "absent.csv"),
        (["good", "--text-column", "words"], "--text-column: not for movie_snippets"),
        (["good", "--profile", "embeded"], "unknown profile 'embeded'. Did you mean: embedded?"),
        (["good", "--offline"], "vaderSentiment-0.5.zip is not at "),
    ],
)
def test_a_wrong_word_is_one_line(workspace: Workspace, models: FakeModels, arguments: list[str], message: str) -> None:
    done = explain(workspace, *arguments)
    assert done.code == 2
    assert message in done.error
    assert (done.out, models.loads) == ("", [])


@pytest.mark.usefixtures("models")
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no text to explain; give TEXT, or lines on standard input"),
        (b"rain\n\nsun\n", "text 2 of 3 is empty"),
        (b"rain\n\xff\n", "text 2 of 2 is not UTF-8"),
    ],
)
def test_bad_standard_input_is_one_line(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, content: bytes, message: str
) -> None:
    type_in(monkeypatch, content)
    done = explain(workspace)
    assert done.code == 2
    assert message in done.error


def test_a_model_that_fails_is_one_line(
    workspace: Workspace, models: FakeModels, weather: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise RuntimeError("the model broke")

    monkeypatch.setattr(models, "label_logits", fail)
    done = explain(workspace, "rain again", *weather)
    assert done.code == 1
    assert "LabelLogits: RuntimeError: the model broke" in done.error


@pytest.mark.slow
def test_two_texts_are_explained_by_the_real_model_and_kept(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = ["--cache", str(make_cache(workspace.folder / "cache"))]
    texts = ["An honest, funny film with a great cast.", "Dull and far too long, I left."]
    command = ["explain", *texts, *cache, "--calibration", "16", "--json", "--quiet"]
    done = workspace.cli(*command)
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert [item["label"] for item in found] == ["positive", "negative"]
    for item in found:
        for answer in filter(None, [item["explanation"], *item["samples"]]):
            assert all(span in item["text"] for span in answer["evidence"])
    rows = [json.loads(line) for line in workspace.cli("cache", "export", "explanations", *cache).out.splitlines()]
    assert sorted(row["kind"] for row in rows) == ["ExplanationSamples"] * 2 + ["Explanations"] * 2

    def refuse(*_: Any) -> Any:
        raise AssertionError("a model was loaded")

    for module in [m for name, m in sys.modules.items() if name.startswith("ecgbench.engines") and m]:
        if hasattr(module, "model_folder"):
            monkeypatch.setattr(module, "model_folder", refuse)
    assert json.loads(workspace.cli(*command).out) == found
