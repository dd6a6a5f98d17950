"""What an item of an artifact takes: as measured in this cache, else as shipped with its source, else as declared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ecgbench.artifacts.base import Artifact
from ecgbench.grid.measuring import is_served, name_work
from ecgbench.profiles import LlmSettings
from ecgbench.store.calibration import Measurement

CHARACTERS_A_TOKEN = 4
"""Of English text, until a run has measured it."""


class Device(StrEnum):
    """What kind of device a shipped figure is about."""

    CPU = "cpu"
    GPU = "gpu"
    SERVER = "server"


class Basis(StrEnum):
    """How a figure came about; what was not measured never says so."""

    HERE = "measured here"
    ELSEWHERE = "measured elsewhere"
    PUBLISHED = "published"
    ASSUMED = "assumed"
    DECLARED = "declared by the artifact"


@dataclass(frozen=True)
class Shipped:
    """Seconds an item of an artifact where nothing was measured, how the figure came about, on what, and its source."""

    artifact: str
    device: Device
    seconds: float
    basis: Basis
    machine: str
    source: str


_CORES, _H100, _ANY = "2 CPU cores", "one H100", "any server"
_GEMMA = "Gemma 3 270M, movie snippets of about 20 words"
_MINILM = "all-MiniLM-L6-v2: 190 texts a second"
_SHAPE = "benchmarks/gpu_shapes.py, snippets of 20 words, random weights in the shape of "
_TABLE = "the published commands' table of times for 25,000 texts of SST-2 and Qwen2.5-7B-Instruct: "
SHIPPED = (
    Shipped("LabelLogits", Device.CPU, 0.2, Basis.ELSEWHERE, _CORES, _GEMMA),
    Shipped("Explanations", Device.CPU, 0.35, Basis.ELSEWHERE, _CORES, _GEMMA),
    Shipped("ExplanationSamples", Device.CPU, 0.45, Basis.ELSEWHERE, _CORES, f"{_GEMMA}; two samples"),
    Shipped("LlmNli", Device.CPU, 0.1, Basis.ASSUMED, _CORES, "half a label: its prompts are shorter"),
    Shipped("CrossEncoderNli", Device.CPU, 0.25, Basis.ASSUMED, _CORES, "355 million parameters, 50 tokens a pair"),
    Shipped("TextEmbeddings", Device.CPU, 1 / 190, Basis.ELSEWHERE, _CORES, _MINILM),
    Shipped("ExplanationEmbeddings", Device.CPU, 1 / 190, Basis.ELSEWHERE, _CORES, _MINILM),
    Shipped("RationaleEmbeddings", Device.CPU, 1 / 190, Basis.ELSEWHERE, _CORES, _MINILM),
    Shipped("OutOfFoldProbs", Device.CPU, 0.08, Basis.ELSEWHERE, _CORES, "top 2 layers of MiniLM, 5 folds: .06 to .1"),
    Shipped("TrainingDynamics", Device.CPU, 0.025, Basis.ELSEWHERE, _CORES, "top 2 layers of MiniLM, 3 epochs"),
    Shipped("LabelLogits", Device.GPU, 0.0015, Basis.ELSEWHERE, _H100, f"{_SHAPE}Qwen3-8B, vLLM, 106 tokens a prompt"),
    Shipped("LlmNli", Device.GPU, 0.0015, Basis.ASSUMED, _H100, "as a label"),
    Shipped("Explanations", Device.GPU, 0.144, Basis.PUBLISHED, _H100, f"{_TABLE}2 to 4 h for three each, a third"),
    Shipped("ExplanationSamples", Device.GPU, 0.288, Basis.PUBLISHED, _H100, f"{_TABLE}the other two thirds"),
    Shipped("CrossEncoderNli", Device.GPU, 0.0024, Basis.ELSEWHERE, _H100, f"{_SHAPE}both MNLI models, their mean"),
    Shipped("OutOfFoldProbs", Device.GPU, 0.019, Basis.ASSUMED, _H100, "five trainings on four fifths each"),
    Shipped("TrainingDynamics", Device.GPU, 0.0047, Basis.ELSEWHERE, _H100, f"{_SHAPE}RoBERTa-base, 3 epochs"),
    Shipped("LabelLogits", Device.SERVER, 0.125, Basis.ASSUMED, _ANY, "2 s a reply, 16 at a time"),
    Shipped("LlmNli", Device.SERVER, 0.125, Basis.ASSUMED, _ANY, "2 s a reply, 16 at a time"),
    Shipped("Explanations", Device.SERVER, 0.125, Basis.ASSUMED, _ANY, "2 s a reply, 16 at a time"),
    Shipped("ExplanationSamples", Device.SERVER, 0.25, Basis.ASSUMED, _ANY, "2 s a reply, 16 at a time; two samples"),
)
"""This project measured none for a GPU with the real weights, and none for a server."""

_ONE_TOKEN = frozenset({"LabelLogits", "LlmNli"})
"""Artifacts whose replies are scored, not written, unless the model states its label in words."""
_CHAT_REPLY = 100
"""Tokens of an explanation in JSON: assumed, from 25 tokens of rationale and up to three spans."""


@dataclass(frozen=True)
class Rate:
    """Seconds and written tokens of an item, read tokens of a character, and what they rest on."""

    seconds: float
    seconds_from: str
    seconds_source: str
    reply_tokens: float
    tokens_a_character: float
    tokens_from: str


def find_rate(artifact: Artifact[Any], measured: Iterable[Measurement]) -> Rate:
    """Return the best figures there are: this work's, on the device on which it was measured last."""
    own = [one for one in measured if one.work == name_work(artifact) and one.items]
    seconds = _find_seconds(artifact, own)
    if own and own[-1].characters and own[-1].prompt_tokens:
        last = own[-1]
        per_item, per_character = last.reply_tokens / last.items, last.prompt_tokens / last.characters
        return Rate(*seconds, per_item, per_character, Basis.HERE)
    tokens_from = f"characters / {CHARACTERS_A_TOKEN}"
    return Rate(*seconds, _guess_reply_tokens(artifact), 1 / CHARACTERS_A_TOKEN, tokens_from)


