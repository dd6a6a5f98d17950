"""Speed and memory of the profile `paper` on a GPU, with random weights in the shapes of its models.

Needs no model hub: what a forward pass or a training step costs does not depend on what the weights are. Texts
are movie snippets, the tokenizer (8,000 pieces) is trained on them. Random models never end a reply by themselves, so
explanations are longer than real ones. With `--engine vllm` the model of 16 GB is written to the temporary folder, and
its memory is not seen: it is in a process of its own. Without FlashInfer set VLLM_USE_FLASHINFER_SAMPLER=0.

    python benchmarks/gpu_shapes.py [--items 2000] [--engine vllm]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from ecgbench.artifacts.llm.asking import LLM_BATCH, iter_prompt_batches
from ecgbench.artifacts.nli import PAIR_BATCH
from ecgbench.datasets.movie_snippets import MovieSnippets
from ecgbench.engines.batching import free_device_memory
from ecgbench.engines.classifier import load_classifier
from ecgbench.engines.cross_encoder import load_cross_encoder
from ecgbench.engines.llm import shared_prefix
from ecgbench.engines.llm.tokens import PromptTokens
from ecgbench.engines.llm.transformers import TransformersLlm
from ecgbench.engines.llm.vllm import VllmLlm
from ecgbench.profiles import PAPER, CrossEncoderSettings
from ecgbench.prompts import explanation_prompt, explanation_schema, label_prompt
from ecgbench.specs import DatasetContext
from ecgbench.store.cache import default_cache_folder

GIBIBYTE = 2**30
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<|im_start|>", "<|im_end|>")
CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
QWEN3_8B: dict[str, Any] = {
    "vocab_size": 151_936,
    "hidden_size": 4096,
    "intermediate_size": 12_288,
    "num_hidden_layers": 36,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "tie_word_embeddings": False,
}
ROBERTA_BASE: dict[str, Any] = {"vocab_size": 50_265, "max_position_embeddings": 514, "type_vocab_size": 1}
ROBERTA_LARGE = ROBERTA_BASE | {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
}
IDS: dict[str, Any] = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}
NLI = {0: "contradiction", 1: "neutral", 2: "entailment"}


@contextmanager
def measured(what: str, n: int) -> Iterator[Callable[[str], None]]:
    """Print seconds, rate and the GPU's peak memory of a block; the block may add a remark."""
    remarks: list[str] = []
    free_device_memory()
    torch.cuda.reset_peak_memory_stats()
    torch.cuda.synchronize()
    started = time.perf_counter()
    yield remarks.append
    torch.cuda.synchronize()
    seconds = time.perf_counter() - started
    peak = torch.cuda.max_memory_allocated() / GIBIBYTE
    memory = f"{peak:6.1f} GiB" if peak > 0.1 else "         -"
    print(f"{what:44} {n:6} {seconds:8.1f} s {n / seconds:9.1f}/s {memory}  {' '.join(remarks)}", flush=True)


def train_tokenizer(texts: list[str]) -> Any:
    """Train a byte-level tokenizer in RoBERTa's format, with the frame of chat models."""
    core = Tokenizer(models.BPE(unk_token="<unk>"))
    core.pre_tokenizer, core.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    core.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=8000, special_tokens=list(SPECIAL), initial_alphabet=alphabet)
    )
    core.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    named = {f"{name}_token": word for name, word in zip(("bos", "pad", "eos", "unk"), SPECIAL, strict=False)}
    wrapped = transformers.PreTrainedTokenizerFast(
        tokenizer_object=core, model_max_length=512, cls_token="<s>", sep_token="</s>", **named
    )
    wrapped.chat_template = CHATML
    return wrapped


def save(folder: Path, model: Any, tokenizer: Any) -> str:
    """Save a random model as a hub's folder."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def random_llm(tokenizer: Any) -> TransformersLlm:
    """Return the engine on a random model of Qwen3-8B's shape, made on the GPU in bfloat16."""
    shared_prefix.register()
    config = transformers.Qwen3Config(**QWEN3_8B, **IDS)
    torch.manual_seed(0)
    with torch.device("cuda"):
        model: Any = transformers.AutoModelForCausalLM.from_config(
            config, dtype=torch.bfloat16, attn_implementation=shared_prefix.NAME
        )
    return TransformersLlm(model.eval(), PromptTokens(tokenizer, "random"))


def random_vllm(tokenizer: Any, folder: Path) -> VllmLlm:
    """Return vLLM's engine on such a model, which is saved first."""
    save(folder, random_llm(tokenizer).model, tokenizer)
    free_device_memory()
    return VllmLlm.load(replace(PAPER.llm, model=str(folder)), folder)


