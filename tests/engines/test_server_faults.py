"""What the engine for servers makes of prompts that are refused, requests that hang and keys that are none."""

from __future__ import annotations

import math
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stand_in_server import ASKED, KEY, OTHER, SCHEMA, Answer, StandIn, chat, continuation, refusal, standing_in

from ecgbench.artifacts.llm import FewShots, LabelLogits
from ecgbench.data import DetectionTask, TaskDescription
from ecgbench.engines.context import ComputeContext, EnginePool
from ecgbench.engines.llm import Prompt
from ecgbench.errors import EcgbenchError, UsageError
from ecgbench.shots import ShotSets

pytest.importorskip("openai")


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    with standing_in(monkeypatch) as server:
        yield server


def filtering(answered: Answer, refused: Answer) -> Callable[[dict[str, Any]], Answer]:
    """Refuse what speaks of rot, whether it is a message or a text to go on with."""
    return lambda body: refused if "rot" in body.get("prompt", str(body.get("messages"))) else answered


def test_a_request_that_is_refused_either_way_costs_the_others_nothing(stand_in):
    stand_in.answer, llm = filtering(chat(["fine"]), refusal("prompt too long")), stand_in.llm()
    llm.generate([OTHER], max_new_tokens=9)
    llm.generate([ASKED], max_new_tokens=9)
    assert "chat_template_kwargs" in stand_in.bodies[-1]


REFUSALS = [
    *(refusal("content filter: rot", status) for status in (400, 403, 413, 422)),
    replace(chat([]), status=200),
]


@pytest.mark.parametrize("refused", REFUSALS, ids=["400", "403", "413", "422", "no-choices"])
def test_a_prompt_that_is_refused_is_none_and_the_others_are_answered(stand_in, refused, caplog):
    stand_in.answer = filtering(chat(["fine"]), refused)
    assert stand_in.llm().generate([ASKED, OTHER, ASKED], max_new_tokens=9, stop="!") == ["fine", None, "fine"]
    assert "1 of 2 prompts were refused: server http" in caplog.text


def test_a_prompt_that_is_refused_has_no_label_and_the_others_have_theirs(stand_in):
    for refused in (refusal("content filter: rot"), chat([None])):
        stand_in.answer = filtering(chat(["fresh"], [("fresh", -0.1), ("spoiled", -1.5)]), refused)
        found = stand_in.llm().label_logits([OTHER, ASKED], ("fresh", "spoiled"))
        assert found.dtype == "float64"
        assert [[math.nan, math.nan], [-0.1, -1.5]] == pytest.approx(found, nan_ok=True)


@pytest.mark.parametrize("prompt", [OTHER, Prompt("Note: ", "All will rot.")], ids=["chat", "few-shot"])
def test_a_batch_of_refused_prompts_alone_is_not_taken_for_a_broken_server(stand_in, prompt):
    answered = chat(["fresh"], [("fresh", -0.1)]) if prompt.chat else continuation("fresh", {"fresh": -0.1})
    stand_in.answer = filtering(answered, refusal("content filter: rot"))
    assert stand_in.llm().generate([prompt], max_new_tokens=9, schemas=[SCHEMA]) == [None]
    *_, asked_last = stand_in.bodies
    assert ("response_format" in asked_last, asked_last["max_tokens"]) == (True, 9), "with the options of the others"
    assert math.isnan(stand_in.llm().label_logits([prompt], ("fresh", "spoiled"))[0, 0])


def test_what_no_prompt_is_answered_with_is_an_error_though_other_questions_are(stand_in):
    def answer(body: dict[str, Any]) -> Answer:
        return refusal("no response_format here") if "response_format" in body else chat(["fine"])

    stand_in.answer, llm = answer, stand_in.llm()
    assert llm.generate([ASKED, OTHER], max_new_tokens=9) == ["fine", "fine"]
    with pytest.raises(EcgbenchError, match=r"400: no response_format here"):
        llm.generate([ASKED, OTHER], max_new_tokens=9, schemas=[SCHEMA] * 2)


