"""Read single files out of archives, in memory and with a bound: nothing is ever unpacked to a disk."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ecgbench.errors import DataError

MOST_BYTES = 2**26
"""The most that is unpacked of one archive, in bytes: a small file may hold any number of zeros."""


def read_zip(path: Path, name: str) -> bytes:
    """Return one file of a zip archive; raises DataError in one line for all that is wrong."""
    with _told(str(path)), zipfile.ZipFile(path) as archive, archive.open(name) as file:
        return _read_bounded(file, name)


def read_tar_gz(content: bytes, names: Sequence[str], *, where: str) -> list[bytes]:
    """Return files of a gzipped tar archive in the order of `names`; links and devices are no files.

    Raises DataError in one line for all that is wrong.
    """
    with _told(where):
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as packed:
            unpacked = _read_bounded(packed, where)
        with tarfile.open(fileobj=io.BytesIO(unpacked), mode="r:") as tar:
            return [_read_member(tar, name) for name in names]


def _read_member(tar: tarfile.TarFile, name: str) -> bytes:
    member = tar.getmember(name)
    file = tar.extractfile(member) if member.isreg() else None
    if file is None:
        raise DataError(f"{name} in the archive is a link or a device, no file")
    return _read_bounded(file, name)  # a sparse file is larger than what was unpacked


def _read_bounded(file: IO[bytes] | gzip.GzipFile, name: str) -> bytes:
    content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise DataError(f"{name} unpacks to more than {MOST_BYTES // 2**20} MiB and is not read")
    return content


@contextmanager
def _told(where: str) -> Iterator[None]:
    try:
        yield
    except KeyError as error:
        raise DataError(f"{where}: {error.args[0]}") from error
    # RuntimeError: a zip that wants a password.
    except (OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, tarfile.TarError, zlib.error) as error:
        raise DataError(f"cannot read {where}: {' '.join(str(error).split()) or type(error).__name__}") from error
