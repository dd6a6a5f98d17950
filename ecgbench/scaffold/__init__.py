"""The package of a new plugin: it installs, passes its checks and runs before a line of it is changed."""

from __future__ import annotations

import builtins
import keyword
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template

import ecgbench
from ecgbench import artifacts
from ecgbench.errors import UnknownNameError, UsageError
from ecgbench.grid.sanity import SANITY_ROWS
from ecgbench.plugins import Plugins, is_module_taken
from ecgbench.testing.base import Kind

LONGEST_NAME = 25
"""It heads a row or a column of every board."""
_NAME = re.compile(r"[a-z](?:[a-z0-9_]*[a-z0-9])?")
_OWN_CLASSES = frozenset({*ecgbench.__all__, *artifacts.__all__, "Check"})
"""What a generated module imports, or may come to import."""

_TOOL_FILES = frozenset({"conftest", "setup"})


@dataclass(frozen=True)
class Pattern:
    """What is written of a kind: the module's template, what its method promises, options of a run that shows it."""

    kind: Kind
    template: str
    contract: str
    run: str


PATTERNS = {
    "detector": Pattern(
        Kind.DETECTOR,
        "detector.py",
        "`score` returns one finite number an item, higher = more suspicious; what it reads stands in `needs`.",
        "--detectors {name},ecg --noise artifact_aligned --n 100",
    ),
    "noise": Pattern(
        Kind.NOISE_MODEL,
        "noise.py",
        "`corrupt` makes exactly `round(rate * n)` labels wrong and draws from the generator it is given.",
        "--detectors loss,random --noise {name}",
    ),
    "metric": Pattern(
        Kind.METRIC,
        "metric.py",
        "`compute` returns one number, or numbers by cut-off, higher = better, whatever the order of tied items.",
        "--detectors loss,random --noise uniform --json",
    ),
    "dataset": Pattern(
        Kind.DATASET,
        "dataset.py",
        "`load` returns all texts, their true labels and what the labels mean, in a fixed order.",
        "--dataset {name} --detectors loss,random --noise uniform",
    ),
}
"""What can be written, as the command line calls it."""


@dataclass(frozen=True)
class Written:
    """A package that was written: its folder, its files, the module first, and options of a run that shows it."""

    folder: Path
    files: tuple[Path, ...]
    run: str


def write_package(what: str, name: str, *, out: Path, plugins: Plugins) -> Written:
    """Write a package into a new folder `out`/name; raises UsageError for a name or a folder that is taken."""
    if what not in PATTERNS:
        raise UnknownNameError("kind", what, PATTERNS)
    pattern = PATTERNS[what]
    validate_name(pattern.kind, name, plugins)
    folder, texts = out / name, render_package(pattern, name)
    try:
        folder.mkdir(parents=True)
        for file, text in texts.items():
            (folder / file).write_text(text, encoding="utf-8")
    except FileExistsError:
        raise UsageError(f"{folder} is there already and stays as it is: give another name or another --out") from None
    except OSError as error:
        raise UsageError(f"cannot write {folder}: {error.strerror or error}; give another --out") from error
    return Written(folder, tuple(folder / file for file in texts), pattern.run.format(name=name))


def render_package(pattern: Pattern, name: str) -> dict[str, str]:
    """Return the text of each file, the module first."""
    templates = {
        f"{name}.py": pattern.template,
        f"test_{name}.py": "test.py",
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
    }
    words = {
        "name": name,
        "class_name": _class_name(name),
        "title": str(pattern.kind),
        "contract": pattern.contract,
        "run": pattern.run.format(name=name),
        "version": ecgbench.__version__,
    }
    return {file: _read_template(template).substitute(words) for file, template in templates.items()}


def validate_name(kind: Kind, name: str, plugins: Plugins) -> None:
    """Raise UsageError where a name cannot be that of a package, its module, its class and what it registers."""
    fault = next(_iter_faults(kind, name, plugins), None)
    if fault is None:
        return
    plain = _to_snake_case(name)
    title = kind.replace(" ", "_")
    likely = [text[:LONGEST_NAME].rstrip("_") for text in (plain, f"my_{plain or title}", f"my_other_{title}")]
    fitting = [text for text in likely if not any(_iter_faults(kind, text, plugins))]
    raise UsageError(f"{name!r} cannot name a {kind}: {fault}; take another, such as {(fitting or likely)[0]}")


def _iter_faults(kind: Kind, name: str, plugins: Plugins) -> Iterator[str]:
    if not _NAME.fullmatch(name):
        yield "it is not a Python identifier of lower-case letters, digits and underscores that starts with a letter"
    if len(name) > LONGEST_NAME:
        yield f"it has {len(name)} characters, and {LONGEST_NAME} are the most"
    class_name = _class_name(name)
    if keyword.iskeyword(name):
        yield "it is a keyword of Python"
    if hasattr(builtins, name):
        yield "it is a name of Python's own"
    if keyword.iskeyword(class_name) or hasattr(builtins, class_name):
        yield f"its class would be {class_name}, which is Python's own"
    if name in _TOOL_FILES or name.startswith("test_") or name.endswith("_test"):
        yield "pytest or setuptools would take its module for a file of theirs"
    registry = kind.registry(plugins)
    if name in registry.names:
        yield f"{registry[name].distribution} registers one of that name"
    if kind is Kind.DETECTOR and name in SANITY_ROWS:
        yield "a sanity row of every board has it"
    if is_module_taken(Path(f"{name}.py")):
        yield "an installed module has it"
    if class_name in _OWN_CLASSES:
        yield f"its class would be {class_name}, which ecgbench has"


def _to_snake_case(name: str) -> str:
    """Return my_detector for MyDetector or My-Detector."""
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", ascii_name).lower()
    return re.sub(r"[^a-z0-9]+", "_", words).strip("_")


def _class_name(name: str) -> str:
    """Return MyDetector for my_detector."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def _read_template(name: str) -> Template:
    return Template(files(__name__).joinpath("templates", f"{name}.tmpl").read_text(encoding="utf-8"))
