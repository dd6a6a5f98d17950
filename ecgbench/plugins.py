"""Find and load plugins, each alone: a broken one is a line in the report, never a crash."""

from __future__ import annotations

import functools
import importlib.machinery
import importlib.metadata
import importlib.util
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any

import pluggy

from ecgbench import hookspecs
from ecgbench.errors import INTERRUPTS, PluginConflictError, UsageError, one_line
from ecgbench.grid.random_states import guard_random_states
from ecgbench.registry import Registered, Registry
from ecgbench.specs import DatasetSpec, DetectorSpec, MetricSpec, NoiseModelSpec, Spec

logger = logging.getLogger(__name__)

GROUP = "ecgbench"
DISABLE_VARIABLE = "ECGBENCH_DISABLE_PLUGINS"
FILE_VERSION = "file"
FILE_MODULE = "ecgbench_file_plugin_"
LONGEST_REASON = 300
NAME = re.compile(r"[^\W_][\w-]*")
"""What one can type: no part of name[parameter=value], file:PATH or NAME.PARAMETER=VALUE."""
HOOKS: dict[str, type[Spec]] = {
    "ecgbench_datasets": DatasetSpec,
    "ecgbench_noise_models": NoiseModelSpec,
    "ecgbench_detectors": DetectorSpec,
    "ecgbench_metrics": MetricSpec,
}


@dataclass(frozen=True)
class Plugin:
    """One loaded or failed plugin; `reason` is None when it loaded."""

    name: str
    distribution: str
    version: str
    names: tuple[str, ...] = ()
    reason: str | None = None


@dataclass(frozen=True)
class Plugins:
    """Everything plugins contributed, and how each plugin fared."""

    datasets: Registry[DatasetSpec]
    noise_models: Registry[NoiseModelSpec]
    detectors: Registry[DetectorSpec]
    metrics: Registry[MetricSpec]
    loaded: tuple[Plugin, ...]

    @property
    def failed(self) -> tuple[Plugin, ...]:
        """Return the plugins that did not load."""
        return tuple(p for p in self.loaded if p.reason is not None)

    @property
    def files(self) -> tuple[Path, ...]:
        """Return the plugin files among them, from which a worker loads the same plugins."""
        return tuple(Path(p.distribution) for p in self.loaded if p.version == FILE_VERSION)


@dataclass(frozen=True)
class _Candidate:
    name: str
    distribution: str
    version: str
    load: Callable[[], Any]


def load_plugins(files: Sequence[Path] = ()) -> Plugins:
    """Load every installed plugin of the entry point group and the given plugin files.

    Raises PluginConflictError where two plugins claim one name, UsageError for a file that is missing or does
    not load: it was named by hand, while a broken installed plugin is left out with its reason.
    """
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    reports: list[Plugin] = []
    entries: dict[str, list[Registered[Any]]] = {hook: [] for hook in HOOKS}
    for candidate in [*_iter_installed(), *_iter_files(files)]:
        report, specs = _load_one(manager, candidate)
        reports.append(report)
        for hook, spec in specs:
            entries[hook].append(Registered(spec, candidate.name, candidate.distribution, candidate.version))
    for hook, registered in entries.items():
        _reject_duplicates(hook.removeprefix("ecgbench_").removesuffix("s").replace("_", " "), registered)
    return Plugins(
        datasets=Registry("dataset", entries["ecgbench_datasets"]),
        noise_models=Registry("noise model", entries["ecgbench_noise_models"]),
        detectors=Registry("detector", entries["ecgbench_detectors"]),
        metrics=Registry("metric", entries["ecgbench_metrics"]),
        loaded=tuple(reports),
    )


def _iter_installed() -> Iterator[_Candidate]:
    disabled = {name.strip() for name in os.environ.get(DISABLE_VARIABLE, "").split(",")}
    seen: set[tuple[str, str, str]] = set()
    for entry in importlib.metadata.entry_points(group=GROUP):
        dist = entry.dist
        owner, version = (dist.name, dist.version) if dist else ("unknown", "unknown")
        identity = (owner, entry.name, entry.value)
        if entry.name in disabled or identity in seen:
            continue
        seen.add(identity)  # an editable install beside a build folder lists one entry point twice
        yield _Candidate(entry.name, owner, version, entry.load)


