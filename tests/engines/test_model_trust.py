"""Models from strangers: no code of a model's folder runs, and weights that could hold code are not loaded."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from test_cross_encoder import ROBERTA, save_model
from tiny_llm import byte_level
from tiny_llm import save_model as save_llm

from ecgbench.engines.classifier import load_classifier
from ecgbench.engines.cross_encoder import load_cross_encoder
from ecgbench.engines.encoder import load_encoder
from ecgbench.engines.llm import load_llm
from ecgbench.engines.llm.tokens import PromptTokens
from ecgbench.engines.models import model_folder
from ecgbench.errors import UsageError
from ecgbench.profiles import EMBEDDED, ClassifierSettings, CrossEncoderSettings, EncoderSettings

Load = Callable[[str, Path], Any]
LOADERS: dict[str, Load] = {
    "encoder": lambda model, folder: load_encoder(EncoderSettings(model), folder),
    "classifier, all layers": lambda model, folder: _train(ClassifierSettings(model, trained_layers=None), folder),
    "classifier, top layers": lambda model, folder: load_classifier(
        ClassifierSettings(model, trained_layers=1), folder
    ),
    "cross-encoder": lambda model, folder: load_cross_encoder(CrossEncoderSettings(model), folder),
    "language model": lambda model, folder: load_llm(replace(EMBEDDED.llm, model=model, engine="transformers"), folder),
}
ENGINES = pytest.mark.parametrize("engine", LOADERS)


def _train(settings: ClassifierSettings, folder: Path) -> Any:
    from ecgbench.engines.classifier.full import _load_model

    classifier = load_classifier(settings, folder)
    _load_model(classifier.folder, 2)  # as a training loads its weights
    return classifier


def save(engine: str, folder: Path) -> None:
    """Save a tiny real model for an engine."""
    if engine == "language model":
        save_llm(folder, "Llama", byte_level())
    else:
        save_model(folder, ROBERTA)


class Trap:
    """Leave a trace where it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.canary,))


def spring(folder: Path, canary: Path) -> None:
    """Put code into a model's folder and name it wherever a configuration can name code."""
    (folder / "evil.py").write_text(f"from pathlib import Path\nPath({str(canary)!r}).touch()\nclass Evil: pass\n")
    names = ("AutoConfig", "AutoModel", "AutoModelForSequenceClassification", "AutoModelForCausalLM")
    for file, auto_map in (
        ("config.json", dict.fromkeys(names, "evil.Evil")),
        ("tokenizer_config.json", {"AutoTokenizer": ["evil.Evil", "evil.Evil"]}),
    ):
        path = folder / file
        path.write_text(json.dumps(json.loads(path.read_text()) | {"auto_map": auto_map}))


@ENGINES
def test_code_in_a_model_s_folder_is_not_run(engine: str, tmp_path: Path) -> None:
    folder, canary = tmp_path / "model", tmp_path / "canary"
    save(engine, folder)
    spring(folder, canary)
    LOADERS[engine](str(folder), tmp_path)
    assert not canary.exists()


@ENGINES
def test_code_for_a_kind_of_model_that_nobody_knows_is_refused_and_not_run(engine: str, tmp_path: Path) -> None:
    folder, canary = tmp_path / "model", tmp_path / "canary"
    save(engine, folder)
    spring(folder, canary)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "evil"}))
    with pytest.raises((ValueError, OSError, KeyError)):
        LOADERS[engine](str(folder), tmp_path)
    assert not canary.exists()


def test_the_trap_works(tmp_path: Path) -> None:
    """Without this the tests above could pass for want of code that runs."""
    from transformers import AutoConfig

    folder, canary = tmp_path / "model", tmp_path / "canary"
    save("encoder", folder)
    spring(folder, canary)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "evil"}))
    with pytest.raises(AttributeError):
        AutoConfig.from_pretrained(folder, trust_remote_code=True)
    assert canary.exists()


@ENGINES
@pytest.mark.parametrize("inside", [".", "2_Dense"])
def test_weights_that_could_hold_code_are_refused_in_one_line(engine: str, inside: str, tmp_path: Path) -> None:
    import torch

    folder, canary = tmp_path / "model", tmp_path / "canary"
    save(engine, folder)
    (folder / inside).mkdir(exist_ok=True)
    if inside == ".":
        (folder / "model.safetensors").unlink()
    torch.save({"weight": Trap(canary)}, folder / inside / "pytorch_model.bin")
    with pytest.raises(UsageError, match=r"pytorch_model\.bin, which may hold code and is not loaded; give") as refused:
        LOADERS[engine](str(folder), tmp_path)
    assert "\n" not in str(refused.value)
    assert not canary.exists()


@ENGINES
def test_beside_safetensors_such_weights_are_not_looked_at(engine: str, tmp_path: Path) -> None:
    import torch

    folder, canary = tmp_path / "model", tmp_path / "canary"
    save(engine, folder)
    torch.save({"weight": Trap(canary)}, folder / "pytorch_model.bin")
    LOADERS[engine](str(folder), tmp_path)
    assert not canary.exists()


def test_a_module_of_a_sentence_encoder_that_is_not_the_library_s_is_refused(tmp_path: Path) -> None:
    folder, canary = tmp_path / "model", tmp_path / "canary"
    save("encoder", folder)
    spring(folder, canary)
    modules = [{"idx": 0, "name": "0", "path": "", "type": "evil.Evil"}]
    (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(ValueError, match="executes third-party code"):
        load_encoder(EncoderSettings(str(folder)), tmp_path)
    assert not canary.exists()


def test_a_chat_template_cannot_reach_out_of_itself(tmp_path: Path) -> None:
    from jinja2.exceptions import SecurityError

    canary = tmp_path / "canary"
    reach = "{{ cycler.__init__.__globals__.os.system('touch " + str(canary) + "') }}"
    tokens = PromptTokens(byte_level(reach), "a model")
    with pytest.raises(SecurityError):
        tokens.tokenizer.apply_chat_template([{"role": "user", "content": "x"}], tokenize=False)
    assert not canary.exists()


@pytest.mark.parametrize("module", ["this", "antigravity", "os"])
def test_a_model_s_name_in_a_suite_imports_no_module(tmp_path: Path, module: str, capfd: Any) -> None:
    with pytest.raises(UsageError, match="holds no GGUF, and is not imported"):
        model_folder(f"gguf:{module}", tmp_path)
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("name", ["../escaped", "a/b", "a.b", ""])
def test_a_gguf_package_is_a_plain_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="is no name of a package"):
        model_folder(f"gguf:{name}", tmp_path)
