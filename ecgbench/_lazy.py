"""Public names that are imported when they are first read, so that importing a package stays light."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def lazy_attributes(package: str, sources: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the `__getattr__` of a package; `sources`: its names, apart by blanks, by the module they lie in.

    A submodule of the package may stand among its own names.
    """
    source_of = {name: module for module, names in sources.items() for name in names.split()}

    def load(name: str) -> Any:
        if name not in source_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = importlib.import_module(source_of[name])
        value = module if module.__name__ == f"{package}.{name}" else getattr(module, name)
        setattr(sys.modules[package], name, value)
        return value

    return load
