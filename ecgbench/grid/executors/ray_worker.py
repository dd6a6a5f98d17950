"""What happens in a worker of a Ray cluster: take over the run's plugins and settings, then perform its work."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ecgbench.engines.context import EnginePool
from ecgbench.errors import EcgbenchError
from ecgbench.grid.build import VERSIONED, installed_versions
from ecgbench.grid.executors.wire import perform_packed
from ecgbench.grid.work import Worker
from ecgbench.plugins import FILE_VERSION, Plugins, load_plugins
from ecgbench.store.cache import default_cache_folder


@dataclass(frozen=True)
class Setup:
    """What every worker of a run takes over; `key` tells it from any other run's.

    `plugin_files`: name and content of each. `models`: the run's folder of converted models.
    """

    key: str
    plugin_files: tuple[tuple[str, bytes], ...]
    models: Path
    versions: Mapping[str, str]
    secrets: Mapping[str, str] = field(repr=False)


class Actor:
    """A worker that keeps its models from one batch to the next."""

    def __init__(self) -> None:
        self._worker: Worker | None = None

    def prepare(self, setup: Setup) -> None:
        """Take over the run's plugins and settings."""
        self._worker = _make_worker(setup)

    def perform(self, title: str, packed: bytes, *parts: bytes) -> bytes:
        """Perform packed work."""
        assert self._worker is not None, "an actor is prepared before it gets work"
        return perform_packed(title, packed, self._worker, parts)

    def answer(self) -> None:
        """Say that this actor is there."""

    def release(self) -> None:
        """Free all models."""
        if self._worker is not None:
            self._worker.engines.release()


def perform_task(setup: Setup, title: str, packed: bytes, *parts: bytes) -> bytes:
    """Perform packed work; no model outlives it, since the process may next be another's."""
    worker = _make_worker(setup)
    try:
        return perform_packed(title, packed, worker, parts)
    finally:
        worker.engines.release()


def comparable_versions(plugins: Plugins) -> dict[str, str]:
    """Return the versions of what the numbers depend on and of every installed plugin.

    What follows a + names a build: a machine with a GPU has another than one without.
    """
    installed = {p.distribution: p.version for p in plugins.loaded if p.version != FILE_VERSION and p.reason is None}
    return {name: version.partition("+")[0] for name, version in (installed_versions() | installed).items()}


_plugins: dict[str, Plugins] = {}
"""The plugins of the run that this process works for, by the key of its setup."""


def _make_worker(setup: Setup) -> Worker:
    if setup.key not in _plugins:
        os.environ.update(setup.secrets)
        plugins = load_plugins(_write_plugin_files(setup))
        _compare_versions(setup.versions, comparable_versions(plugins))
        _plugins.clear()
        _plugins[setup.key] = plugins
    models = setup.models if setup.models.is_dir() else default_cache_folder() / "models"
    return Worker(EnginePool(models), _plugins[setup.key])


def _write_plugin_files(setup: Setup) -> list[Path]:
    """Write the plugin files where this process alone reads them; their names must stay what they were."""
    if not setup.plugin_files:
        return []
    folder = Path(tempfile.mkdtemp(prefix="ecgbench-plugins-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for name, content in setup.plugin_files:
        (folder / name).write_bytes(content)
    return [folder / name for name, _ in setup.plugin_files]


def _compare_versions(wanted: Mapping[str, str], here: Mapping[str, str]) -> None:
    """Raise EcgbenchError where this machine would compute something else than the records say.

    A package that is not here at all is reported by the work that needs it, but for plugins.
    """
    for name, version in wanted.items():
        found = here.get(name)
        if found != version and not (found is None and name in VERSIONED):
            raise EcgbenchError(
                f"machine {os.uname().nodename} has {name} {found or '(not installed)'}, the run has {version}: "
                "install the same there"
            )
