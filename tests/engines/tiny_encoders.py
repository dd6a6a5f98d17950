"""Random RoBERTa and BART models of two layers with a byte-level tokenizer, in the formats of real ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ecgbench.profiles import ClassifierSettings, CrossEncoderSettings

ROBERTA = ("CONTRADICTION", "NEUTRAL", "ENTAILMENT")
BART = ("entailment", "contradiction", "neutral")
"""The names of the three classes in the orders that the published models have them."""


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


def save_nli_model(folder: Path, names: Sequence[str], *, kind: str = "roberta", seed: int = 0) -> CrossEncoderSettings:
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


def save_tiny_roberta(folder: Path, *, dropout: float = 0.1) -> ClassifierSettings:
    """Save a random RoBERTa of two layers with a byte-level tokenizer; returns settings that learn quickly."""
    import torch
    from transformers import RobertaConfig, RobertaModel

    config = RobertaConfig(
        vocab_size=save_tokenizer(folder),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=130,
        type_vocab_size=1,
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        RobertaModel(config).save_pretrained(folder)
    return ClassifierSettings(str(folder), trained_layers=None, batch_size=8, learning_rate=1e-2, max_tokens=40)
