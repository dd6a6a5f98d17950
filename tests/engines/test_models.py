"""Models of a model hub: a small hub of the same protocol on this machine, or none at all."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from huggingface_hub import constants

from ecgbench.engines import hub as engine
from ecgbench.engines.models import is_ready, loading_title, model_folder, required_modules
from ecgbench.errors import EcgbenchError, UsageError
from ecgbench.profiles import EMBEDDED, PAPER, PROFILES

COMMIT = "c0ffee" * 6 + "abcd"
WHOLE = ("config.json", "model.safetensors", "tokenizer.json")
UNWANTED = ("pytorch_model.bin", "modeling_custom.py", "model.pt", "weights.pkl", "onnx/model.json", "README.md")


@dataclass
class Hub:
    """A hub with these repositories; `refusal`: status and error code for all it is asked, or for files alone."""

    files: dict[str, tuple[str, ...]] = field(default_factory=dict)
    refusal: tuple[int, str] | None = None
    refuses_files_alone: bool = False
    asked: list[str] = field(default_factory=list)

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """Answer a path as the hub does."""
        self.asked.append(path)
        path = path.partition("?")[0].lstrip("/")
        if self.refusal and ("/resolve/" in path or not self.refuses_files_alone):
            return self.refusal[0], {"X-Error-Code": self.refusal[1]}, b"{}"
        for name, files in self.files.items():
            if path in (f"api/models/{name}", f"api/models/{name}/revision/main", f"api/models/{name}/revision/v1"):
                return 200, {}, json.dumps({"id": name, "sha": COMMIT, "siblings": []}).encode()
            if path == f"api/models/{name}/tree/{COMMIT}":
                tree = [{"type": "file", "path": f, "size": len(f), "oid": f"{i:040}"} for i, f in enumerate(files)]
                return 200, {}, json.dumps(tree).encode()
            for i, file in enumerate(files):
                if path == f"{name}/resolve/{COMMIT}/{file}":
                    return 200, {"ETag": f'"{i:040}"', "X-Repo-Commit": COMMIT}, file.encode()
        return 404, {"X-Error-Code": "RepoNotFound"}, b"{}"


def use_hub(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the hub's library ask this port."""
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{port}")
    template = f"http://127.0.0.1:{port}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


