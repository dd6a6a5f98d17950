"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from ecgbench.errors import EcgbenchError


@contextmanager
def open_whole(path: Path, mode: str = "wb", **options: Any) -> Iterator[IO[Any]]:
    """Open a file, in a folder that is made for it, that no reader sees before the block ends; raises EcgbenchError."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open(mode, **options) as file:
                yield file
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise EcgbenchError(
            f"cannot write {path}: {error.strerror or error}: free disk space, mend the permissions or give another "
            "place with --out"
        ) from error


def write_whole(path: Path, content: bytes) -> Path:
    """Write a file in one step and return its path; raises EcgbenchError."""
    with open_whole(path) as file:
        file.write(content)
    return path
