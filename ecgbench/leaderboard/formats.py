"""The records for other programs: results.json by task and method, and one row a cell as CSV or parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

from ecgbench.leaderboard.board import render_name
from ecgbench.leaderboard.markdown import RESULTS_FOLDER
from ecgbench.registry import missing_package
from ecgbench.results import CellRecord, latest, read_results_folder
from ecgbench.store.keys import canonical_json
from ecgbench.whole_files import write_whole

METHOD_METRICS = ("auroc", "auprc", "tnr_at_95", "precision_at_k", "recall_at_k")
"""What results.json holds of a method."""
_COSTS = ("llm_calls", "prompt_tokens", "reply_tokens")
_OF_A_FORMULA = ("=", "+", "-", "@", "\t")
"""What a spreadsheet takes for the start of a formula."""
COLUMNS: Mapping[str, type] = {
    "run": str,
    "dataset": str,
    "data_key": str,
    "n": int,
    "n_classes": int,
    "profile": str,
    "noise": str,
    "noise_params": str,
    "rate": float,
    "realised_rate": float,
    "seed": int,
    "detector": str,
    "detector_params": str,
    "sanity": bool,
    "origin": str,
    "status": str,
    "reason": str,
    "seconds": float,
    "artifact_seconds": float,
    "peak_memory": float,
    **dict.fromkeys(_COSTS, int),
    "failed_attempts": int,
    "created_at": str,
}
"""The columns of a table before those of the metrics, and their types; parameters are JSON."""


class Format(StrEnum):
    """A form of the records."""

    JSON = "json"
    CSV = "csv"
    PARQUET = "parquet"


def write_results(folder: Path, form: Format) -> Path:
    """Write `folder`/results.FORM from `folder`/results/*.jsonl, whole or not at all; return its path.

    Raises MissingPackageError for parquet without pyarrow.
    """
    render = {Format.JSON: render_json, Format.CSV: render_csv, Format.PARQUET: render_parquet}[form]
    content = render(read_results_folder(folder / RESULTS_FOLDER))
    return write_whole(folder / f"results.{form}", content)


def render_json(records: Iterable[CellRecord]) -> bytes:
    """Render an object by task, then by method, then by metric; sanity rows are no methods and left out.

    A metric of a cell that is not ok is null; a self-reported cell says so under `origin`.
    """
    tasks: dict[str, dict[str, Any]] = {}
    for record in latest(records):
        if not record.sanity:
            method = render_name(record.detector, record.detector_params)
            found = {metric: record.metrics.get(metric) for metric in METHOD_METRICS}
            mark = {} if record.origin is None else {"origin": record.origin}
            tasks.setdefault(task_name(record), {})[method] = {**found, **mark}
    return (json.dumps(tasks, indent=2, sort_keys=True) + "\n").encode()


def task_name(record: CellRecord) -> str:
    """Name a task as results.json does: "bbc_news n=800 uniform rate=0.1 seed=0 profile=embedded data=63a9722a"."""
    noise = render_name(record.noise, record.noise_params)
    data = f" data={record.data_key[:8]}" if record.data_key else ""
    condition = f"{record.dataset} n={record.n} {noise} rate={record.rate:g} seed={record.seed}"
    return f"{condition} profile={record.profile}{data}"


def render_csv(records: Iterable[CellRecord]) -> bytes:
    """Render a row a cell, the latest record of each; what is not known is empty.

    Text that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    rows = list_cells(records)
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, list(_columns(rows)), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _disarm(value) for name, value in row.items()} for row in rows)
    return file.getvalue().encode("utf-8", "backslashreplace")


def render_parquet(records: Iterable[CellRecord]) -> bytes:
    """Render the same columns as parquet, whose types do not depend on the records."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise missing_package("pyarrow", needed_for="--format parquet") from None
    rows = list_cells(records)
    types = {str: pyarrow.string(), int: pyarrow.int64(), float: pyarrow.float64(), bool: pyarrow.bool_()}
    table = pyarrow.table(
        {
            name: pyarrow.array([_encodable(row.get(name)) for row in rows], types[kind])
            for name, kind in _columns(rows).items()
        }
    )
    sink = io.BytesIO()
    parquet.write_table(table, sink)
    return sink.getvalue()


def list_cells(records: Iterable[CellRecord]) -> list[dict[str, Any]]:
    """Return the latest record of each cell as one flat row, in order of identity.

    A metric by cut-off is a column each, `precision_at_k@5%`; one that is called like another column is
    `metrics/seconds`. LLM calls and tokens are sums over its artifacts.
    """
    return [_flatten(record) for record in latest(records)]


def _flatten(record: CellRecord) -> dict[str, Any]:
    row = {name: getattr(record, name, None) for name in COLUMNS}
    row |= {name: _total(record, name) for name in _COSTS}
    row |= {name: canonical_json(row[name]) for name in ("noise_params", "detector_params")}
    row["status"] = record.status.value
    for name, value in record.metrics.items():
        metric = f"metrics/{name}" if name in COLUMNS else name
        if isinstance(value, Mapping):
            row |= {f"{metric}@{cutoff}": part for cutoff, part in value.items()}
        else:
            row[metric] = value
    return row


def _columns(rows: Iterable[Mapping[str, Any]]) -> dict[str, type]:
    metrics = {name for row in rows for name in row} - COLUMNS.keys()
    return {**COLUMNS, **dict.fromkeys(sorted(metrics), float)}


def _total(record: CellRecord, name: str) -> float | None:
    """Return a sum over artifacts; None where a part is not known."""
    parts: Sequence[float | None] = [None] if record.artifacts is None else [c[name] for c in record.artifacts.values()]
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None


def _disarm(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_OF_A_FORMULA) else value


def _encodable(value: Any) -> Any:
    """Return text without lone surrogates, which a file name may hold and UTF-8 may not."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
