"""The classifier on cached activations, its folds and its dynamics."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from ecgbench.artifacts.base import Artifacts
from ecgbench.artifacts.classifier import (
    ClassifierStates,
    Dynamics,
    OutOfFoldProbs,
    TrainingDynamics,
    assign_folds,
    softmax,
)
from ecgbench.data import DetectionTask, TaskDescription
from ecgbench.engines.classifier import load_classifier, top_layers
from ecgbench.engines.classifier.batches import iter_shuffled
from ecgbench.engines.classifier.top_layers import TopLayersClassifier, load_top_layers
from ecgbench.engines.context import ComputeContext, EnginePool
from ecgbench.errors import NotApplicableError, UsageError
from ecgbench.profiles import EMBEDDED, ClassifierSettings
from ecgbench.seeds import derive_int

WORDS = ("good", "bad", "film", "plot", "very", "dull", "warm", "the", "a", "not")
NO_INPUTS = cast(Artifacts, {})


def save_tiny_model(folder: Path, dropout: float) -> str:
    """Save a random three-layer BERT with a ten-word vocabulary."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizer

    vocabulary = {word: i for i, word in enumerate(("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS))}
    BertTokenizer(vocab=vocabulary).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(config).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> ClassifierSettings:
    model = save_tiny_model(tmp_path_factory.mktemp("tiny"), dropout=0.1)
    return ClassifierSettings(model, batch_size=8, learning_rate=1e-2, max_tokens=16)


@pytest.fixture(scope="module")
def no_dropout(tmp_path_factory: pytest.TempPathFactory) -> ClassifierSettings:
    model = save_tiny_model(tmp_path_factory.mktemp("tiny"), dropout=0.0)
    return ClassifierSettings(model, batch_size=8, learning_rate=1e-2, max_tokens=16)


def build_task(n: int = 40) -> DetectionTask:
    """Texts whose label is their first word; one is empty, one is long."""
    rng = np.random.default_rng(0)
    labels = np.arange(n) % 2
    texts = [" ".join([WORDS[1 - y], *rng.choice(WORDS[2:], rng.integers(1, 9)), str(i)]) for i, y in enumerate(labels)]
    texts[3], texts[4] = "", "good " * 100
    return DetectionTask(tuple(texts), labels, TaskDescription("sentiment", ("negative", "positive")))


def train(settings: ClassifierSettings, *, seed: int = 1, task: DetectionTask | None = None) -> Any:
    task = task or build_task()
    classifier = load_classifier(settings, Path())
    examples = classifier.prepare(task.texts)
    return classifier.train(examples, labels=task.labels, n_classes=2, seed=seed), examples


def compute(artifact: Any, task: DetectionTask, seed: int = 0) -> Any:
    return artifact.compute(task, NO_INPUTS, ComputeContext(EnginePool(Path()), seed=seed))


def test_training_learns_a_separable_task(settings: ClassifierSettings) -> None:
    task = build_task()
    trained, examples = train(dataclasses.replace(settings, epochs=20), task=task)
    assert np.mean(trained.predict(examples).argmax(1) == task.labels) > 0.9


def test_logits_of_every_training_item_are_recorded_each_epoch(settings: ClassifierSettings) -> None:
    trained, examples = train(settings)
    assert trained.train_logits.shape == (settings.epochs, len(examples), 2)
    assert trained.train_logits.dtype == np.float32
    assert (np.abs(trained.train_logits).sum(axis=2) > 0).all()


def test_recorded_logits_come_from_train_mode(settings: ClassifierSettings, no_dropout: ClassifierSettings) -> None:
    """With a learning rate of 0 only dropout can tell an epoch from another or from prediction."""
    still = dataclasses.replace(settings, learning_rate=0.0)
    trained, examples = train(still)
    assert not np.allclose(trained.train_logits[0], trained.train_logits[1], atol=1e-4)
    plain, examples = train(dataclasses.replace(no_dropout, learning_rate=0.0))
    np.testing.assert_allclose(plain.train_logits[1], plain.predict(examples), atol=1e-5)


def test_the_head_reads_the_logits_off_the_pooled_states(settings: ClassifierSettings) -> None:
    import torch

    trained, examples = train(settings)
    states = trained.pool(examples)
    assert (states.shape, states.dtype) == ((len(examples), 16), np.float32)
    with torch.no_grad():
        logits = trained.model["head"].eval()(torch.tensor(states, device=trained.device))
    np.testing.assert_allclose(logits.cpu(), trained.predict(examples), atol=1e-5)


def test_states_come_without_dropout_and_from_the_one_training(settings: ClassifierSettings) -> None:
    task = build_task()
    trained, examples = train(settings, task=task, seed=derive_int(0, "training"))
    dynamics = compute(TrainingDynamics(settings), task)
    np.testing.assert_array_equal(trained.pool(examples), trained.pool(examples))
    np.testing.assert_array_equal(dynamics.states, trained.pool(examples))
    np.testing.assert_array_equal(dynamics.logits, trained.train_logits)


def test_classifier_states_have_length_one_and_zero_where_there_is_none() -> None:
    states = np.array([[3.0, 4.0], [0.0, 0.0]], dtype=np.float32)
    inputs: Any = {TrainingDynamics(): Dynamics(np.zeros((1, 2, 2), dtype=np.float32), states)}
    found = ClassifierStates().compute(build_task(), inputs, ComputeContext(None))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [[0.6, 0.8], [0.0, 0.0]])


def test_same_seed_same_bits_other_seed_other_bits(settings: ClassifierSettings) -> None:
    (first, examples), (second, _), (other, _) = train(settings), train(settings), train(settings, seed=2)
    np.testing.assert_array_equal(first.train_logits, second.train_logits)
    np.testing.assert_array_equal(first.predict(examples), second.predict(examples))
    assert not np.array_equal(first.train_logits, other.train_logits)


def test_global_random_states_stay_untouched(settings: ClassifierSettings) -> None:
    import torch

    def states() -> tuple[Any, ...]:
        numpy_state: Any = np.random.get_state()
        return random.getstate(), numpy_state[1].tolist(), torch.get_rng_state().tolist()

    before = states()
    train(settings)
    assert states() == before


@pytest.mark.parametrize("limit", ["1", "3", "8"])
def test_compute_batch_size_does_not_change_the_training(
    no_dropout: ClassifierSettings, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    whole, examples = train(no_dropout)
    monkeypatch.setenv("ECGBENCH_BATCH_SIZE", limit)
    parts, _ = train(no_dropout)
    np.testing.assert_allclose(parts.train_logits, whole.train_logits, atol=2e-3)
    np.testing.assert_allclose(parts.predict(examples), whole.predict(examples), atol=2e-3)


def test_out_of_memory_halves_the_part_and_changes_nothing_else(
    no_dropout: ClassifierSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, _ = train(no_dropout)
    sizes: list[int] = []
    forward = top_layers._forward

    def limited(model: Any, examples: Sequence[Any], device: Any) -> Any:
        sizes.append(len(examples))
        if len(examples) > 3:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return forward(model, examples, device)

    monkeypatch.setattr(top_layers, "_forward", limited)
    halved, _ = train(no_dropout)
    assert max(sizes) == 8
    np.testing.assert_allclose(halved.train_logits, whole.train_logits, atol=2e-3)


def test_error_other_than_out_of_memory_is_not_swallowed(
    settings: ClassifierSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(top_layers, "_forward", broken)
    with pytest.raises(RuntimeError, match="shapes"):
        train(settings)


def test_split_model_computes_what_the_whole_model_computes(settings: ClassifierSettings) -> None:
    import torch
    from transformers import AutoModel

    classifier = load_top_layers(settings, Path())
    text = build_task().texts[0]
    hidden = classifier.prepare([text])[0].float()[None]
    ids = torch.tensor([classifier.tokenizer(text)["input_ids"]])
    with torch.no_grad():
        split = classifier.upper.eval()(inputs_embeds=hidden.to(classifier.device)).last_hidden_state.cpu()
        whole = AutoModel.from_pretrained(settings.model).eval()(input_ids=ids).last_hidden_state
    np.testing.assert_allclose(split.numpy(), whole.numpy(), atol=5e-3)


def test_lower_layers_run_once_for_the_same_texts(
    settings: ClassifierSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[int] = []
    run_lower = TopLayersClassifier._run_lower

    def counted(self: TopLayersClassifier, texts: Sequence[str]) -> Any:
        runs.append(len(texts))
        return run_lower(self, texts)

    monkeypatch.setattr(TopLayersClassifier, "_run_lower", counted)
    context, task = ComputeContext(EnginePool(Path())), build_task()
    OutOfFoldProbs(settings).compute(task, NO_INPUTS, context)
    TrainingDynamics(settings).compute(task, NO_INPUTS, context)
    assert runs == [len(task)]


def test_long_texts_are_cut_at_max_tokens(settings: ClassifierSettings) -> None:
    lengths = [len(rows) for rows in load_classifier(settings, Path()).prepare(build_task().texts)]
    assert settings.max_tokens / 2 < max(lengths) <= settings.max_tokens
    assert min(lengths) == 2


def test_too_many_trained_layers_are_refused(settings: ClassifierSettings) -> None:
    with pytest.raises(UsageError, match="trained_layers is 4"):
        load_classifier(dataclasses.replace(settings, trained_layers=4), Path())


def test_shuffled_batches_hold_every_position_once_with_near_lengths() -> None:
    lengths = list(np.random.default_rng(0).integers(1, 100, 333))
    batches = list(iter_shuffled(lengths, batch_size=16, rng=np.random.default_rng(1)))
    assert sorted(p for batch in batches for p in batch) == list(range(333))
    spread = np.mean([np.ptp([lengths[p] for p in batch]) for batch in batches])
    assert spread < 25


def test_out_of_fold_probabilities_are_rows_of_probabilities_and_reproducible(settings: ClassifierSettings) -> None:
    task = build_task()
    probs = compute(OutOfFoldProbs(settings), task)
    assert (probs.shape, probs.dtype) == ((len(task), 2), np.float64)
    np.testing.assert_allclose(probs.sum(axis=1), 1)
    np.testing.assert_array_equal(probs, compute(OutOfFoldProbs(settings), task))
    assert not np.array_equal(probs, compute(OutOfFoldProbs(settings), task, seed=1))


def test_an_item_never_trains_the_classifier_that_judges_it(
    settings: ClassifierSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Flipping one label moves every item's probabilities but those of the item's own fold."""
    task = build_task()
    flipped = task.labels.copy()
    flipped[0] = 1 - flipped[0]
    monkeypatch.setattr("ecgbench.artifacts.classifier.assign_folds", lambda *_, **__: np.arange(len(task)) % 5)
    before = compute(OutOfFoldProbs(settings), task)
    after = compute(OutOfFoldProbs(settings), dataclasses.replace(task, labels=flipped))
    own = np.arange(len(task)) % 5 == 0
    np.testing.assert_array_equal(before[own], after[own])
    assert (before[~own] != after[~own]).all()


def test_dynamics_are_rebuilt_from_their_arrays(settings: ClassifierSettings) -> None:
    artifact = TrainingDynamics(settings)
    dynamics = compute(artifact, build_task())
    again = artifact.unpack(artifact.pack(dynamics))
    assert isinstance(again, Dynamics)
    assert again.logits.shape == (settings.epochs, 40, 2)
    assert again.states.shape == (40, 16)
    np.testing.assert_array_equal(again.logits, dynamics.logits)
    np.testing.assert_array_equal(again.states, dynamics.states)


def test_folds_are_even_in_every_class() -> None:
    labels = np.repeat([0, 1, 2], [50, 30, 7])
    folds = assign_folds([str(i) for i in range(87)], labels, folds=5, seed=3)
    for label in range(3):
        counts = np.bincount(folds[labels == label], minlength=5)
        assert np.ptp(counts) <= 1
    assert np.ptp(np.bincount(folds)) <= 1


def test_equal_texts_share_a_fold_whatever_their_labels() -> None:
    texts = [f"text {i % 10}" for i in range(40)]
    folds = assign_folds(texts, np.arange(40) // 20, folds=5, seed=0)
    assert len({(text, fold) for text, fold in zip(texts, folds.tolist(), strict=True)}) == 10
    assert set(folds.tolist()) == set(range(5))


def test_fewer_distinct_texts_than_folds_is_not_applicable() -> None:
    with pytest.raises(NotApplicableError, match="4 distinct texts are too few for 5 folds"):
        assign_folds(["a", "b", "c", "d", "a", "b"], np.arange(6) % 2, folds=5, seed=0)


def test_class_smaller_than_the_folds_still_runs(settings: ClassifierSettings) -> None:
    task = build_task(12)
    labels = np.zeros(12, dtype=np.int64)
    labels[0] = 1
    assert np.isfinite(compute(OutOfFoldProbs(settings), dataclasses.replace(task, labels=labels))).all()


def test_softmax_survives_large_logits() -> None:
    wanted = np.array([[1.0, 0.0], [0.5, 0.5]])
    np.testing.assert_allclose(softmax(np.array([[1000.0, 0.0], [-1000.0, -1000.0]])), wanted)


@pytest.mark.slow
def test_minilm_trains_on_cached_activations(tmp_path: Path) -> None:
    """Two words of feeling in many frames: MiniLM tells them apart in unseen texts."""
    frames = ("a {} film", "the plot is {}", "{} from start to end", "what a {} cast", "it is {}, that is all")
    good = ("wonderful", "great", "lovely", "superb", "delightful", "charming")
    bad = ("awful", "terrible", "boring", "dreadful", "horrible", "tedious")
    texts = tuple(frame.format(word) for frame in frames for word in (*good, *bad))
    labels = np.array([label for _ in frames for label in [1] * len(good) + [0] * len(bad)])
    task = DetectionTask(texts, labels, TaskDescription("sentiment", ("negative", "positive")))
    settings = dataclasses.replace(EMBEDDED.classifier, epochs=6)
    probs = OutOfFoldProbs(settings, folds=2).compute(task, NO_INPUTS, ComputeContext(EnginePool(tmp_path)))
    assert np.mean(probs.argmax(axis=1) == labels) > 0.8