@pytest.fixture
def no_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the hub's library an empty cache, and a hub that is switched off."""
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        use_hub(unused.getsockname()[1], monkeypatch)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def hub(no_hub: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:  # noqa: ARG001
    """Start a hub, with an empty cache on this side."""
    served = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = served.answer(self.path)
            self.send_response(status)
            for key, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(key, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_: Any) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    use_hub(server.server_port, monkeypatch)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield served
    server.shutdown()
    server.server_close()


def one_line(error: pytest.ExceptionInfo[BaseException]) -> str:
    message = str(error.value)
    assert "\n" not in message
    return message


def test_a_model_of_the_hub_is_fetched_without_anything_that_holds_code(hub: Hub, tmp_path: Path) -> None:
    hub.files["org/model"] = (*WHOLE, *UNWANTED, "merges.txt", "1_Pooling/config.json")
    assert not is_ready("org/model", tmp_path)
    assert loading_title("org/model", tmp_path) == "fetching org/model from the model hub once"
    folder = model_folder("org/model", tmp_path)
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert found == {*WHOLE, "merges.txt", "1_Pooling/config.json"}
    assert not [path for path in hub.asked if path.endswith(UNWANTED)]


def test_a_fetched_model_is_taken_from_the_cache_without_asking_the_hub(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.files["org/model"] = WHOLE
    folder = model_folder("org/model", tmp_path)
    hub.asked.clear()
    assert model_folder("org/model", tmp_path) == folder
    assert is_ready("org/model", tmp_path)
    assert loading_title("org/model", tmp_path) == "loading org/model"
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert model_folder("org/model", tmp_path) == folder
    assert not hub.asked


@pytest.mark.parametrize("lost", WHOLE)
def test_a_model_of_which_a_part_is_missing_is_not_ready_and_is_completed(hub: Hub, tmp_path: Path, lost: str) -> None:
    hub.files["org/model"] = WHOLE
    folder = model_folder("org/model", tmp_path)
    (folder / lost).unlink()
    assert not is_ready("org/model", tmp_path)
    assert model_folder("org/model", tmp_path) == folder
    assert (folder / lost).is_file()


def test_a_model_in_shards_is_whole_when_all_its_shards_are_there(tmp_path: Path) -> None:
    for name in ("config.json", "vocab.json", "a.safetensors"):
        (tmp_path / name).touch()
    weights = {"weight_map": {"one": "a.safetensors", "two": "b.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(weights))
    assert not engine._is_whole(tmp_path)
    (tmp_path / "b.safetensors").touch()
    assert engine._is_whole(tmp_path)


def test_a_revision_is_asked_for_by_its_name(hub: Hub, tmp_path: Path) -> None:
    hub.files["org/model"] = WHOLE
    assert model_folder("org/model@v1", tmp_path).name == COMMIT
    assert all("revision/v1" in path for path in hub.asked if "revision" in path)
    assert any("revision/v1" in path for path in hub.asked)
    assert is_ready("org/model@v1", tmp_path)
    assert not is_ready("org/model", tmp_path)


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ("Qwen3-8B", "Qwen/Qwen3-8B"),
        ("Qwen2.5-7B-Instruct", "Qwen/Qwen2.5-7B-Instruct"),
        ("Mistral-7B-Instruct-v0.2", "mistralai/Mistral-7B-Instruct-v0.2"),
        ("Llama-3.1-8B-Instruct", "meta-llama/Llama-3.1-8B-Instruct"),
    ],
)
def test_short_names_of_the_published_language_models_lead_to_them(
    hub: Hub, tmp_path: Path, short: str, full: str
) -> None:
    hub.files[full] = WHOLE
    assert model_folder(short, tmp_path) == model_folder(full, tmp_path)


def test_a_name_without_organisation_is_a_name_and_a_folder_of_that_name_goes_first(hub: Hub, tmp_path: Path) -> None:
    hub.files["roberta-base"] = WHOLE
    assert model_folder("roberta-base", tmp_path).name == COMMIT
    Path("roberta-base").mkdir()
    assert model_folder("roberta-base", tmp_path) == Path("roberta-base")


@pytest.mark.parametrize("reference", ["./model", "../model", "~/no such model", "/no/such/model", "a/b/c", "x:y"])
def test_what_looks_like_a_path_and_is_no_folder_is_not_looked_for_on_the_hub(
    hub: Hub, tmp_path: Path, reference: str
) -> None:
    with pytest.raises(UsageError, match="is no folder; give a folder"):
        model_folder(reference, tmp_path)
    assert not is_ready(reference, tmp_path)
    assert not hub.asked


WAYS_OUT = ("give a folder (--set profile.llm.model=FOLDER", "--profile embedded")


@pytest.mark.parametrize(
    ("refusal", "said"),
    [
        ((403, "GatedRepo"), "is gated: accept its terms on its page on the hub and set HF_TOKEN"),
        ((404, "RepoNotFound"), "is neither a folder nor on the model hub"),
        ((404, "RevisionNotFound"), "is neither a folder nor on the model hub"),
        ((500, ""), "cannot be fetched from the model hub (HfHubHTTPError"),
    ],
)
def test_what_the_hub_refuses_is_one_line_with_the_ways_out(
    hub: Hub, tmp_path: Path, refusal: tuple[int, str], said: str
) -> None:
    hub.refusal = refusal
    with pytest.raises(EcgbenchError) as error:
        model_folder("meta-llama/Some-Model", tmp_path)
    for part in ("'meta-llama/Some-Model'", said, *WAYS_OUT):
        assert part in one_line(error)


def test_a_gated_model_whose_page_is_open_is_called_gated(hub: Hub, tmp_path: Path) -> None:
    hub.files["meta-llama/Some-Model"] = WHOLE
    hub.refusal, hub.refuses_files_alone = (403, "GatedRepo"), True
    with pytest.raises(EcgbenchError, match="'meta-llama/Some-Model' is gated: accept its terms"):
        model_folder("meta-llama/Some-Model", tmp_path)


def test_weights_that_could_hold_code_are_no_weights(hub: Hub, tmp_path: Path) -> None:
    hub.files["org/model"] = ("config.json", "tokenizer.json", "pytorch_model.bin")
    with pytest.raises(UsageError, match="'org/model' has no safetensors or no tokenizer on the model hub"):
        model_folder("org/model", tmp_path)


@pytest.mark.usefixtures("no_hub")
def test_a_hub_that_is_not_there_is_one_line_with_the_ways_out(tmp_path: Path) -> None:
    with pytest.raises(EcgbenchError) as error:
        model_folder("roberta-base", tmp_path)
    for part in ("'roberta-base' cannot be fetched from the model hub (ConnectError", *WAYS_OUT):
        assert part in one_line(error)


@pytest.mark.usefixtures("no_hub")
def test_a_hub_that_is_silent_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "HUB_SECONDS", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        use_hub(silent.getsockname()[1], monkeypatch)
        with pytest.raises(EcgbenchError, match=r"cannot be fetched from the model hub \(ReadTimeout"):
            model_folder("roberta-base", tmp_path)


def test_offline_the_hub_is_not_asked(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.files["roberta-base"] = WHOLE
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(EcgbenchError) as error:
        model_folder("roberta-base", tmp_path)
    for part in ("'roberta-base' is not in the hub's cache and this run is offline", *WAYS_OUT):
        assert part in one_line(error)
    assert not hub.asked


def test_a_profiles_models_say_what_they_need(tmp_path: Path) -> None:
    assert required_modules(PAPER.classifier, tmp_path) == ("torch", "transformers", "accelerate")
    assert required_modules(PAPER.encoder, tmp_path) == ("torch", "transformers", "sentence_transformers")
    assert required_modules(PAPER.nli[0], tmp_path) == ("torch", "transformers")
    assert required_modules(PAPER.llm, tmp_path) == ("vllm",)
    assert required_modules(replace(EMBEDDED.llm, engine="openai"), tmp_path) == ()
    assert set(PROFILES) == {"embedded", "paper"}
