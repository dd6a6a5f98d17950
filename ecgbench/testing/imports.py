"""What a plugin's modules import: at once, in an interpreter of their own, and later, by their source."""

from __future__ import annotations

import ast
import functools
import importlib.metadata
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from ecgbench.plugins import FILE_MODULE, FILE_VERSION, GROUP
from ecgbench.registry import Registered

HEAVY = (
    *("torch", "transformers", "sentence_transformers", "faiss", "cleanlab", "datasets", "sklearn", "scipy", "pandas"),
    *("tensorflow", "keras", "jax", "vllm", "ray", "spacy", "nltk", "gensim", "matplotlib", "xgboost", "lightgbm"),
)
"""Libraries that take long to import or much memory: they belong inside functions."""
_MARK = "IMPORTED-HEAVY"
_PROBE = f"""
import importlib, importlib.util, sys
name, path, *heavy = sys.argv[1:]
if path:
    spec = importlib.util.spec_from_file_location(name, path)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
else:
    importlib.import_module(name)
print("{_MARK}", *(m for m in heavy if m in sys.modules))
"""


def heavy_imports(name: str, path: str) -> tuple[str, ...]:
    """Return which heavy libraries the import of a module (of a file, where there is a path) loads with it."""
    return _heavy_imports(name, path, Path(path).stat().st_mtime_ns if path else 0)


@functools.lru_cache(maxsize=256)
def _heavy_imports(name: str, path: str, edited: int) -> tuple[str, ...]:  # noqa: ARG001  # a file may be mended
    env = os.environ | {"PYTHONPATH": os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)}
    command = [sys.executable, "-P", "-B", "-c", _PROBE, name, path, *HEAVY]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    said = [line for line in done.stdout.splitlines() if line.startswith(_MARK)]
    if done.returncode or not said:
        raise ImportError(f"{name}: {(done.stderr.strip().splitlines() or ['the interpreter ended'])[-1]}")
    return tuple(said[-1].split()[1:])


def module_of(kind: type[Any]) -> tuple[str, str]:
    """Return name and, where it is not found by that name, file of the module a class stands in."""
    module, top = sys.modules[kind.__module__], kind.__module__.partition(".")[0]
    finders = [finder.find_spec for finder in sys.meta_path if hasattr(finder, "find_spec")]
    is_found = top != "__main__" and any(find_spec(top, None) for find_spec in finders)
    return kind.__module__, "" if is_found else str(getattr(module, "__file__", None) or "")


def plugin_module(entry: Registered[Any]) -> tuple[str, str]:
    """Return name and, of a plugin file, path of the module whose hooks gave a spec."""
    if entry.version == FILE_VERSION:
        return FILE_MODULE + entry.plugin, entry.distribution
    found = (e for e in importlib.metadata.entry_points(group=GROUP, name=entry.plugin))
    return next((e.module for e in found if e.dist and e.dist.name == entry.distribution), ""), ""


def undeclared_imports(kind: type[Any], entry: Registered[Any]) -> list[str]:
    """Return the packages that a class's module imports, in functions too, and that nobody sees to.

    Seen to are the standard library, ecgbench and what it always installs, what the plugin's own distribution holds
    or installs, the module's own package, and what `requires` names.
    """
    file = inspect.getsourcefile(kind)
    visitor = _ImportVisitor()
    visitor.visit(ast.parse(Path(file).read_text(encoding="utf-8") if file else ""))
    owners = ("ecgbench", entry.distribution)
    # An editable install does not say which modules it holds; its entry points do.
    plugins = [e.module for e in importlib.metadata.entry_points(group=GROUP) if e.dist and e.dist.name in owners]
    own = {name.partition(".")[0] for name in (kind.__module__, *plugins, *entry.spec.requires)}
    foreign = sorted(visitor.found - own - sys.stdlib_module_names)
    installed = _installed_with("ecgbench") | _installed_with(entry.distribution)
    return [name for name in foreign if not installed & set(map(_normal, _distributions().get(name, [])))]


class _ImportVisitor(ast.NodeVisitor):
    """Collect top-level names of imports, but for those made for types alone or that may fail."""

    def __init__(self) -> None:
        self.found: set[str] = set()

    def visit_Import(self, node: ast.Import) -> None:
        self.found.update(alias.name.partition(".")[0] for alias in node.names)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if node.level == 0 and node.module:
            self.found.add(node.module.partition(".")[0])

    def visit_If(self, node: ast.If) -> None:
        for child in node.orelse if "TYPE_CHECKING" in ast.unparse(node.test) else [*node.body, *node.orelse]:
            self.visit(child)

    def visit_Try(self, node: ast.Try) -> None:
        may_fail = any(
            h.type and re.search("ImportError|ModuleNotFoundError", ast.unparse(h.type)) for h in node.handlers
        )
        rest = [*node.handlers, *node.orelse, *node.finalbody]
        for child in rest if may_fail else [*node.body, *rest]:
            self.visit(child)


@functools.cache
def _distributions() -> dict[str, list[str]]:
    """Return which distributions hold each top-level module."""
    return {name: list(found) for name, found in importlib.metadata.packages_distributions().items()}


def _installed_with(distribution: str) -> set[str]:
    """Return the names of a distribution and of what it requires without any extra."""
    try:
        required = importlib.metadata.requires(distribution) or []
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return set()
    names = [re.match(r"[\w.-]+", line) for line in required if "extra ==" not in line]
    return {_normal(distribution), *(_normal(name[0]) for name in names if name)}


def _normal(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()
