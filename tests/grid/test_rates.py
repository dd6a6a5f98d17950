"""Figures of a plan: what was measured comes first, what was not measured never says that it was."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest

import ecgbench.artifacts.classifier
import ecgbench.artifacts.embeddings
import ecgbench.artifacts.llm
import ecgbench.artifacts.nli
from ecgbench.artifacts.base import Artifact, Cost
from ecgbench.artifacts.classifier import OutOfFoldProbs
from ecgbench.artifacts.embeddings import TextEmbeddings
from ecgbench.artifacts.llm import Explanations, LabelLogits
from ecgbench.artifacts.nli import CrossEncoderNli
from ecgbench.grid.measuring import name_work
from ecgbench.grid.rates import SHIPPED, Basis, Device, find_device, find_rate
from ecgbench.profiles import EMBEDDED, PAPER, Profile
from ecgbench.store.calibration import Measurement

SERVED = replace(PAPER, llm=replace(PAPER.llm, engine="openai"))
MODULES = (ecgbench.artifacts.classifier, ecgbench.artifacts.embeddings, ecgbench.artifacts.llm, ecgbench.artifacts.nli)


@dataclass(frozen=True)
class Foreign(LabelLogits):
    """An artifact of a plugin, of which the shipped table knows nothing."""

    cost: ClassVar[Cost] = Cost(seconds=3.0, llm_calls=2)


def test_every_shipped_figure_is_about_an_artifact_there_is_and_has_a_source() -> None:
    assert all(any(hasattr(module, one.artifact) for module in MODULES) for one in SHIPPED)
    assert all(one.source and one.seconds > 0 for one in SHIPPED)
    assert len({(one.artifact, one.device) for one in SHIPPED}) == len(SHIPPED)


def test_shipped_figures_for_a_gpu_say_what_was_measured_and_those_for_a_server_are_assumed() -> None:
    measured = [one for one in SHIPPED if one.device is Device.GPU and one.basis is Basis.ELSEWHERE]
    assert measured
    assert all("random weights" in one.source for one in measured)
    assert {one.basis for one in SHIPPED if one.device is Device.SERVER} == {Basis.ASSUMED}
    assert Basis.HERE not in {one.basis for one in SHIPPED}


@pytest.mark.parametrize(("profile", "device"), [(EMBEDDED, Device.CPU), (PAPER, Device.GPU), (SERVED, Device.SERVER)])
def test_the_device_follows_from_the_profile(profile: Profile, device: Device) -> None:
    assert find_device(Explanations().resolve(profile)) is device


def test_only_what_asks_the_server_is_the_servers() -> None:
    assert find_device(OutOfFoldProbs().resolve(SERVED)) is Device.GPU
    assert find_device(CrossEncoderNli(PAPER.nli[0]).resolve(SERVED)) is Device.GPU


def test_without_a_figure_for_a_gpu_the_slower_one_for_a_cpu_stands() -> None:
    rate = find_rate(TextEmbeddings().resolve(PAPER), [])
    assert (rate.seconds, rate.seconds_from) == (1 / 190, "measured elsewhere, 2 CPU cores")


def test_what_no_table_knows_costs_what_its_class_declares_and_replies_as_long_as_they_may() -> None:
    rate = find_rate(Foreign().resolve(EMBEDDED), [])
    assert (rate.seconds, rate.seconds_from) == (3.0, "declared by the artifact")
    assert rate.reply_tokens == 2 * EMBEDDED.llm.reply_tokens


def test_what_was_measured_last_stands_before_what_is_shipped() -> None:
    artifact = Explanations().resolve(PAPER)
    measured = [
        Measurement(name_work(artifact), "NVIDIA A100", 100, 90.0, 40_000, 9_000, 7_000),
        Measurement(name_work(artifact), "NVIDIA H100", 100, 30.0, 40_000, 8_000, 6_000),
    ]
    rate = find_rate(artifact, measured)
    assert (rate.seconds, rate.seconds_from) == (0.3, "measured here on NVIDIA H100")
    assert (rate.tokens_a_character, rate.reply_tokens, rate.tokens_from) == (0.2, 60, "measured here")


@pytest.mark.parametrize(
    "other",
    [
        LabelLogits().resolve(PAPER),
        Explanations().resolve(EMBEDDED),
        Explanations(replace(PAPER.llm, engine="transformers")),
    ],
    ids=["another artifact", "another model", "another engine"],
)
def test_a_measurement_counts_for_its_own_work_alone(other: Artifact[Any]) -> None:
    measured = [Measurement(name_work(other), "NVIDIA H100", 100, 30.0, 40_000, 8_000, 6_000)]
    assert find_rate(Explanations().resolve(PAPER), measured).seconds_from == "published, one H100"


def test_a_label_stated_in_words_is_written_and_one_read_off_is_not() -> None:
    stated = replace(PAPER.llm, label_answers="stated")
    assert find_rate(LabelLogits(PAPER.llm), []).reply_tokens == 1
    assert find_rate(LabelLogits(stated), []).reply_tokens > 1
