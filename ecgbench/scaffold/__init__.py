"""The package of a new plugin: it installs, passes its checks and runs before a line of it is changed."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any, NoReturn

import ecgbench
from ecgbench import artifacts
from ecgbench.errors import UnknownNameError, UsageError
from ecgbench.grid.sanity import SANITY_ROWS
from ecgbench.plugins import Plugins, is_module_taken
from ecgbench.registry import Registry

LONGEST_NAME = 25
"""It heads a row or a column of every board."""
_NAME = re.compile(r"[a-z](?:[a-z0-9_]*[a-z0-9])?")
_OWN_CLASSES = frozenset({*ecgbench.__all__, *artifacts.__all__, "Check"})
"""What the templates import, or may come to import."""


class Kind(StrEnum):
    """The kinds of plugins that can be written."""

    DETECTOR = "detector"
    NOISE = "noise"
    METRIC = "metric"
    DATASET = "dataset"

    @classmethod
    def _missing_(cls, value: object) -> NoReturn:
        raise UnknownNameError("kind", str(value), list(cls))

    @property
    def about(self) -> About:
        """Return what is said of it."""
        return _ABOUT[self]


@dataclass(frozen=True)
class About:
    """What is said of a kind; `contract`: what its method promises, `run`: options of a run that shows one."""

    title: str
    contract: str
    run: str

    def registry(self, plugins: Plugins) -> Registry[Any]:
        """Return what plugins registered of it."""
        found: Registry[Any] = getattr(plugins, f"{self.title.replace(' ', '_')}s")
        return found


_ABOUT = {
    Kind.DETECTOR: About(
        "detector",
        "`score` returns one finite number an item, higher = more suspicious; what it reads stands in `needs`.",
        "--detectors {name},ecg --noise artifact_aligned --n 100",
    ),
    Kind.NOISE: About(
        "noise model",
        "`corrupt` makes exactly `round(rate * n)` labels wrong and draws from the generator it is given.",
        "--detectors loss,random --noise {name}",
    ),
    Kind.METRIC: About(
        "metric",
        "`compute` returns one number, or numbers by cut-off, higher = better, whatever the order of tied items.",
        "--detectors loss,random --noise uniform --json",
    ),
    Kind.DATASET: About(
        "dataset",
        "`load` returns all texts, their true labels and what the labels mean, in a fixed order.",
        "--dataset {name} --detectors loss,random --noise uniform",
    ),
}


@dataclass(frozen=True)
class Written:
    """A package that was written: its folder, its files, the module first, and options of a run that shows it."""

    folder: Path
    files: tuple[Path, ...]
    run: str


def write_package(kind: Kind, name: str, *, out: Path, plugins: Plugins) -> Written:
    """Write the package into a new folder `out`/name; raises UsageError for a name or a folder that is taken."""
    validate_name(kind, name, plugins)
    folder, run = out / name, kind.about.run.format(name=name)
    words = {
        "name": name,
        "class_name": _class_name(name),
        "title": kind.about.title,
        "contract": kind.about.contract,
        "run": run,
        "version": ecgbench.__version__,
    }
    sources = {
        f"{name}.py": f"{kind}.py",
        f"test_{name}.py": "test.py",
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
    }
    texts = {target: _read_template(source).substitute(words) for target, source in sources.items()}
    try:
        folder.mkdir(parents=True)
        for target, text in texts.items():
            (folder / target).write_text(text, encoding="utf-8")
    except FileExistsError:
        raise UsageError(f"{folder} is there already and stays as it is: give another name or another --out") from None
    except OSError as error:
        raise UsageError(f"cannot write {folder}: {error.strerror or error}; give another --out") from error
    return Written(folder, tuple(folder / target for target in texts), run)


def validate_name(kind: Kind, name: str, plugins: Plugins) -> None:
    """Raise UsageError where a name cannot be that of a package, its module, its class and what it registers."""
    fault = next(_iter_faults(kind, name, plugins), None)
    if fault is None:
        return
    plain = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    likely = [text[:LONGEST_NAME].rstrip("_") for text in (plain, f"my_{plain}", f"my_{kind}", f"my_other_{kind}")]
    fitting = [text for text in likely if not any(_iter_faults(kind, text, plugins))]
    raise UsageError(f"{name!r} cannot name a {kind.about.title}: {fault}; take another, such as {fitting[0]}")


def _iter_faults(kind: Kind, name: str, plugins: Plugins) -> Iterator[str]:
    if not _NAME.fullmatch(name):
        yield "it is not a Python identifier of lower-case letters, digits and underscores that starts with a letter"
    if len(name) > LONGEST_NAME:
        yield f"it has {len(name)} characters, and {LONGEST_NAME} are the most"
    if keyword.iskeyword(name):
        yield "it is a keyword of Python"
    registry = kind.about.registry(plugins)
    if name in registry.names:
        yield f"{registry[name].distribution} registers one of that name"
    if kind is Kind.DETECTOR and name in SANITY_ROWS:
        yield "a sanity row of every board has it"
    if is_module_taken(Path(f"{name}.py")):
        yield "an installed module has it"
    if _class_name(name) in _OWN_CLASSES:
        yield f"its class would be {_class_name(name)}, which ecgbench has"


def _class_name(name: str) -> str:
    """Return MyDetector for my_detector."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def _read_template(source: str) -> Template:
    return Template(files(__name__).joinpath("templates", f"{source}.tmpl").read_text(encoding="utf-8"))
