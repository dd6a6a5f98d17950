"""The engine for OpenAI-compatible servers, against a server on this machine that answers as it is told."""

from __future__ import annotations

import json
import logging
import math
import time
import traceback
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from stand_in_server import (
    ASKED,
    KEY,
    OTHER,
    SCHEMA,
    Answer,
    StandIn,
    chat,
    continuation,
    in_turn,
    refusal,
    standing_in,
)

from ecgbench.engines.llm import Prompt, TokenUsage
from ecgbench.engines.llm.openai import FLOOR, score_labels
from ecgbench.engines.llm.server import find_base_url
from ecgbench.errors import EcgbenchError, MissingPackageError, UsageError
from ecgbench.profiles import ServerSettings

pytest.importorskip("openai")

CONTINUED = Prompt("Note: old\nVerdict: no\n\n", "Note: new\nVerdict:")


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    with standing_in(monkeypatch) as server:
        yield server


def test_a_chat_is_asked_with_its_schema_and_without_thinking(stand_in):
    llm = stand_in.llm()
    assert llm.generate([ASKED], max_new_tokens=9, schemas=[SCHEMA]) == ["fine"]
    (body,) = stand_in.bodies
    assert body["messages"] == [{"role": "user", "content": "Is it fresh? The plums are firm."}]
    assert body["model"] == "plum-1"
    assert (body["max_tokens"], body["temperature"]) == (9, 0.0)
    assert body["chat_template_kwargs"] == {"enable_thinking": False}
    form = body["response_format"]
    assert form["type"] == "json_schema"
    assert form["json_schema"]["schema"] == json.loads(SCHEMA)
    assert "n" not in body
    assert "seed" not in body
    assert stand_in.paths == ["/v1/chat/completions"]
    assert stand_in.keys == [f"Bearer {KEY}"]


def test_a_few_shot_prompt_is_a_text_to_go_on_with_and_stops(stand_in):
    stand_in.answer = lambda _: continuation(" yes\nReason: new\n\nNote:")
    assert stand_in.llm().generate([CONTINUED], max_new_tokens=9, stop="\n\n") == [" yes\nReason: new"]
    (body,) = stand_in.bodies
    assert (body["prompt"], body["stop"]) == (str(CONTINUED), ["\n\n"])
    assert "chat_template_kwargs" not in body
    assert stand_in.paths == ["/v1/completions"]


def test_draws_of_one_prompt_are_one_request_and_equal_seeds_one_reply(stand_in):
    stand_in.answer = lambda body: chat([f"{body['seed']}/{i}" for i in range(body.get("n", 1))])
    asked, seeds = [ASKED, OTHER, ASKED, ASKED], [5, 6, 7, 5]
    found = stand_in.llm().generate(asked, max_new_tokens=9, temperature=0.7, seeds=seeds)
    assert found == ["5/0", "6/0", "5/1", "5/0"]
    assert sorted((body.get("n", 1), body["seed"]) for body in stand_in.bodies) == [(1, 6), (2, 5)]


def test_a_server_that_gives_one_reply_at_a_time_is_asked_until_there_are_enough(stand_in):
    stand_in.answer = lambda body: chat([str(body["seed"])])
    found = stand_in.llm().generate([ASKED] * 3, max_new_tokens=9, temperature=0.7, seeds=[4, 2**40 + 8, 6])
    assert found == ["4", "8", "6"]


def test_a_prompt_that_is_given_often_is_asked_once_at_temperature_zero(stand_in):
    llm = stand_in.llm()
    assert llm.generate([ASKED, OTHER, ASKED], max_new_tokens=9) == ["fine"] * 3
    assert len(stand_in.bodies) == 2
    assert llm.usage == TokenUsage(prompt=40, reply=6, calls=2)


def test_a_refused_or_empty_reply_is_an_empty_string(stand_in):
    stand_in.answer = lambda _: chat([None])
    assert stand_in.llm().generate([ASKED], max_new_tokens=9) == [""]


