"""The global random states belong to nobody: what plugin code does to them is undone and told."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from conftest import Workspace
from ecgbench.grid.random_states import describe_touched, guard_random_states
from ecgbench.registry import import_target

GUILTY = """
import random
from dataclasses import dataclass
import numpy as np
from ecgbench.artifacts.base import TaskArtifact
from ecgbench.data import Corruption
from ecgbench.hookspecs import hookimpl
from ecgbench.specs import Detector, DetectorSpec, Metric, MetricSpec, NoiseModel, NoiseModelSpec

@dataclass(frozen=True)
class GuiltyArtifact(TaskArtifact):
    def compute(self, task, inputs, context):
        np.random.seed(0)
        return np.arange(len(task)) % 5.0

@dataclass(frozen=True)
class GuiltyNoise(NoiseModel):
    def corrupt(self, data, rate, rng):
        random.seed(0)
        labels = data.labels.copy()
        labels[: round(rate * len(data))] ^= 1
        return Corruption(data.texts, labels)

@dataclass(frozen=True)
class GuiltyMetric(Metric):
    def compute(self, is_noisy, scores):
        return np.random.random()

@dataclass(frozen=True)
class OnGuilty(Detector):
    raises: bool = False

    def needs(self):
        return (GuiltyArtifact(),)

    def score(self, task, artifacts, rng):
        if self.raises:
            np.random.seed(0)
            raise RuntimeError("after seeding")
        return artifacts[GuiltyArtifact()]

@hookimpl
def ecgbench_detectors():
    return [DetectorSpec("on_guilty", "guilty:OnGuilty", "reads what seeds")]

@hookimpl
def ecgbench_metrics():
    return [MetricSpec("guilty_metric", "guilty:GuiltyMetric", "draws")]

@hookimpl
def ecgbench_noise_models():
    return [NoiseModelSpec("guilty_noise", "guilty:GuiltyNoise", "seeds")]
"""


EVERYWHERE = """
import random
from dataclasses import dataclass
from ecgbench.artifacts.base import TaskArtifact, TextArtifact
from ecgbench.hookspecs import hookimpl
from ecgbench.specs import Dataset, DatasetSpec, Detector, DetectorSpec

random.seed(0)

@dataclass(frozen=True)
class Derived(TaskArtifact):
    stored = False

    def compute(self, task, inputs, context):
        random.seed(1)
        return None

@dataclass(frozen=True)
class Asked(TextArtifact):
    def requests(self, task, inputs):
        random.seed(2)
        return list(task.texts)

    def compute(self, requests, context):
        return [b"" for _ in requests]

    def assemble(self, rows):
        random.seed(3)
        return None

@dataclass(frozen=True)
class Data(Dataset):
    def load(self, context):
        random.seed(4)
        from toy import Toy
        return Toy().load(context)

@dataclass(frozen=True)
class Everywhere(Detector):
    def __post_init__(self):
        random.seed(5)

    def needs(self):
        random.seed(6)
        return (Derived(), Asked())

    def score(self, task, artifacts, rng):
        return rng.random(len(task))

@hookimpl
def ecgbench_detectors():
    random.seed(7)
    return [DetectorSpec("everywhere", "everywhere:Everywhere", "seeds wherever its code runs")]

@hookimpl
def ecgbench_datasets():
    return [DatasetSpec("data", "everywhere:Data", "seeds as it loads")]
"""


def states() -> tuple[object, ...]:
    kind, keys, *rest = np.random.get_state()  # type: ignore[misc]
    return (random.getstate(), kind, keys.tobytes(), *rest)


def test_what_is_drawn_or_seeded_is_put_back_and_named() -> None:
    before = states()
    with guard_random_states() as touched:
        random.random()
        np.random.seed(1)
    assert touched == ["random", "numpy"]
    assert states() == before


def test_states_are_put_back_where_the_code_raises() -> None:
    def draw_and_raise() -> None:
        np.random.random()
        raise RuntimeError

    before = states()
    with pytest.raises(RuntimeError), guard_random_states() as touched:
        draw_and_raise()
    assert touched == ["numpy"]
    assert states() == before


def test_own_generators_touch_nothing() -> None:
    with guard_random_states() as touched:
        random.Random(0).random()
        np.random.default_rng(0).random()
    assert touched == []


def test_torch_is_watched_where_it_is_loaded() -> None:
    torch = pytest.importorskip("torch")
    before = torch.get_rng_state()
    with guard_random_states() as touched:
        torch.manual_seed(0)
        torch.rand(3)
    assert touched == ["torch"]
    assert torch.equal(torch.get_rng_state(), before)


def test_torch_that_plugin_code_loads_is_left_in_one_state_whatever_it_was_seeded_with() -> None:
    pytest.importorskip("torch")
    code = (
        "import sys\nfrom ecgbench.grid.random_states import guard_random_states\n"
        "with guard_random_states() as touched:\n    import torch\n    torch.manual_seed(int(sys.argv[1]))\n"
        "print(touched, torch.rand(2).tolist())"
    )
    command = [sys.executable, "-P", "-c", code]
    first, other = (subprocess.run([*command, seed], capture_output=True, text=True, check=True) for seed in "01")
    assert first.stdout == other.stdout
    assert first.stdout.startswith("[] ")


def test_torch_is_not_loaded_to_be_watched() -> None:
    code = (
        "import sys\nfrom ecgbench.grid.random_states import guard_random_states\n"
        "with guard_random_states(): pass\nprint('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_artifact_noise_and_metric_are_told_of_in_a_warning_each(
    workspace: Workspace, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "guilty.py").write_text(GUILTY)
    workspace.run("random")  # what is imported for the first time may draw
    before = states()
    options = ["--noise", "guilty_noise", "--plugin", str(tmp_path / "guilty.py"), "--seeds", "0,1"]
    done = workspace.run("on_guilty,on_guilty[raises=true],random", *options)
    assert done.code == 1
    assert states() == before
    for what, names in (("GuiltyArtifact", ["numpy"]), ("noise model guilty_noise", ["random"])):
        assert f"{what} {describe_touched(names)}" in caplog.messages
    assert caplog.messages.count(f"GuiltyArtifact {describe_touched(['numpy'])}") == 1
    assert f"metric guilty_metric {describe_touched(['numpy'])}" in caplog.messages
    found = workspace.by_detector
    assert found["random"].findings == ()
    assert [r.findings for r in workspace.records if r.detector == "on_guilty"] == [()] * 4


def test_states_are_put_back_wherever_plugin_code_runs(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "everywhere.py").write_text(EVERYWHERE)
    workspace.run("random")  # what is imported for the first time may draw
    before = states()
    done = workspace.run("everywhere", "--plugin", str(tmp_path / "everywhere.py"), dataset="data")
    assert done.code == 0, done.err
    assert states() == before


def test_states_are_put_back_where_a_target_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "seeding_target.py").write_text("import random\nrandom.seed(0)\nclass Thing: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    before = states()
    import_target("seeding_target:Thing")
    assert states() == before
