"""Tokenizers and random models of two layers, in the formats of real ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

CORPUS = (
    "The plums are firm and sweet. The apples rot; nobody buys them any more.",
    "What is the verdict? It is one of: fresh, spoiled. Reply with that label only. Note: a crate of figs leaks.",
    "Figs\n\n and plums.\n\n",  # so that an empty line may be one token, alone or with the point before it
)
CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{% if enable_thinking is defined and not enable_thinking %}{{ '<think>\n\n</think>\n\n' }}{% endif %}{% endif %}"
)
"""The frame of Qwen3, which thinks aloud unless it is told not to."""
INSTRUCT = (
    "{% for m in messages %}{% if m.role == 'user' %}{{ bos_token + ' [INST] ' + m.content + ' [/INST]' }}"
    "{% else %}{{ ' ' + m.content + eos_token }}{% endif %}{% endfor %}"
)
"""The frame of Mistral, whose message begins behind a space."""


QWENS_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""How Qwen's tokenizer parts words, and Llama 3's much alike: line ends go with the point before them."""


def byte_level(template: str | None = CHATML, *, bos: bool = False, words: str | None = None) -> Any:
    """Make a tokenizer of GPT-2's kind, with or without a token that every text begins with, or of these words."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE())
    to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=words is None)
    split = [] if words is None else [pre_tokenizers.Split(Regex(words), "isolated")]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*split, to_bytes])
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|im_end|>", "<|im_start|>", "<s>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet)
    tokenizer.train_from_iterator(CORPUS, trainer)
    if bos:
        tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 2)])
    return _wrap(tokenizer, template, "<|im_end|>")


def space_first() -> Any:
    """Make a tokenizer of Llama 2's kind, which puts a space before every text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=500, special_tokens=["<unk>", "<s>", "</s>", *bytes_])
    tokenizer.train_from_iterator([f"{line} [INST] [/INST]" for line in CORPUS], trainer)
    return _wrap(tokenizer, INSTRUCT, "</s>")


def _wrap(tokenizer: Any, template: str | None, end: str) -> Any:
    from transformers import PreTrainedTokenizerFast

    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token=end, pad_token=end)
    wrapped.chat_template = template
    return wrapped


ARCHITECTURES = ("Qwen2", "Qwen3", "Llama", "Mistral", "Gemma2", "Gemma3Text")
_OWN: dict[str, dict[str, Any]] = {
    "Mistral": {"sliding_window": 24},
    "Gemma2": {"sliding_window": 24, "query_pre_attn_scalar": 8, "final_logit_softcapping": 5.0},
    "Gemma3Text": {"sliding_window": 24, "query_pre_attn_scalar": 8},
}


def save_model(folder: Path, architecture: str, tokenizer: Any, *, head_dim: int = 8) -> Path:
    """Save a random model and a tokenizer as a hub's folder; its weights are large, so that its answers differ."""
    import torch
    import transformers

    config = getattr(transformers, f"{architecture}Config")(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=head_dim,
        initializer_range=0.4,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=False,
        **_OWN.get(architecture, {}),
    )
    name = (
        architecture.removesuffix("Text") if not hasattr(transformers, f"{architecture}ForCausalLM") else architecture
    )
    with torch.random.fork_rng():
        torch.manual_seed(5)
        model: Any = getattr(transformers, f"{name}ForCausalLM")(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
