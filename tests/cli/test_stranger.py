"""A stranger's way: from the built wheel in a fresh environment to a plugin of one's own on a board.

Of ecgbench the environment holds the wheel alone. What it depends on is large, and lies on the path from the
environment that runs the tests. Nothing is fetched: pip is told of no index.
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import sysconfig
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from test_real_run import make_cache

from ecgbench.results import CellRecord, Status, read_results_folder

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[2]
PACKAGES = ("ecgbench", "ecgbench_detectors", "ecgbench_noise_models")
WORDS = {
    "good": ("lovely", "witty", "bright", "superb", "moving"),
    "bad": ("dreadful", "flat", "messy", "dull", "sour"),
}
THINGS = ("film", "cast", "plot", "score")
SCRIPT = """
import ecgbench
from ecgbench import CellRecord, LabeledTexts, Plan, Selection
from ecgbench.artifacts import Artifact, OutOfFoldProbs, TextEmbeddings

needs: tuple[Artifact[ecgbench.FloatArray], ...] = (OutOfFoldProbs(folds=3),)
planned: Plan = ecgbench.plan(dataset="file:reviews.csv", detectors="random", noise="uniform", out="api", n="all")
records: list[CellRecord] = ecgbench.run(
    dataset=Selection("file:reviews.csv"), detectors=["random"], noise="uniform", rates=0.2, seeds=range(2), out="api"
)
print(planned.n_due, *(record.status.value for record in records))
"""
MISTAKES = """
import ecgbench
from ecgbench.artifacts import OutOfFoldProbs

records: list[int] = ecgbench.run(detector="random")
ecgbench.run(detectors=5)
OutOfFoldProbs(folds="five")
ecgbench.rum
"""
MYPY_SETTINGS = """
[mypy]
strict = True
# Libraries that ecgbench runs on: large, and not what is looked at.
[mypy-torch.*,transformers.*,sentence_transformers.*,datasets.*,cleanlab.*,faiss.*,sklearn.*,scipy.*]
follow_imports = skip
"""


@dataclass(frozen=True)
class Stranger:
    """A folder, and an environment that holds the wheel."""

    folder: Path
    wheel: Path

    @property
    def python(self) -> Path:
        """Return the interpreter of the environment."""
        return self.folder / "venv" / "bin" / "python"

    def call(self, *command: str | Path, cwd: str = ".", code: int = 0) -> str:
        """Run a command of the environment in a folder, and return what it says; its exit code is to be `code`."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST", "PIP"))}
        bin_folder = self.python.parent
        env = kept | {
            "PATH": f"{bin_folder}{os.pathsep}{kept['PATH']}",
            "ECGBENCH_CACHE": str(self.folder / "cache"),
            "HF_HUB_OFFLINE": "1",
            "PIP_NO_INDEX": "1",
        }
        program, *arguments = map(str, command)
        words = [str(bin_folder / program), *arguments]
        done = subprocess.run(words, cwd=self.folder / cwd, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def pip(self, *arguments: str | Path) -> str:
        """Run pip, which lies with the other packages."""
        return self.call("python", "-m", "pip", *arguments)

    def run(self, *arguments: str) -> dict[str, CellRecord]:
        """Run a grid on the reviews and return the record of each detector."""
        out = self.folder / f"out{len(list(self.folder.glob('out*')))}"
        dataset = [] if "--dataset" in arguments else ["--dataset", "file:reviews.csv"]
        self.call("ecgbench", "run", *dataset, *arguments, "--out", out, "--quiet")
        assert (out / "LEADERBOARD.md").exists()
        records = read_results_folder(out / "results")
        assert {record.status for record in records} == {Status.OK}
        return {record.detector: record for record in records}


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Stranger:
    """Build the wheel and install it into a fresh environment."""
    folder = tmp_path_factory.mktemp("stranger")
    build = ["pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet", "--wheel-dir", str(folder)]
    subprocess.run([sys.executable, "-m", *build, str(REPOSITORY)], check=True, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], check=True)
    (own,) = folder.glob("venv/lib/python*/site-packages")
    paths = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (own / "dependencies.pth").write_text("\n".join(sorted(paths)) + "\n")
    make_cache(folder / "cache")
    _write_reviews(folder / "reviews.csv")
    found = Stranger(folder, wheel)
    found.pip("install", "--force-reinstall", "--no-deps", wheel)
    found.pip("install", "ecgbench[embedded]")  # its dependencies are there
    return found


def _write_reviews(path: Path) -> None:
    rows = [(f"The {thing} is {word}.", label) for label, words in WORDS.items() for word in words for thing in THINGS]
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])


@pytest.fixture(scope="module")
def my_detector(stranger: Stranger) -> Stranger:
    """Install the package that `ecgbench new detector my_detector` writes."""
    return _install(stranger, "detector")


