"""NLI cross-encoders: small random models of the real architectures, with their classes in other orders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from answering import answer
from ecgbench.artifacts.llm import Explanations
from ecgbench.artifacts.nli import NliScores
from ecgbench.data import DetectionTask, TaskDescription
from ecgbench.engines.context import ComputeContext, EnginePool
from ecgbench.engines.cross_encoder import NLI_CLASSES, find_classes, load_cross_encoder
from ecgbench.errors import UsageError
from ecgbench.profiles import EMBEDDED, CrossEncoderSettings
from ecgbench.prompts import Explanation

ROBERTA = ("CONTRADICTION", "NEUTRAL", "ENTAILMENT")
BART = ("entailment", "contradiction", "neutral")
PAIRS = [
    ("Evidence: wet; grey | Rationale: Water fell.", "The weather is dry."),
    ("Evidence: blue sky | Rationale: No clouds, all day long.", "The weather is wet."),
    ("Evidence: </s> | Rationale: A tag.", "The weather is dry."),
]


def save_tokenizer(folder: Path, *, length: int = 128) -> int:
    """Save a byte-level tokenizer in RoBERTa's and BART's format; returns its size."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = ["<s>", "<pad>", "</s>", "<unk>"]
    words = [*special, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    core = Tokenizer(models.BPE(vocab={word: i for i, word in enumerate(words)}, merges=[], unk_token="<unk>"))
    core.pre_tokenizer, core.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    core.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    named = {f"{name}_token": word for name, word in zip(("bos", "pad", "eos", "unk"), special, strict=True)}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, model_max_length=length, cls_token="<s>", sep_token="</s>", **named
    )
    tokenizer.save_pretrained(folder)
    return len(words)


def save_model(folder: Path, names: Sequence[str], *, kind: str = "roberta", seed: int = 0) -> CrossEncoderSettings:
    """Save a random two-layer model with these class names as safetensors, and its tokenizer."""
    import torch
    from transformers import (
        BartConfig,
        BartForSequenceClassification,
        RobertaConfig,
        RobertaForSequenceClassification,
    )

    size = save_tokenizer(folder)
    shared: dict[str, Any] = {
        "vocab_size": size,
        "id2label": dict(enumerate(names)),
        "label2id": {name: i for i, name in enumerate(names)},
        "bos_token_id": 0,
        "pad_token_id": 1,
        "eos_token_id": 2,
        "max_position_embeddings": 130,
        "init_std": 1.0,
        "initializer_range": 1.0,
    }
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if kind == "bart":
            sizes = dict.fromkeys(("encoder_layers", "decoder_layers"), 1)
            sizes |= dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads"), 2)
            sizes |= dict.fromkeys(("encoder_ffn_dim", "decoder_ffn_dim"), 32)
            model: Any = BartForSequenceClassification(BartConfig(d_model=16, **sizes, **shared))
        else:
            sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
            model = RobertaForSequenceClassification(RobertaConfig(type_vocab_size=1, **sizes, **shared))
    model.save_pretrained(folder)
    assert (folder / "model.safetensors").is_file()
    return CrossEncoderSettings(str(folder), max_tokens=100)


