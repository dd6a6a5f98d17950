"""ecgbench: a plugin-based benchmark harness for detectors of wrong labels in text data.

Each public name is imported when it is first read: `import ecgbench` itself imports nothing heavy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecgbench._lazy import lazy_attributes

if TYPE_CHECKING:
    from ecgbench import artifacts, errors
    from ecgbench.api import plan, run, scan
    from ecgbench.data import (
        BoolArray,
        Corruption,
        DetectionTask,
        FloatArray,
        IntArray,
        LabeledTexts,
        Shot,
        TaskDescription,
    )
    from ecgbench.errors import DataError, EcgbenchError, MissingPackageError, NotApplicableError, UsageError
    from ecgbench.grid.executors import Execution, ExecutorKind
    from ecgbench.grid.plan import Plan
    from ecgbench.grid.rerun import Rerun
    from ecgbench.grid.selection import Selection
    from ecgbench.grid.suite import DatasetChoice, DetectorChoice, NoiseGrid, Suite
    from ecgbench.hookspecs import hookimpl
    from ecgbench.plugins import Plugins, load_plugins
    from ecgbench.results import CellRecord, Status
    from ecgbench.scanning.rows import Scan, ScannedRow
    from ecgbench.specs import (
        Dataset,
        DatasetContext,
        DatasetSpec,
        Detector,
        DetectorSpec,
        Metric,
        MetricSpec,
        NoiseModel,
        NoiseModelSpec,
        Panel,
    )

__all__ = [
    "BoolArray",
    "CellRecord",
    "Corruption",
    "DataError",
    "Dataset",
    "DatasetChoice",
    "DatasetContext",
    "DatasetSpec",
    "DetectionTask",
    "Detector",
    "DetectorChoice",
    "DetectorSpec",
    "EcgbenchError",
    "Execution",
    "ExecutorKind",
    "FloatArray",
    "IntArray",
    "LabeledTexts",
    "Metric",
    "MetricSpec",
    "MissingPackageError",
    "NoiseGrid",
    "NoiseModel",
    "NoiseModelSpec",
    "NotApplicableError",
    "Panel",
    "Plan",
    "Plugins",
    "Rerun",
    "Scan",
    "ScannedRow",
    "Selection",
    "Shot",
    "Status",
    "Suite",
    "TaskDescription",
    "UsageError",
    "__version__",
    "artifacts",
    "errors",
    "hookimpl",
    "load_plugins",
    "plan",
    "run",
    "scan",
]

__version__ = "0.1.0"

_SOURCES = {
    "ecgbench.api": "plan run scan",
    "ecgbench.artifacts": "artifacts",
    "ecgbench.data": "BoolArray Corruption DetectionTask FloatArray IntArray LabeledTexts Shot TaskDescription",
    "ecgbench.errors": "DataError EcgbenchError MissingPackageError NotApplicableError UsageError errors",
    "ecgbench.grid.executors": "Execution ExecutorKind",
    "ecgbench.grid.plan": "Plan",
    "ecgbench.grid.rerun": "Rerun",
    "ecgbench.grid.selection": "Selection",
    "ecgbench.grid.suite": "DatasetChoice DetectorChoice NoiseGrid Suite",
    "ecgbench.hookspecs": "hookimpl",
    "ecgbench.plugins": "Plugins load_plugins",
    "ecgbench.results": "CellRecord Status",
    "ecgbench.scanning.rows": "Scan ScannedRow",
    "ecgbench.specs": (
        "Dataset DatasetContext DatasetSpec Detector DetectorSpec Metric MetricSpec NoiseModel NoiseModelSpec Panel"
    ),
}

if not TYPE_CHECKING:  # type checkers would take any name for one of these
    __getattr__ = lazy_attributes(__name__, _SOURCES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