def measure_llm(texts: list[str], description: Any, tokenizer: Any, *, engine: Any, folder: Path) -> None:
    """Ask for labels and explanations as the artifacts do, in their batches."""
    with measured(f"Qwen3-8B's shape by {engine}: make and load", 1):
        llm: Any = random_llm(tokenizer) if engine == "transformers" else random_vllm(tokenizer, folder / "llm")
    settings = replace(PAPER.llm, engine=engine)
    prompts = [label_prompt(description, (), text, settings) for text in texts]
    llm.label_logits(prompts[:LLM_BATCH], description.label_names)
    read = llm.usage.prompt
    with measured("label probabilities", len(texts)) as remark:
        for batch in iter_prompt_batches(prompts):
            llm.label_logits([prompts[i] for i in batch], description.label_names)
        remark(f"{llm.usage.prompt - read:,} tokens read")
    asked = texts[: 2 * LLM_BATCH]
    prompts = [explanation_prompt(description, (), text, settings, label="positive") for text in asked]
    schema = explanation_schema("positive", counterfactual=True)
    before = llm.usage.reply
    with measured("explanations by schema", len(asked)) as remark:
        for batch in iter_prompt_batches(prompts):
            llm.generate(
                [prompts[i] for i in batch], max_new_tokens=settings.reply_tokens, schemas=[schema] * len(batch)
            )
        remark(f"{llm.usage.reply - before:,} tokens written")
    if engine == "vllm":
        llm.close()


def measure_classifier(texts: list[str], labels: Any, tokenizer: Any, folder: Path) -> None:
    """Fine-tune a random model of RoBERTa-base's shape by the profile's settings, and predict."""
    model = transformers.RobertaModel(transformers.RobertaConfig(**ROBERTA_BASE, **IDS))
    settings = replace(PAPER.classifier, model=save(folder / "classifier", model, tokenizer))
    classifier = load_classifier(settings, folder)
    examples: Any = classifier.prepare(texts)
    classifier.train(examples[:256], labels=labels[:256], n_classes=2, seed=0)
    with measured(f"RoBERTa-base's shape: {settings.epochs} epochs in bf16", len(texts)):
        trained = classifier.train(examples, labels=labels, n_classes=2, seed=0)
    with measured("its predictions", len(texts)):
        trained.predict(examples)


def measure_judges(texts: list[str], tokenizer: Any, folder: Path) -> None:
    """Judge pairs by random models of the shapes of both MNLI models."""
    bart = {"vocab_size": 50_265, "max_position_embeddings": 1024}
    shapes: dict[str, Any] = {
        "roberta-large-mnli": lambda: transformers.RobertaForSequenceClassification(
            transformers.RobertaConfig(**ROBERTA_LARGE, **IDS, id2label=NLI)
        ),
        "bart-large-mnli": lambda: transformers.BartForSequenceClassification(
            transformers.BartConfig(**bart, **IDS, id2label=NLI)
        ),
    }
    pairs = [(f"Evidence: {text} | Rationale: {text}", "The sentiment is positive.") for text in texts]
    for name, make in shapes.items():
        judge = load_cross_encoder(CrossEncoderSettings(save(folder / name, make(), tokenizer)), folder)
        judge.classify(pairs[:PAIR_BATCH])
        with measured(f"{name}'s shape: pairs", len(pairs)):
            for start in range(0, len(pairs), PAIR_BATCH):
                judge.classify(pairs[start : start + PAIR_BATCH])
        del judge


def main() -> None:
    """Measure each model of the profile and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=2000)
    parser.add_argument("--engine", choices=["transformers", "vllm"], default="transformers")
    chosen = parser.parse_args()
    data = MovieSnippets().load(DatasetContext(default_cache_folder() / "datasets"))
    rows = np.random.default_rng(0).permutation(len(data.texts))[: chosen.items]
    texts, labels = [data.texts[i] for i in rows], data.labels[rows]
    print(f"{torch.cuda.get_device_name(0)}, torch {torch.__version__}, transformers {transformers.__version__}")
    tokenizer = train_tokenizer(texts)
    with tempfile.TemporaryDirectory() as folder:
        if chosen.engine == "transformers":
            measure_classifier(texts, labels, tokenizer, Path(folder))
            measure_judges(texts, tokenizer, Path(folder))
        measure_llm(texts, data.description, tokenizer, engine=chosen.engine, folder=Path(folder))


if __name__ == "__main__":
    main()