@pytest.mark.parametrize("label_answers", ["logprobs", "stated"])
def test_a_text_that_the_server_filters_is_one_failed_attempt_asked_once(stand_in, label_answers):
    fresh = chat(['{"label": "fresh", "confidence": 90}'], [("fresh", -0.1), ("spoiled", -1.5)])
    stand_in.answer = filtering(fresh, refusal("content filter: rot"))
    settings = replace(stand_in.settings(), label_answers=label_answers)
    artifact = LabelLogits(settings)
    description = TaskDescription(noun="state of the fruit", label_names=("fresh", "spoiled"))
    task = DetectionTask(("The plums are firm.", "The apples rot."), np.array([0, 1]), description)
    requests = artifact.requests(task, {FewShots(settings): ShotSets(())})
    row, failed = artifact.compute(requests, ComputeContext(EnginePool(Path())))
    assert (row is not None, failed) == (True, None)
    refused = [body for body in stand_in.bodies if "rot" in str(body)]
    assert ["chat_template_kwargs" in body for body in refused] in ([True, False], [False]), "one attempt"


@pytest.fixture
def hanging(stand_in: StandIn) -> Iterator[StandIn]:
    """Let the first prompt hang until the test ends, and refuse the key of the others once it does."""
    started, ended = threading.Event(), threading.Event()

    def answer(body: dict[str, Any]) -> Answer:
        if "hang" in str(body):
            started.set()
            ended.wait(60)
        started.wait(60)
        return refusal("no such model", 404)

    stand_in.answer = answer
    yield stand_in
    ended.set()


HANGING = [Prompt("", "hang", chat=True), Prompt("", "fail", chat=True)]


def test_an_error_behind_a_request_that_hangs_is_raised_at_once(hanging):
    with pytest.raises(EcgbenchError, match="no such model"):
        hanging.llm(concurrency=2, timeout=60).generate(HANGING, max_new_tokens=9)
    assert hanging.at_once == 1, "the first one hangs still"


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let SIGINT interrupt: a shell has what it starts in the background ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_does_not_wait_for_a_request_that_hangs(hanging):
    def interrupt() -> None:
        while hanging.at_once == 0:
            time.sleep(0.01)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)  # as a terminal does

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        hanging.llm(timeout=60).generate(HANGING[:1], max_new_tokens=9)
    assert hanging.at_once == 1, "it hangs still"


FAILING = """
import sys
from dataclasses import replace
from ecgbench.engines.llm import Prompt, load_llm
from ecgbench.profiles import EMBEDDED, ServerSettings
server = ServerSettings(base_url=sys.argv[1], timeout=60)
llm = load_llm(replace(EMBEDDED.llm, model="plum-1", engine="openai", style="chat", server=server), None)
llm.generate([Prompt("", "hang", chat=True), Prompt("", "fail", chat=True)], max_new_tokens=9)
"""


def test_a_process_ends_while_a_request_hangs(hanging):
    done = subprocess.run(
        [sys.executable, "-P", "-c", FAILING, hanging.url], capture_output=True, text=True, check=False
    )
    assert "no such model" in done.stderr
    assert hanging.at_once == 1, "it hangs still"


@pytest.mark.parametrize("given", [f"{KEY}\n", f" {KEY}\r\n"])
def test_white_space_around_the_key_is_not_part_of_it(stand_in, monkeypatch, given):
    monkeypatch.setenv("OPENAI_API_KEY", given)
    assert stand_in.llm().generate([ASKED], max_new_tokens=9) == ["fine"]
    stand_in.answer = lambda _: refusal(f"{KEY} has no model", 404)
    with pytest.raises(EcgbenchError, match=r"\*\*\* has no model"):
        stand_in.llm().generate([ASKED], max_new_tokens=9)
    assert set(stand_in.keys) == {f"Bearer {KEY}"}


@pytest.mark.parametrize("given", [f"{KEY}ß", f"{KEY}\n{KEY}", "“sk-4711”"])
def test_a_key_that_none_can_be_is_refused_and_not_repeated(stand_in, monkeypatch, given):
    monkeypatch.setenv("OPENAI_API_KEY", given)
    with pytest.raises(
        UsageError, match=r"^OPENAI_API_KEY holds other characters than visible ASCII.*set it"
    ) as caught:
        stand_in.llm()
    assert "4711" not in "".join(traceback.format_exception(caught.value))
