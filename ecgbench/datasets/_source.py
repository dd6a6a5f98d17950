"""Columns of a published dataset: from the hub, fetched once, or from a local folder with the same files."""

from __future__ import annotations

import logging
import os
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from filelock import FileLock

from ecgbench.datasets._tables import Columns, load_columns, quiet_datasets
from ecgbench.errors import DataError
from ecgbench.specs import DatasetContext

logger = logging.getLogger(__name__)

HUB_SECONDS = 10.0
"""How long the hub may take to say that it has a dataset."""
_HUB_NAME = re.compile(r"(?:[\w.-]+/)?[\w.-]+")


@dataclass(frozen=True)
class Source:
    """One split of a dataset on the hub or in a folder.

    `local_form` is how the caller takes a folder instead, for the errors that say so.
    """

    name: str
    config: str | None
    split: str
    revision: str | None
    local_form: str

    @property
    def folder(self) -> Path | None:
        """Return the folder, or None where the name is the hub's."""
        path = Path(self.name).expanduser()
        return path if path.is_dir() else None

    def __str__(self) -> str:
        of = ":".join(filter(None, (self.name, self.config)))
        return f"split {self.split!r} of {of}"

    def load(self, wanted: Sequence[str], context: DatasetContext) -> Columns:
        """Return the wanted columns, a class-label column as names; DataError in one line for all that is wrong."""
        if self.folder is not None:
            return _load_folder(self, self.folder, wanted)
        return load_columns(_fetch(self, Path(context.folder), offline=context.offline), wanted)


def parse_source(text: str, *, split: str, revision: str | None, local_form: str) -> Source:
    """Read NAME[:CONFIG] of the hub or FOLDER[:CONFIG]; an existing folder goes before the hub."""
    head, _, config = text.rpartition(":")
    if head and (Path(head).expanduser().is_dir() or not _is_folder(text)):
        found = Source(head, config or None, split, revision, local_form)
    else:
        found = Source(text, None, split, revision, local_form)
    if found.folder is not None and revision is not None:
        raise DataError(f"revision {revision!r} is for the hub; {found.name} is a folder: leave it out")
    if found.folder is None and (_is_folder(found.name) or Path(found.name).is_file()):
        raise DataError(f"{found.name} is not a folder: give one with .parquet, .csv or .jsonl files, or file:PATH")
    if found.folder is None and not _HUB_NAME.fullmatch(found.name):
        raise DataError(f"{found.name!r} is neither a folder nor a name on the hub, such as owner/name")
    return found


def _is_folder(text: str) -> bool:
    return text.startswith((".", "/", "~")) or Path(text).expanduser().is_dir()


def _load_folder(source: Source, folder: Path, wanted: Sequence[str]) -> Columns:
    """Read the files that the library finds for the split, each as `file:` reads it."""
    columns: Columns = {name: [] for name in wanted}
    for path in _split_files(source, folder):
        for name, cells in load_columns(path, wanted).items():
            columns[name] += cells
    return columns


def _split_files(source: Source, folder: Path) -> list[Path]:
    """Return the split's files: by the folder's README.md where that names them, else by their names."""
    script = folder / f"{folder.resolve().name}.py"
    if script.is_file():
        raise DataError(f"{folder} is a dataset script ({script.name}), which would have to be executed: it is not")
    from datasets import load_dataset_builder

    with quiet_datasets(), tempfile.TemporaryDirectory(prefix="ecgbench-") as cache:
        try:
            files: dict[Any, list[str]] = load_dataset_builder(
                str(folder), source.config, cache_dir=cache
            ).config.data_files
        except (OSError, RuntimeError, ValueError) as error:
            raise DataError(f"cannot read {source}: {_first_line(error)}") from error
    found = {str(split): paths for split, paths in files.items()}
    if source.split not in found:
        raise DataError(f"{folder} has no split {source.split!r}; choose from: {', '.join(found)}")
    return [Path(path) for path in found[source.split]]


def _fetch(source: Source, folder: Path, *, offline: bool) -> Path:
    """Return the split as one parquet file kept in `folder`, downloading it on first use.

    The file is there complete or DataError is raised. No code of the dataset is ever fetched or run.
    """
    kept = folder / "hub" / source.name.replace("/", "--") / _file_name(source)
    if kept.is_file():
        return kept
    ways_out = f"give a folder with its files: {source.local_form}; movie_snippets needs no hub"
    if offline:
        raise DataError(f"{source} is not in the cache and fetching is off; {ways_out}")
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{kept}.lock"):
            if not kept.is_file():
                _download(source, kept, ways_out=ways_out)
    except DataError:
        raise
    except Exception as error:  # the hub's, its HTTP library's or the disk's
        raise DataError(f"{source} cannot be fetched from the hub ({_first_line(error)}); {ways_out}") from error
    return kept


def _file_name(source: Source) -> str:
    """Return a name that leads nowhere else, whatever a suite from elsewhere calls the parts of a dataset."""
    revision = f"@{source.revision}" if source.revision else ""
    return quote(f"{source.config or 'default'}-{source.split}{revision}.parquet", safe="@")


def _download(source: Source, kept: Path, *, ways_out: str) -> None:
    """Load a split through the library and keep it; its features, so its class names, go into the file."""
    commit = _ask_hub(source, ways_out=ways_out)
    logger.info("fetching %s at %s", source, commit)
    from datasets import load_dataset

    with quiet_datasets(), tempfile.TemporaryDirectory(dir=kept.parent, prefix="fetch-") as temporary:
        try:
            table = load_dataset(source.name, source.config, split=source.split, revision=commit, cache_dir=temporary)
        except ValueError as error:  # no such configuration or split: the message lists them
            raise DataError(f"cannot read {source}: {_first_line(error)}") from error
        written = Path(temporary, "split.parquet")
        table.to_parquet(str(written))
        written.replace(kept)


def _ask_hub(source: Source, *, ways_out: str) -> str:
    """Return the commit to fetch; asks with a time limit, since the library retries a dead network for long."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    name = source.name
    try:
        info = HfApi().dataset_info(name, revision=source.revision, timeout=HUB_SECONDS)
    except GatedRepoError as error:
        fix = "accept its terms on its page on the hub and set HF_TOKEN"
        raise DataError(f"dataset {name} is gated: {fix}, or {ways_out}") from error
    except RevisionNotFoundError as error:
        raise DataError(f"dataset {name} has no revision {source.revision!r} on the hub") from error
    except RepositoryNotFoundError as error:
        raise DataError(f"dataset {name} is not on the hub, or not public; {ways_out}") from error
    script = f"{name.rpartition('/')[2]}.py"
    if script in {file.rfilename for file in info.siblings or ()}:
        fix = "give revision=refs/convert/parquet, where the hub may keep it as parquet, or a folder of files"
        raise DataError(f"dataset {name} is a script ({script}), which would have to be executed: {fix}")
    return str(info.sha)


def _first_line(error: BaseException) -> str:
    if os.environ.get("HF_HUB_OFFLINE") and type(error).__name__ == "OfflineModeIsEnabled":
        return "HF_HUB_OFFLINE is set"
    return " ".join([f"{type(error).__name__}:", *str(error).splitlines()[:1]])
