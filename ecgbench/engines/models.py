"""Where the model behind a reference lies on disk; a packed GGUF is converted once and kept."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from ecgbench.engines.hub import cached_folder, fetch_model
from ecgbench.errors import EcgbenchError, MissingPackageError, UsageError
from ecgbench.profiles import ClassifierSettings, EncoderSettings, LlmSettings
from ecgbench.registry import EMBEDDED_INSTALL

logger = logging.getLogger(__name__)

CONVERTERS = ("gguf", "accelerate")
"""What reads a GGUF, beside transformers."""

OTHER_ENGINES: dict[str, tuple[str, ...]] = {"vllm": ("vllm",), "openai": ()}
"""What a language model needs that does not run through transformers itself."""


def model_folder(reference: str, model_dir: Path) -> Path:
    """Return the folder of a model reference, preparing or fetching it on first use.

    `package:NAME/SUBFOLDER`: a folder inside an installed package. `gguf:NAME`: an installed package that holds a
    GGUF file or makes one by `assemble()`, converted under `model_dir`. Else a local folder, or a name on the model
    hub: `ORG/NAME`, `NAME` or one of SHORT_NAMES, each with `@REVISION` or without. What lies whole in the hub's own
    cache is taken from there, so that a model stays the same from run to run; where HF_HUB_OFFLINE is set nothing else
    is tried.
    Raises MissingPackageError, UsageError where the reference names nothing or a folder without safetensors,
    EcgbenchError where the hub gives nothing.
    """
    kind, _, name = reference.partition(":")
    if kind == "package":
        return _package_folder(name)
    if kind == "gguf":
        return _converted_folder(name, model_dir)
    folder = Path(reference).expanduser()
    if folder.is_dir():
        _refuse_pickles(folder, reference)
        return folder
    if not _is_hub_name(reference):
        raise UsageError(
            f"model {reference!r} is no folder; give a folder, package:NAME/SUBFOLDER, gguf:NAME or a name on the hub"
        )
    fetched = cached_folder(reference) or fetch_model(reference)
    _refuse_pickles(fetched, reference)  # another program may have fetched more into the hub's cache
    return fetched


def is_ready(reference: str, model_dir: Path) -> bool:
    """Tell whether `model_folder` would answer without converting or fetching anything."""
    kind, _, name = reference.partition(":")
    if kind == "gguf":
        return (model_dir / name / "config.json").is_file()
    if _is_hub_name(reference):
        return cached_folder(reference) is not None
    try:
        return model_folder(reference, model_dir).is_dir()
    except EcgbenchError:
        return False


def required_modules(settings: Any, model_dir: Path) -> tuple[str, ...]:
    """Return the modules without which the model of these settings cannot be loaded; none where they name no model.

    A converted GGUF lies in `model_dir` and needs its package no more.
    """
    reference = getattr(settings, "model", None)
    if not isinstance(reference, str):
        return ()
    if isinstance(settings, LlmSettings) and settings.engine in OTHER_ENGINES:
        return OTHER_ENGINES[settings.engine]
    kind, _, name = reference.partition(":")
    package = (name.partition("/")[0],) if kind in ("package", "gguf") else ()
    if kind == "gguf":
        package = () if is_ready(reference, model_dir) else (*package, *CONVERTERS)
    return (*package, "torch", "transformers", *_wrappers(settings))


def _wrappers(settings: Any) -> tuple[str, ...]:
    if isinstance(settings, EncoderSettings):
        return ("sentence_transformers",)
    if isinstance(settings, ClassifierSettings) and settings.trained_layers is None:
        return ("accelerate",)
    return ()


def loading_title(reference: str, model_dir: Path) -> str:
    """Say what loading a model does, for the progress display: a first time takes its time."""
    if reference.startswith("gguf:") and not is_ready(reference, model_dir):
        return f"converting {reference} once, about a minute"
    if _is_hub_name(reference) and not is_ready(reference, model_dir):
        return f"fetching {reference} from the model hub once"
    return f"loading {reference}"


def _is_hub_name(reference: str) -> bool:
    """Tell whether a reference can only be a name on the hub: no package, no folder here, nothing like a path."""
    is_path = reference.startswith((".", "~", os.sep)) or reference.count(os.sep) > 1
    return ":" not in reference and not is_path and not Path(reference).is_dir()


def _refuse_pickles(folder: Path, reference: str) -> None:
    """Raise UsageError for weights that could hold code where no safetensors lie beside them."""
    for pickled in sorted(folder.rglob("pytorch_model*.bin")):
        if not any(pickled.parent.glob("*.safetensors")):
            raise UsageError(
                f"model {reference!r} has its weights in {pickled.relative_to(folder)}, which may hold code and is not "
                "loaded; give a folder with safetensors: save_pretrained(FOLDER) writes them"
            )


def _package_folder(name: str) -> Path:
    package, _, inside = name.partition("/")
    folder = _package_root(package) / inside
    if not folder.is_dir():
        raise UsageError(f"package {package!r} holds no folder {inside!r}; reinstall it: {EMBEDDED_INSTALL}")
    return folder


def _package_root(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise MissingPackageError(package, needed_for="the model", install=EMBEDDED_INSTALL)
    return Path(spec.origin).parent


def _converted_folder(package: str, model_dir: Path) -> Path:
    """Return the converted model, converting it first if no process has; others wait for the lock."""
    from filelock import FileLock

    if not package.isidentifier():
        raise UsageError(f"model 'gguf:{package}': {package!r} is no name of a package; write gguf:PACKAGE")
    folder = model_dir / package
    if not folder.is_dir():
        for needed in (package, *CONVERTERS):
            _package_root(needed)
        model_dir.mkdir(parents=True, exist_ok=True)
        with FileLock(model_dir / f".{package}.lock"):
            if not folder.is_dir():
                _convert(package, folder)
    return folder


def _convert(package: str, folder: Path) -> None:
    """Write plain safetensors and tokenizer beside `folder`, then rename: never seen half done.

    The caller holds the lock, so what lies beside it unfinished is of a conversion that was killed.
    """
    for leftover in folder.parent.glob(f".{package}-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    logger.info("converting %s once, about a minute", package)
    temporary = Path(tempfile.mkdtemp(prefix=f".{package}-", dir=folder.parent))
    try:
        gguf = _provide_gguf(package, temporary)
        _save_plain(temporary, gguf.name)
        gguf.unlink()
        temporary.chmod(0o755)
        os.replace(temporary, folder)  # noqa: PTH105  # the atomic one, by its known name
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _provide_gguf(package: str, folder: Path) -> Path:
    """Return a package's GGUF file as a file in `folder`; a package that just holds it is not imported."""
    held = sorted(_package_root(package).glob("*.gguf"))
    if not held and "gguf" not in package:  # a suite from elsewhere may name any module
        raise UsageError(f"package {package!r} holds no GGUF, and is not imported to make one: its name lacks 'gguf'")
    if not held:
        made: Path = importlib.import_module(package).assemble(folder / "model.gguf")
        return made
    link = folder / held[0].name
    link.symlink_to(held[0])
    return link


def _save_plain(folder: Path, gguf_file: str) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with torch.random.fork_rng():  # loading may draw initial weights before it overwrites them
        model: Any = AutoModelForCausalLM.from_pretrained(
            folder, gguf_file=gguf_file, dtype=torch.float32, trust_remote_code=False
        )
    # The weights are plain now; what still says "quantised" would make save_pretrained refuse.
    model.hf_quantizer, model.is_quantized = None, False
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(folder)
    tokenizer: Any = AutoTokenizer.from_pretrained(folder, gguf_file=gguf_file, trust_remote_code=False)
    tokenizer.save_pretrained(folder)
