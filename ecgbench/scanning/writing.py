"""Write a scan: scan.csv for spreadsheets, scan.jsonl for programs, review.html for the eye."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from ecgbench.errors import UsageError
from ecgbench.scanning.page import write_page
from ecgbench.scanning.rows import COLUMNS, Scan
from ecgbench.whole_files import open_whole

CSV_FILE, JSON_FILE, PAGE_FILE = "scan.csv", "scan.jsonl", "review.html"
LONGEST_CELL = 32_000
"""Characters of a text in scan.csv; a spreadsheet's cell holds 32,767."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)*")


def validate_folder(path: Path, folder: Path) -> None:
    """Raise UsageError where one of the three files would take the place of the scanned one."""
    for written in (folder / name for name in (CSV_FILE, JSON_FILE, PAGE_FILE)):
        if written.exists() and path.exists() and written.samefile(path):
            raise UsageError(
                f"--out {folder}: {written.name} would replace the file that is scanned; give another folder"
            )


def write_scan(scan: Scan, folder: Path) -> tuple[Path, ...]:
    """Write the three files into a folder, each whole or not at all, and return their paths; raises EcgbenchError."""
    writers: dict[str, Callable[[Scan, IO[str]], None]] = {
        CSV_FILE: _write_csv,
        JSON_FILE: _write_json_lines,
        PAGE_FILE: write_page,
    }
    return tuple(_write(scan, folder / name, write) for name, write in writers.items())


def _write(scan: Scan, path: Path, write: Callable[[Scan, IO[str]], None]) -> Path:
    # Half a character, as in a file name, becomes an escape.
    with open_whole(path, "w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        write(scan, file)
    return path


def _write_csv(scan: Scan, file: IO[str]) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in scan.rows:
        writer.writerow([_render_cell(value) for value in row.as_fields().values()])


def _write_json_lines(scan: Scan, file: IO[str]) -> None:
    for row in scan.rows:
        file.write(_to_json_line(row.as_fields()) + "\n")


def _to_json_line(fields: Mapping[str, Any]) -> str:
    """Render JSON on what any reader takes for one line: some take other characters for line ends, too."""
    line = json.dumps(fields, ensure_ascii=False, allow_nan=False)
    return re.sub("[\x85\u2028\u2029]", lambda found: f"\\u{ord(found[0]):04x}", line)


def _render_cell(value: Any) -> Any:
    if isinstance(value, list):
        return json.dumps(value, ensure_ascii=False)
    return guard_cell(value) if isinstance(value, str) else value


def guard_cell(text: str) -> str:
    """Return a text as a spreadsheet can take it: cut to what a cell holds, and never run as a formula.

    One that begins like a formula gets an apostrophe in front, numbers apart. scan.jsonl has every text as it is.
    """
    shown = text if len(text) <= LONGEST_CELL else f"{text[:LONGEST_CELL]}..."
    return f"'{shown}" if shown.startswith(_FORMULA) and not _NUMBER.fullmatch(shown) else shown