def find_device(artifact: Artifact[Any]) -> Device:
    """Say which kind of device the artifact's models are meant for."""
    if is_served(artifact):
        return Device.SERVER
    return Device.GPU if any(getattr(settings, "gpus", 0) for settings in artifact.models()) else Device.CPU


def _find_seconds(artifact: Artifact[Any], own: Sequence[Measurement]) -> tuple[float, str, str]:
    """Return seconds an item, in a word or two where they are from, and the source."""
    if own:
        last = own[-1]
        return (
            last.seconds / last.items,
            f"{Basis.HERE} on {last.device}",
            f"{last.items} items in {last.seconds:.1f} s",
        )
    known = {one.device: one for one in SHIPPED if one.artifact == type(artifact).__name__}
    found = known.get(find_device(artifact)) or known.get(Device.CPU)  # at worst too slow
    if found is not None:
        return found.seconds, f"{found.basis}, {found.machine}", found.source
    if artifact.cost.seconds:
        return artifact.cost.seconds, Basis.DECLARED, "its class, for 2 CPU cores"
    return 0.0, "no figure", ""


def _guess_reply_tokens(artifact: Artifact[Any]) -> float:
    """Return how many tokens the replies to one item have: as many as they may, where no figure above says less."""
    llm = next((settings for settings in artifact.models() if isinstance(settings, LlmSettings)), None)
    if llm is None:
        return 0.0
    longest = min(llm.reply_tokens, _CHAT_REPLY) if llm.style == "chat" else llm.reply_tokens
    is_scored = type(artifact).__name__ in _ONE_TOKEN and llm.label_answers == "logprobs"
    return float(artifact.cost.llm_calls * (1 if is_scored else longest))
