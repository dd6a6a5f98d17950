"""ecgbench: a plugin-based benchmark harness for detectors of wrong labels in text data."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
