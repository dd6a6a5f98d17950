"""`ecgbench doctor`: what this machine has, and the line that mends what it lacks."""

from __future__ import annotations

from typing import Any

import typer

from ecgbench.cli import options as opt


def doctor(cache: opt.CacheFolder = None, json: opt.Json = False) -> None:
    """Show versions, devices, the cache, and whether each profile is usable; exit 1 where none is."""
    from ecgbench.grid.build import installed_versions
    from ecgbench.profiles import PROFILES

    store = opt.open_cache(cache, create=False)
    report: dict[str, Any] = {
        "versions": installed_versions(),
        "devices": _devices(),
        "cache": str(store.folder),
        "profiles": {name: _diagnose(profile, store) for name, profile in PROFILES.items()},
        "plugins that failed": {p.name: p.reason for p in opt.load_plugins_or_warn(None).failed},
    }
    if json:
        typer.echo(opt.to_json(report))
    else:
        _print(report)
    if not any(state.startswith("usable") for state in report["profiles"].values()):
        raise typer.Exit(1)


def _devices() -> list[str]:
    import os

    cpus = [f"cpu: {os.cpu_count()} cores"]
    try:
        import torch
    except ImportError:
        return [*cpus, "torch is not installed: pip install torch"]
    gpus = [f"gpu {i}: {torch.cuda.get_device_name(i)}" for i in range(torch.cuda.device_count())]
    return [*cpus, *(gpus or ["gpu: none"])]


def _diagnose(profile: Any, store: Any) -> str:
    """Return "usable" with what is still to be converted, or the line that mends the profile."""
    from ecgbench.engines.models import is_ready, required_modules
    from ecgbench.registry import missing_modules

    settings = (profile.encoder, profile.classifier, profile.llm, *profile.nli)
    needed = [module for setting in settings for module in required_modules(setting, store.models)]
    missing = missing_modules(tuple(dict.fromkeys([*needed, "faiss"])))
    if missing:
        return f'not usable: {", ".join(missing)} missing; pip install "ecgbench[{profile.extra}]"'
    unready = [ref for ref in dict.fromkeys(profile.models) if not is_ready(ref, store.models)]
    return f"usable; the first run prepares {', '.join(unready)} (or now: ecgbench fetch)" if unready else "usable"


def _print(report: dict[str, Any]) -> None:
    for title, content in report.items():
        if isinstance(content, dict):
            typer.echo(f"{title}:" if content else f"{title}: none")
            for key, value in content.items():
                typer.echo(f"  {key}: {value}")
        else:
            typer.echo(f"{title}: {', '.join(content) if isinstance(content, list) else content}")