def _install(stranger: Stranger, kind: str) -> Stranger:
    """Write my_KIND, install it, run its tests and make its checks: all of them hold."""
    name = f"my_{kind}"
    stranger.call("ecgbench", "new", kind, name)
    stranger.pip("install", "--no-build-isolation", "-e", name)
    tested = stranger.call("python", "-m", "pytest", "-q", cwd=name).splitlines()[-1]
    assert " passed" in tested
    assert not any(word in tested for word in ("skipped", "failed", "xfailed", "error", "warning"))
    checked = stranger.call("ecgbench", "check", name).splitlines()
    assert {line.split()[0] for line in checked[1:-1]} == {"ok"}
    return stranger


def test_the_environment_holds_the_wheel_alone_and_the_wheel_its_types(stranger: Stranger) -> None:
    code = f"import {', '.join(PACKAGES)}; print(*({', '.join(f'{name}.__file__' for name in PACKAGES)}), sep='\\n')"
    where = [Path(line) for line in stranger.call("python", "-c", code).splitlines()]
    assert [path.parents[1] for path in where] == [*stranger.folder.glob("venv/lib/python*/site-packages")] * 3
    assert {f"{name}/py.typed" for name in PACKAGES} <= set(zipfile.ZipFile(stranger.wheel).namelist())


def test_a_detector_is_written_installed_checked_and_run(my_detector: Stranger) -> None:
    records = my_detector.run("--detectors", "my_detector,loss,random", "--noise", "artifact_aligned")
    # One classifier served both: the loss is the same ranking.
    assert records["my_detector"].ranking == records["loss"].ranking
    assert records["my_detector"].versions["my_detector"] == "0.1.0"
    assert "my_detector" in my_detector.call("ecgbench", "detectors")


def test_a_detector_stands_beside_ecg_on_a_board(my_detector: Stranger) -> None:
    line = ["--detectors", "my_detector,ecg", "--noise", "artifact_aligned", "--n", "8"]
    assert {"my_detector", "ecg"} < set(my_detector.run(*line))


def test_a_noise_model_is_written_installed_checked_and_run(stranger: Stranger) -> None:
    records = _install(stranger, "noise").run("--detectors", "random", "--noise", "my_noise")
    assert records["random"].noise == "my_noise"
    assert records["random"].realised_rate == pytest.approx(0.1)


def test_a_metric_is_written_installed_checked_and_run(stranger: Stranger) -> None:
    records = _install(stranger, "metric").run("--detectors", "random", "--noise", "uniform")
    values = {name: float(str(record.metrics["my_metric"])) for name, record in records.items()}
    assert values["none"] == pytest.approx(0.5)
    assert values["oracle"] == max(values.values()) > 0.9


def test_a_dataset_is_written_installed_checked_and_run(stranger: Stranger) -> None:
    arguments = ["--dataset", "my_dataset", "--detectors", "input_knn", "--noise", "uniform"]
    records = _install(stranger, "dataset").run(*arguments)
    assert (records["input_knn"].dataset, records["input_knn"].n) == ("my_dataset", 50)


def test_a_file_alone_is_checked_and_run_without_being_installed(stranger: Stranger) -> None:
    stranger.call("ecgbench", "new", "detector", "one_off", "--out", "files")
    plugin = ["--plugin", "./files/one_off/one_off.py"]
    checked = stranger.call("ecgbench", "check", "one_off", *plugin)
    assert {line.split()[0] for line in checked.splitlines()[1:-1]} == {"ok"}
    record = stranger.run("--detectors", "one_off[folds=3]", "--noise", "artifact_aligned", *plugin)["one_off"]
    assert record.detector_params == {"folds": 3}


@pytest.fixture
def typed(stranger: Stranger) -> Stranger:
    """Return the stranger with scripts and the packages of every kind to be typed."""
    for kind in ("detector", "noise", "metric", "dataset"):
        stranger.call("ecgbench", "new", kind, f"typed_{kind}", "--out", "typed")
    (stranger.folder / "script.py").write_text(SCRIPT)
    (stranger.folder / "mistakes.py").write_text(MISTAKES)
    (stranger.folder / "mypy.ini").write_text(MYPY_SETTINGS)
    return stranger


def test_what_is_written_and_the_api_are_typed_strictly_against_the_wheel(typed: Stranger) -> None:
    mypy = ["python", "-m", "mypy", "--cache-dir", "types"]
    files = [str(path.relative_to(typed.folder)) for path in sorted(typed.folder.glob("typed/*/*.py"))]
    assert len(files) == 8
    assert "Success: no issues found in 9 source files" in typed.call(*mypy, "script.py", *files)
    assert typed.call("python", "script.py").split()[-9:] == ["4", *["ok"] * 8]
    found = typed.call(*mypy, "mistakes.py", code=1)
    lines = {int(line.split(":")[1]) for line in found.splitlines() if ": error: " in line}
    assert lines == {5, 6, 7, 8}
