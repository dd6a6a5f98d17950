"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from ecgbench.errors import EcgbenchError


def write_whole(path: Path, content: bytes) -> Path:
    """Write a file and its folder so that no reader ever sees a part of it; return its path, raise EcgbenchError."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(content)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise EcgbenchError(
            f"cannot write {path}: {error.strerror or error}: free disk space, mend the permissions or use --out DIR"
        ) from error
    return path