def plain_probabilities(settings: CrossEncoderSettings, pair: tuple[str, str]) -> dict[str, float]:
    """Judge one pair through transformers alone; returns probabilities by the model's own class names."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model: Any = AutoModelForSequenceClassification.from_pretrained(settings.model)
    tokenizer: Any = AutoTokenizer.from_pretrained(settings.model)
    with torch.inference_mode():
        logits = model.eval()(**tokenizer(*pair, return_tensors="pt")).logits[0].double()
    return {model.config.id2label[i].lower(): p for i, p in enumerate(torch.softmax(logits, 0).tolist())}


@pytest.mark.parametrize(("kind", "names"), [("roberta", ROBERTA), ("bart", BART)])
def test_columns_follow_the_names_in_the_models_configuration(kind: str, names: Sequence[str], tmp_path: Path) -> None:
    settings = save_model(tmp_path, names, kind=kind)
    found = load_cross_encoder(settings, tmp_path).classify(PAIRS[:2])
    assert (found.dtype, found.shape) == (np.float64, (2, 3))
    for row, pair in zip(found, PAIRS, strict=False):
        expected = plain_probabilities(settings, pair)
        np.testing.assert_allclose(row, [expected[name] for name in NLI_CLASSES], atol=1e-5)
        assert np.ptp(row) > 0.01, "a model that finds all classes alike shows no order"


def test_an_ensemble_of_two_architectures_gives_the_mean_of_contradiction_less_entailment(tmp_path: Path) -> None:
    models = save_model(tmp_path / "a", ROBERTA), save_model(tmp_path / "b", BART, kind="bart")
    explained = (Explanation("wet", ("rain",), "It pours."), None, Explanation("dry", ("sun",), "It is bright."))
    task = DetectionTask(("", "", ""), np.array([1, 0, 1]), TaskDescription("weather", ("wet", "dry")))
    given: Any = {Explanations(EMBEDDED.llm): explained}
    context = ComputeContext(EnginePool(tmp_path))
    scores = NliScores(nli=models).resolve(EMBEDDED)
    for judge in scores.inputs()[1:]:
        requests: Any = judge.requests(task, given)
        given[judge] = judge.assemble(answer(judge, requests, context))
    expected = []
    for explanation in (explained[0], explained[2]):
        judged = [plain_probabilities(model, (str(explanation), "The weather is dry.")) for model in models]
        expected.append(np.mean([p["contradiction"] - p["entailment"] for p in judged]))
    found = scores.compute(task, given, context)
    np.testing.assert_allclose(found, [expected[0], 0.0, expected[1]], atol=1e-5)
    assert found[1] == 0.0


@pytest.mark.parametrize("kind", ["roberta", "bart"])
def test_a_pair_is_judged_alike_alone_and_in_a_batch(kind: str, tmp_path: Path) -> None:
    judge = load_cross_encoder(save_model(tmp_path, BART, kind=kind), tmp_path)
    together = judge.classify(PAIRS)
    alone = np.concatenate([judge.classify([pair]) for pair in PAIRS])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(together.sum(axis=1), 1)
    assert judge.classify([]).shape == (0, 3)


def test_only_the_premise_is_cut_and_at_its_end(tmp_path: Path) -> None:
    judge = load_cross_encoder(save_model(tmp_path, ROBERTA), tmp_path)
    long = judge.classify([("w" * 500, "The weather is wet.")])
    room = judge.max_tokens - len("The weather is wet.") - 4
    np.testing.assert_allclose(long, judge.classify([("w" * room, "The weather is wet.")]), atol=1e-5)
    np.testing.assert_allclose(long, judge.classify([("w" * room + "z" * 9, "The weather is wet.")]), atol=1e-5)
    assert np.abs(long - judge.classify([("w" * 500, "The weather is dry.")])).max() > 1e-4


def test_the_tokenizers_own_limit_counts_where_it_is_lower(tmp_path: Path) -> None:
    settings = save_model(tmp_path, ROBERTA)
    assert load_cross_encoder(settings, tmp_path).max_tokens == 100
    assert load_cross_encoder(CrossEncoderSettings(settings.model), tmp_path).max_tokens == 128


@pytest.mark.parametrize(
    "names",
    [
        ("LABEL_0", "LABEL_1", "LABEL_2"),
        ("entailment", "not_entailment"),
        ("entailment", "neutral", "contradiction", "contradiction (weak)"),
        ("entailment", "neutral", "contradiction", "other"),
    ],
    ids=" ".join,
)
def test_a_model_that_does_not_name_just_the_three_classes_is_refused_in_one_line(names: tuple[str, ...]) -> None:
    with pytest.raises(UsageError) as refused:
        find_classes(dict(enumerate(names)), "models/mine")
    message = str(refused.value)
    assert "models/mine" in message
    assert ", ".join(names) in message
    assert "entailment, neutral, contradiction" in message
    assert "\n" not in message


def test_a_saved_model_without_class_names_is_refused(tmp_path: Path) -> None:
    settings = save_model(tmp_path, ("LABEL_0", "LABEL_1", "LABEL_2"))
    with pytest.raises(UsageError, match="LABEL_0, LABEL_1, LABEL_2"):
        load_cross_encoder(settings, tmp_path)


def test_pickled_weights_are_not_read(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    settings = save_model(tmp_path, ROBERTA)
    weights = tmp_path / "model.safetensors"
    torch.save(load_file(weights), tmp_path / "pytorch_model.bin")
    weights.unlink()
    with pytest.raises(UsageError, match="safetensors"):
        load_cross_encoder(settings, tmp_path)


def test_loading_leaves_the_global_random_state_alone(tmp_path: Path) -> None:
    import torch

    settings = save_model(tmp_path, ROBERTA)
    state = torch.random.get_rng_state()
    load_cross_encoder(settings, tmp_path).classify(PAIRS)
    assert torch.equal(state, torch.random.get_rng_state())
