"""Archives that mean harm: nothing of them reaches the disk, and memory has a bound."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ecgbench.datasets import movie_snippets
from ecgbench.datasets._archives import MOST_BYTES, read_tar_gz, read_zip
from ecgbench.datasets._source import parse_source
from ecgbench.datasets.movie_snippets import ARCHIVE, INNER, RATINGS, TEXTS, MovieSnippets
from ecgbench.errors import DataError
from ecgbench.specs import DatasetContext

Fill = Callable[[tarfile.TarFile], None]


def add(tar: tarfile.TarFile, name: str, content: bytes = b"x", **changes: object) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    for key, value in changes.items():
        setattr(member, key, value)
    tar.addfile(member, io.BytesIO(content))


def pack(fill: Fill) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        fill(tar)
    return buffer.getvalue()


def link(tar: tarfile.TarFile, kind: bytes, target: str) -> None:
    add(tar, TEXTS, b"", type=kind, linkname=target)
    add(tar, RATINGS)


HARMFUL: dict[str, Fill] = {
    "an absolute link": lambda tar: link(tar, tarfile.SYMTYPE, "/etc/passwd"),
    "a link upwards": lambda tar: link(tar, tarfile.SYMTYPE, "../../../etc/passwd"),
    "a hard link": lambda tar: link(tar, tarfile.LNKTYPE, RATINGS),
    "a device": lambda tar: link(tar, tarfile.CHRTYPE, ""),
    "a pipe": lambda tar: link(tar, tarfile.FIFOTYPE, ""),
    "a folder": lambda tar: link(tar, tarfile.DIRTYPE, ""),
    "the file by an absolute path": lambda tar: add(tar, f"/{TEXTS}"),
    "the file by a path upwards": lambda tar: add(tar, f"../{TEXTS}"),
    "no file": lambda _: None,
}


def bomb(size: int) -> bytes:
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=9) as packed:
        for _ in range(size // 2**20):
            packed.write(bytes(2**20))
    return buffer.getvalue()


def refuse(content: bytes, monkeypatch: pytest.MonkeyPatch, folder: Path) -> str:
    """Load the movie snippets from an archive with this content as if its checksums were right."""
    path = folder / "cache" / ARCHIVE
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../escaped", "x")
        archive.writestr(INNER, content)
    monkeypatch.setattr(movie_snippets, "ARCHIVE_SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    monkeypatch.setattr(movie_snippets, "INNER_SHA256", hashlib.sha256(content).hexdigest())
    with pytest.raises(DataError) as refused:
        MovieSnippets().load(DatasetContext(path.parent, offline=True))
    assert {p.name for p in folder.rglob("*")} == {"cache", ARCHIVE}
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize("name", HARMFUL)
def test_an_archive_that_means_harm_is_refused_and_leaves_nothing_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    said = refuse(pack(HARMFUL[name]), monkeypatch, tmp_path)
    assert "no file" in said or f"{TEXTS!r} not found" in said


def test_a_bomb_in_an_archive_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = bomb(MOST_BYTES + 2**20)
    assert len(content) < 2**18
    assert "unpacks to more than 64 MiB and is not read" in refuse(content, monkeypatch, tmp_path)


def test_a_sparse_file_in_an_archive_is_not_filled_up() -> None:
    sparse = tarfile.TarInfo("holes")
    sparse.size = 0
    sparse.pax_headers = {"GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.size": str(2**31)}
    sparse.pax_headers |= {"GNU.sparse.name": "holes", "GNU.sparse.map": f"{2**31},0"}
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(sparse)
    assert len(file.getvalue()) < 2**10
    with pytest.raises(DataError, match="holes unpacks to more than 64 MiB"):
        read_tar_gz(file.getvalue(), ["holes"], where="it")


def test_a_zip_with_a_password_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "locked.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x", b"secret")
    content = bytearray(path.read_bytes())
    for header, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(header) + offset] |= 1  # the flag of encryption
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"cannot read .*locked\.zip: .*encrypted"):
        read_zip(path, "x")


def test_a_bomb_in_a_zip_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(MOST_BYTES + 1))
    with pytest.raises(DataError, match="unpacks to more than 64 MiB"):
        read_zip(path, "zeros")


@pytest.mark.parametrize("content", [b"", b"no gzip", gzip.compress(b"no tar"), bomb(2**20)[:-9]])
def test_what_is_no_archive_is_one_line(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DataError, match="cannot read the archive: "):
        read_tar_gz(content, ["x"], where="the archive")
    path = tmp_path / "no.zip"
    path.write_bytes(content)
    with pytest.raises(DataError, match="cannot read "):
        read_zip(path, "x")


def test_files_of_an_archive_are_read_in_memory() -> None:
    content = pack(lambda tar: (add(tar, "a/b", b"one"), add(tar, "c", b"two"), None)[-1])
    assert read_tar_gz(content, ["c", "a/b"], where="it") == [b"two", b"one"]


@pytest.mark.parametrize("text", ["owner/name:../../../escaped", "owner/name:/tmp/escaped", "owner/..:x", "a/b:c/d"])
@pytest.mark.parametrize("split", ["train", "../../../escaped"])
def test_no_name_of_a_published_dataset_leads_out_of_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, split: str
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    cache = tmp_path / "one" / "two" / "three" / "cache"
    source = parse_source(text, split=split, revision="../../../../escaped", local_form="hf:./FOLDER")
    with pytest.raises(DataError):
        source.load(["text"], DatasetContext(cache))
    written = [path for path in tmp_path.rglob("*") if path.is_file() or not list(path.iterdir())]
    assert written
    assert all(cache / "hub" in path.parents for path in written)