def test_labels_are_read_off_the_likeliest_tokens_in_any_order_of_prompts(stand_in):
    def answer(body: dict[str, Any]) -> Answer:
        fresh = -0.1 if "plums" in body["messages"][0]["content"] else -3.0
        return chat(["fresh"], [("fre", fresh), ("spoiled", -1.5), ("f", -7.0)])

    stand_in.answer = answer
    found = stand_in.llm().label_logits([ASKED, OTHER, ASKED], ("fresh", "spoiled"))
    assert found.dtype == "float64"
    assert found.tolist() == [[-0.1, -1.5], [-3.0, -1.5], [-0.1, -1.5]]
    assert len(stand_in.bodies) == 2
    assert {body["top_logprobs"] for body in stand_in.bodies} == {20}
    assert {body["max_tokens"] for body in stand_in.bodies} == {1}


def test_labels_of_a_few_shot_prompt_begin_with_a_space(stand_in):
    stand_in.answer = lambda _: continuation(" no", {" no": -0.2, "no": -1.0, " ": -2.0, " ye": -3.0})
    assert stand_in.llm().label_logits([CONTINUED], ("yes", "no")).tolist() == [[-3.0, -0.2]]


@pytest.mark.parametrize("lead", ["", " "])
def test_the_longest_token_a_label_begins_with_stands_for_it(lead):
    top = {b"g": -1.0, b"go": -2.0, b" go": -2.5, b" ": -0.5, b"goat": -0.1, b"Good": -0.2}
    assert score_labels(top, ("good",), lead=lead) == [-2.5 if lead else -2.0]


def test_a_label_that_is_not_returned_comes_below_the_least_likely_token():
    assert score_labels({b"good": -0.1, b"so": -8.0}, ("good", "bad"), lead="") == [-0.1, -8.0 - FLOOR]


def test_a_label_in_another_script_is_matched_by_its_bytes():
    top = {"好".encode()[:2]: -0.3, "坏".encode(): -2.0}
    assert score_labels(top, ("好的", "坏的"), lead="") == [-0.3, -2.0]


def test_labels_that_share_their_first_token_are_refused_with_what_to_do_instead():
    with pytest.raises(EcgbenchError, match=r"'very good' and 'very bad'.*'very'.*label_answers=stated.*vllm"):
        score_labels({b"very": -0.4, b"poor": -1.5}, ("very good", "poor", "very bad"), lead="")
    unlikely = {b"World": -0.01, b"S": -9.0}
    assert score_labels(unlikely, ("World", "Sports", "Sci"), lead="") == [-0.01, -9.0, -9.0]


@pytest.mark.parametrize("prompt", [ASKED, CONTINUED], ids=["chat", "few-shot"])
def test_a_server_without_log_probabilities_is_named_with_what_to_do_instead(stand_in, prompt):
    stand_in.answer = lambda _: chat(["fresh"]) if prompt.chat else continuation(" fresh")
    with pytest.raises(EcgbenchError, match=r"no log-probabilities.*--set profile.llm.label_answers=stated"):
        stand_in.llm().label_logits([prompt], ("fresh", "spoiled"))


def test_answers_without_any_label_are_counted_in_a_warning(stand_in, caplog):
    stand_in.answer = lambda _: chat(["Well"], [("Well", -0.1), ("So", -2.0)])
    found = stand_in.llm().label_logits([ASKED], ("fresh", "spoiled"))
    assert found[0, 0] == found[0, 1]
    assert "1 of 1 answers have no label" in caplog.text


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_in_trouble_is_asked_again(stand_in, status):
    stand_in.answer = in_turn(refusal("later", status), refusal("later", status), chat(["fine"]))
    assert stand_in.llm().generate([ASKED], max_new_tokens=9) == ["fine"]
    assert len(stand_in.bodies) == 3


def test_retries_wait_as_long_as_the_server_says(stand_in, monkeypatch):
    waits: list[float] = []
    real = time.sleep
    monkeypatch.setattr("openai._base_client.time.sleep", lambda s: waits.append(s) or real(0))
    busy = replace(refusal("later", 429), headers={"retry-after": "7"})
    stand_in.answer = in_turn(busy, chat(["fine"]))
    stand_in.llm().generate([ASKED], max_new_tokens=9)
    assert 7.0 in waits


