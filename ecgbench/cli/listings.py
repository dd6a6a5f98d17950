"""`ecgbench plugins|detectors|noises|metrics|datasets`: what is there and what each needs."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import typer

from ecgbench.cli import options as opt
from ecgbench.cli.stdout import plugins_print_to_stderr

if TYPE_CHECKING:
    from ecgbench.registry import Registered, Registry


def plugins(plugin: opt.PluginFiles = None, json: opt.Json = False) -> None:
    """List the plugins: name, version, distribution, what each adds or why it did not load."""
    from ecgbench.plugins import load_plugins

    with plugins_print_to_stderr():
        loaded = load_plugins(tuple(plugin or ())).loaded
    rows = [
        {
            "plugin": p.name,
            "version": p.version,
            "distribution": p.distribution,
            "status": "ok" if p.reason is None else f"failed: {p.reason}",
            "adds": ", ".join(p.names),
        }
        for p in loaded
    ]
    _print(rows, as_json=json)


def detectors(plugin: opt.PluginFiles = None, json: opt.Json = False) -> None:
    """List the detectors."""
    _print(_describe_all(opt.load_plugins_or_warn(plugin).detectors), as_json=json)


def noises(plugin: opt.PluginFiles = None, json: opt.Json = False) -> None:
    """List the noise models."""
    _list(opt.load_plugins_or_warn(plugin).noise_models, as_json=json)


def metrics(plugin: opt.PluginFiles = None, json: opt.Json = False) -> None:
    """List the metrics."""
    _list(opt.load_plugins_or_warn(plugin).metrics, as_json=json)


def datasets(plugin: opt.PluginFiles = None, json: opt.Json = False) -> None:
    """List the datasets."""
    _list(opt.load_plugins_or_warn(plugin).datasets, as_json=json)


def _list(registry: Registry[Any], *, as_json: bool) -> None:
    rows = _describe_all(registry)
    for row in rows:
        del row["needs"]
    _print(rows, as_json=as_json)


def _describe_all(registry: Registry[Any]) -> list[dict[str, str]]:
    with plugins_print_to_stderr():
        return [_describe(entry) for entry in registry]


def _describe(entry: Registered[Any]) -> dict[str, str]:
    from ecgbench.errors import INTERRUPTS, one_line

    row = {
        "name": entry.spec.name,
        "version": entry.version,
        "distribution": entry.distribution,
        "parameters": "",
        "needs": "",
        "available": "yes",
        "summary": entry.spec.summary,
    }
    try:
        row["parameters"] = ", ".join(f"{name}={_shown(value)}" for name, value in entry.parameters().items())
        row["needs"], missing = _needs(entry)
        row["available"] = missing or "yes"
    except INTERRUPTS:
        raise
    except BaseException as error:  # a listing shows what is broken and goes on
        row["available"] = f"no: {one_line(error)}"
    return row


def _needs(entry: Registered[Any]) -> tuple[str, str | None]:
    """Return the artifacts a detector declares and, where one cannot be computed here, why."""
    from ecgbench.artifacts.base import artifact_title
    from ecgbench.engines.models import required_modules
    from ecgbench.grid.values import resolve_closure
    from ecgbench.profiles import EMBEDDED
    from ecgbench.registry import install_line, missing_modules
    from ecgbench.specs import DetectorSpec
    from ecgbench.store.cache import default_cache_folder

    if not isinstance(entry.spec, DetectorSpec):
        return "", None
    declared = entry.build({}).needs()
    modules: list[str] = []
    for artifact in resolve_closure(declared, EMBEDDED):
        modules += artifact.requires
        for setting in dataclasses.fields(artifact):
            modules += required_modules(getattr(artifact, setting.name), default_cache_folder() / "models")
    missing = missing_modules(tuple(dict.fromkeys(modules)))
    reason = f"no: needs {', '.join(missing)}: {install_line(missing[0])}" if missing else None
    return ", ".join(artifact_title(artifact) for artifact in declared), reason


def _shown(value: object) -> str:
    from ecgbench.grid.selection import render_value

    return "-" if value is None else render_value(value)


def _print(rows: list[dict[str, str]], *, as_json: bool) -> None:
    if as_json:
        typer.echo(opt.to_json(rows))
        return
    from ecgbench.cli.tables import print_table

    print_table(list(rows[0]) if rows else ["name"], [list(row.values()) for row in rows])
