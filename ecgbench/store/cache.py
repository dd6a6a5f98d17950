"""The cache: rows, objects, models and datasets under one folder with a schema number."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from ecgbench.errors import StoreError
from ecgbench.store.objects import ObjectStore
from ecgbench.store.rows import RowStore

SCHEMA = 1
SCHEMA_FILE = "CACHE_SCHEMA"
_DAY = 86400.0


@dataclass(frozen=True)
class Cache:
    """Everything that is kept between runs.

    `models` and `datasets` are folders of what was fetched or converted; rows and objects were computed.
    `checkpoints` holds a folder for each artifact that trains a whole model: its steps, or the model at the end.
    """

    folder: Path
    rows: RowStore
    objects: ObjectStore
    models: Path
    datasets: Path
    checkpoints: Path

    @classmethod
    def open(cls, folder: Path, *, create: bool = True) -> Cache:
        """Open the cache at `folder`; with create=False nothing is made and an absent cache reads as empty.

        Raises StoreError for a folder that cannot be written or was written by another schema.
        """
        folder = folder.expanduser()
        _check_schema(folder)
        if create:
            _create(folder)
        return cls(
            folder=folder,
            rows=RowStore(folder / "rows.sqlite"),
            objects=ObjectStore(folder / "objects"),
            models=folder / "models",
            datasets=folder / "datasets",
            checkpoints=folder / "checkpoints",
        )

    def verify(self) -> list[str]:
        """Return one line for each fault in rows and objects; empty when all are sound."""
        return self.rows.verify() + self.objects.verify()

    def prune(self, *, older_than_days: float = 0.0) -> int:
        """Remove what was computed at least so long ago (0: all); models and datasets stay. Return how much went."""
        limit = time.time() - older_than_days * _DAY
        old = [path for path in self.checkpoints.glob("*") if path.is_dir() and path.stat().st_mtime <= limit]
        for path in old:
            shutil.rmtree(path, ignore_errors=True)
        removed = self.rows.prune(older_than_days=older_than_days)
        return removed + self.objects.prune(older_than_days=older_than_days) + len(old)


def default_cache_folder() -> Path:
    """Return ECGBENCH_CACHE where it is set, else the user's cache folder for ecgbench."""
    from_environment = os.environ.get("ECGBENCH_CACHE")
    if from_environment:
        return Path(from_environment).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("ecgbench", appauthor=False)


def _check_schema(folder: Path) -> None:
    try:
        found = (folder / SCHEMA_FILE).read_text(encoding="utf-8", errors="replace").strip()
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise _unusable(folder, error) from error
    if found != str(SCHEMA):
        raise StoreError(
            f"cache at {folder} was written by schema {found[:20] or '(empty)'}, this version reads {SCHEMA}: "
            "use --cache DIR or delete it"
        )


def _create(folder: Path) -> None:
    try:
        for path in (folder, folder / "models", folder / "datasets"):
            path.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(13, "Permission denied")
        schema_file = folder / SCHEMA_FILE
        if not schema_file.exists():
            temporary = folder / f".{SCHEMA_FILE}.{os.getpid()}"
            temporary.write_text(f"{SCHEMA}\n", encoding="utf-8")
            temporary.replace(schema_file)
    except OSError as error:
        raise _unusable(folder, error) from error


def _unusable(folder: Path, error: OSError) -> StoreError:
    return StoreError(
        f"cache folder {folder} cannot be used: {error.strerror or error}: use --cache DIR or set ECGBENCH_CACHE"
    )