def test_patience_ends_after_the_retries_with_one_line(stand_in):
    stand_in.answer = lambda _: refusal("slow down", 429)
    with pytest.raises(EcgbenchError, match=r"plum-1.*too many requests after 2 retries.*concurrency"):
        stand_in.llm(retries=2).generate([ASKED], max_new_tokens=9)
    assert len(stand_in.bodies) == 3


def test_a_hanging_server_is_left_after_the_timeout(stand_in):
    stand_in.answer = lambda _: replace(chat(["late"]), delay=5.0)
    with pytest.raises(EcgbenchError, match=r"no answer within 0\.2 s; raise profile\.llm\.server\.timeout"):
        stand_in.llm(timeout=0.2, retries=0).generate([ASKED], max_new_tokens=9)


@pytest.mark.parametrize("body", ["{", "<html>busy</html>", "[]", "{}", '{"choices": []}', '{"choices": "none"}'])
def test_an_answer_that_is_none_is_one_line(stand_in, body):
    stand_in.answer = lambda _: Answer(body)
    with pytest.raises(EcgbenchError, match=r"^server http.*plum-1.*(no JSON|without choices)") as caught:
        stand_in.llm().generate([ASKED], max_new_tokens=9)
    assert "\n" not in str(caught.value)


def test_a_server_that_is_not_there_and_a_model_that_is_not_there_are_one_line(stand_in):
    with pytest.raises(EcgbenchError, match=r"cannot be reached; start it, or --set profile\.llm\.server\.base_url="):
        stand_in.llm(base_url="http://127.0.0.1:9/v1", retries=0).generate([ASKED], max_new_tokens=9)
    stand_in.answer = lambda _: refusal("The model `plum-1` does not exist.", 404)
    with pytest.raises(EcgbenchError, match=r"not found \(The model `plum-1` does not exist\.\).*/v1"):
        stand_in.llm().generate([ASKED], max_new_tokens=9)


def test_no_more_requests_at_once_than_allowed(stand_in):
    stand_in.answer = lambda _: replace(chat(["fine"]), delay=0.05)
    prompts = [Prompt("a", str(i), chat=True) for i in range(12)]
    assert stand_in.llm(concurrency=3).generate(prompts, max_new_tokens=9) == ["fine"] * 12
    assert 1 < stand_in.most_at_once <= 3


def test_after_an_error_the_rest_is_not_asked(stand_in):
    stand_in.answer = lambda _: refusal("no such thing", 404)
    prompts = [Prompt("a", str(i), chat=True) for i in range(40)]
    with pytest.raises(EcgbenchError, match="no such thing"):
        stand_in.llm(concurrency=1).generate(prompts, max_new_tokens=9)
    assert len(stand_in.bodies) < 40


def test_a_server_that_knows_no_template_options_is_asked_without_and_remembered(stand_in):
    def answer(body: dict[str, Any]) -> Answer:
        return refusal("Unrecognized argument") if "chat_template_kwargs" in body else chat(["fine"])

    stand_in.answer, llm = answer, stand_in.llm()
    assert llm.generate([ASKED], max_new_tokens=9, schemas=[SCHEMA]) == ["fine"]
    assert llm.generate([OTHER], max_new_tokens=9, schemas=[SCHEMA]) == ["fine"]
    assert ["chat_template_kwargs" in body for body in stand_in.bodies] == [True, False, False]
    assert all("response_format" in body for body in stand_in.bodies)


def test_a_model_that_wants_max_completion_tokens_gets_it(stand_in):
    def answer(body: dict[str, Any]) -> Answer:
        if "chat_template_kwargs" in body:
            return refusal("Unknown parameter: 'chat_template_kwargs'.", 422)
        return refusal("Use 'max_completion_tokens' instead.") if "max_tokens" in body else chat(["fine"])

    stand_in.answer, llm = answer, stand_in.llm()
    assert llm.generate([ASKED], max_new_tokens=9) == ["fine"]
    assert stand_in.bodies[-1]["max_completion_tokens"] == 9
    llm.generate([OTHER], max_new_tokens=9)
    assert len(stand_in.bodies) == 4