def _iter_files(files: Sequence[Path]) -> Iterator[_Candidate]:
    named: dict[str, Path] = {}
    once: dict[Path, Path] = {}
    for file in files:
        once.setdefault(file.resolve(), file)
    for path in once.values():
        if not path.is_file():
            raise UsageError(f"plugin file {str(path)!r} does not exist; give the path of a Python file with hookimpls")
        first = named.setdefault(path.stem, path)
        if first is not path:  # one module name: the targets of one would lead into the other
            raise UsageError(f"plugin files {str(first)!r} and {str(path)!r} have one name: rename one")
        if is_module_taken(path):
            raise UsageError(f"plugin file {str(path)!r} has the name of an installed module: rename it")
        yield _Candidate(path.stem, str(path), FILE_VERSION, functools.partial(_import_file, path))


def is_module_taken(path: Path) -> bool:
    """Tell whether the file's name, under which its targets are imported, leads to another module."""
    loaded = sys.modules.get(path.stem)
    if loaded is not None and loaded.__name__.startswith(FILE_MODULE):
        return False  # a plugin file of an earlier call
    try:
        spec = importlib.util.find_spec(path.stem)
    except ModuleNotFoundError:
        return False
    except ValueError:  # such as __main__
        return True
    # No origin: a mere folder of that name on the path.
    return spec is not None and spec.origin is not None and Path(spec.origin).resolve() != path.resolve()


class _SourceOnly(importlib.machinery.SourceFileLoader):
    """Read the file as it stands: kept bytecode goes by size and whole seconds, and would hide a quick edit."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def _import_file(path: Path) -> Any:
    name = f"{FILE_MODULE}{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path, loader=_SourceOnly(name, str(path)))
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    # Targets such as "my_detector:MyDetector" are imported by name later, so both names must resolve.
    sys.modules[name] = module
    if sys.modules.setdefault(path.stem, module).__name__ == name:
        sys.modules[path.stem] = module  # not what an earlier call loaded from another folder
    spec.loader.exec_module(module)
    return module


def _load_one(manager: pluggy.PluginManager, candidate: _Candidate) -> tuple[Plugin, list[tuple[str, Spec]]]:
    """Import, register and call one plugin; what it raises becomes its reason, or a UsageError for a plugin file."""
    key = f"{candidate.distribution}:{candidate.name}"
    try:
        with guard_random_states():
            module = candidate.load()
            manager.register(module, name=key)
            manager.check_pending()
            specs = list(_iter_specs(manager, module))
    except INTERRUPTS:
        raise
    except BaseException as error:  # a plugin may even call sys.exit
        logger.debug("plugin %s failed", key, exc_info=True)
        if manager.has_plugin(key):
            manager.unregister(name=key)
        reason = f"{type(error).__name__}: {one_line(error)}"[:LONGEST_REASON]
        if candidate.version == FILE_VERSION:
            raise UsageError(f"plugin file {candidate.distribution!r} does not load: {reason}: mend it") from error
        return Plugin(candidate.name, candidate.distribution, candidate.version, reason=reason), []
    names = tuple(spec.name for _, spec in specs)
    return Plugin(candidate.name, candidate.distribution, candidate.version, names), specs


def _iter_specs(manager: pluggy.PluginManager, module: Any) -> Iterator[tuple[str, Spec]]:
    others = [plugin for plugin in manager.get_plugins() if plugin is not module]
    for hook, kind in HOOKS.items():
        for answer in manager.subset_hook_caller(hook, others)():
            for spec in answer:
                if not isinstance(spec, kind):
                    raise TypeError(f"{hook} must return {kind.__name__} objects, not {type(spec).__name__}")
                _validate_spec(spec)
                yield hook, spec


def _validate_spec(spec: Spec) -> None:
    """Raise TypeError or ValueError for a spec that a record, a listing or the command line could not take."""
    texts = (spec.name, spec.target, spec.summary, *spec.requires)
    if not all(isinstance(text, str) for text in texts):
        raise TypeError(f"a spec's name, target, summary and requires are text, not as in {spec!r}")
    if not NAME.fullmatch(spec.name):
        raise ValueError(f"{spec.name!r} is no name: begin with a letter or digit and use letters, digits, '_' and '-'")


def _reject_duplicates(kind: str, registered: Sequence[Registered[Any]]) -> None:
    owners: dict[str, Registered[Any]] = {}
    for entry in registered:
        first = owners.setdefault(entry.spec.name, entry)
        if first is not entry:
            is_file = entry.version == FILE_VERSION
            fix = "rename it there" if is_file else f"uninstall one or set {DISABLE_VARIABLE}={entry.plugin}"
            raise PluginConflictError(
                f"{kind} {entry.spec.name!r} comes from two plugins: {first.plugin} ({first.distribution} "
                f"{first.version}) and {entry.plugin} ({entry.distribution} {entry.version}); {fix}"
            )