@pytest.mark.parametrize("given", ["{}", "{}/", " {}// "])
def test_the_address_may_end_in_a_slash_or_come_from_the_environment(stand_in, monkeypatch, given):
    assert find_base_url(ServerSettings(base_url=given.format(stand_in.url))) == stand_in.url
    monkeypatch.setenv("OPENAI_BASE_URL", given.format(stand_in.url))
    assert stand_in.llm(base_url="").generate([ASKED], max_new_tokens=9) == ["fine"]
    assert stand_in.paths == ["/v1/chat/completions"]


def test_a_path_before_the_version_is_kept(stand_in):
    stand_in.llm(base_url=stand_in.url.replace("/v1", "/team/a/v1/")).generate([ASKED], max_new_tokens=9)
    assert stand_in.paths == ["/team/a/v1/chat/completions"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("", r"needs a server's address: --set profile\.llm\.server\.base_url=.* or OPENAI_BASE_URL"),
        ("localhost:8000", "'localhost:8000', which is no address"),
        ("ftp://host/v1", "no address"),
        ("http://", "no address"),
        ("http://[::1/v1", "no address"),
        ("https://me:secret@host/v1", "holds a user, a password or a query"),
        ("https://host/v1?api-key=secret", "holds a user, a password or a query"),
    ],
)
def test_an_address_that_is_none_is_refused_and_a_secret_in_it_not_repeated(monkeypatch, given, message):
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(UsageError, match=message) as caught:
        find_base_url(ServerSettings(base_url=given))
    assert "secret" not in str(caught.value)


def test_a_server_without_a_key_is_asked_with_a_word_in_its_place(stand_in, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    assert stand_in.llm().generate([ASKED], max_new_tokens=9) == ["fine"]
    assert stand_in.keys == ["Bearer none"]


def test_without_the_library_the_install_line_is_given(stand_in, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "openai", None)
    with pytest.raises(MissingPackageError, match="pip install openai"):
        stand_in.llm()


@pytest.mark.parametrize(
    "answer",
    [
        refusal(f"Incorrect API key provided: {KEY}\nfind yours in your account", 401),
        refusal(f"Bearer {KEY} has no quota", 429),
        refusal(f"cannot parse 'Authorization: Bearer {KEY}'", 400),
        refusal(f"no model for {KEY}", 404),
        Answer(f"crashed on {KEY}", status=500),
        Answer(f'{{"detail": "{KEY}"}}', status=418),
        Answer(f"<html>{KEY}"),
        replace(chat(["late"]), delay=3.0),
        chat(["fine"]),
    ],
    ids=lambda answer: f"{answer.status}{'-late' if answer.delay else ''}",
)
def test_the_key_is_sent_and_shown_nowhere(stand_in, answer, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    for name in ("openai", "httpx", "httpx2", "httpcore", "httpcore2"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    stand_in.answer = lambda _: answer
    llm = stand_in.llm(retries=1, timeout=0.5)
    shown = [repr(llm), str(llm), repr(llm.server), repr(llm.server.client), repr(llm.server.settings)]
    raised: list[EcgbenchError] = []
    try:
        llm.generate([ASKED], max_new_tokens=9)
    except EcgbenchError as error:
        raised.append(error)
    assert bool(raised) == (answer.status != 200 or bool(answer.delay) or isinstance(answer.body, str))
    assert [error.__context__ for error in raised] == [None] * len(raised), "the client's errors hold the request"
    shown += [text for error in raised for text in (repr(error), "".join(traceback.format_exception(error)))]
    llm.close()
    output = capfd.readouterr()
    shown += [caplog.text, *(repr(record.__dict__) for record in caplog.records), output.out, output.err]
    assert set(stand_in.keys) == {f"Bearer {KEY}"}
    assert [text for text in shown if KEY in text] == []
    assert caplog.records, "the libraries log something at DEBUG, or this proves little"


def test_log_probabilities_may_be_minus_infinity():
    assert score_labels({b"good": -0.1, b"bad": -math.inf}, ("good", "bad"), lead="") == [-0.1, -math.inf]
