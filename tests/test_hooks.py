"""Each hook through a plugin of its own: what it returns has its effect on a real run."""

from __future__ import annotations

import textwrap

from conftest import Outcome, Workspace


def run_plugin(workspace: Workspace, code: str, *arguments: str, detectors: str = "random") -> Outcome:
    """Run toy data with a plugin file that holds this code."""
    path = workspace.folder / "own_plugin.py"
    path.write_text(textwrap.dedent(code), encoding="utf-8")
    done = workspace.cli("run", "--detectors", detectors, "--plugin", str(path), *workspace.options, *arguments)
    assert done.code == 0, done.err
    return done


def test_hook_ecgbench_detectors_adds_a_row(workspace: Workspace) -> None:
    code = """
    from dataclasses import dataclass
    from ecgbench.hookspecs import hookimpl
    from ecgbench.specs import Detector, DetectorSpec

    @dataclass(frozen=True)
    class First(Detector):
        def score(self, task, artifacts, rng):
            return [-float(i) for i in range(len(task))]

    @hookimpl
    def ecgbench_detectors():
        return [DetectorSpec("first", f"{__name__}:First", "the first items are suspicious")]
    """
    run_plugin(workspace, code, "--dataset", "toy", detectors="first")
    record = workspace.by_detector["first"]
    assert record.status == "ok"
    assert record.metrics["auroc"] is not None
    assert "first" in workspace.board.read_text(encoding="utf-8")


def test_hook_ecgbench_noise_models_adds_a_noise(workspace: Workspace) -> None:
    code = """
    from dataclasses import dataclass
    from ecgbench.data import Corruption
    from ecgbench.hookspecs import hookimpl
    from ecgbench.specs import NoiseModel, NoiseModelSpec

    @dataclass(frozen=True)
    class FirstItems(NoiseModel):
        def corrupt(self, data, rate, rng):
            labels = data.labels.copy()
            wrong = slice(round(rate * len(data)))
            labels[wrong] = 1 - labels[wrong]
            return Corruption(data.texts, labels)

    @hookimpl
    def ecgbench_noise_models():
        return [NoiseModelSpec("first_items", f"{__name__}:FirstItems", "the first items are wrong")]
    """
    run_plugin(workspace, code, "--dataset", "toy", "--noise", "first_items", "--rate", "0.25")
    assert {(r.noise, r.realised_rate) for r in workspace.records} == {("first_items", 0.25)}


def test_hook_ecgbench_datasets_adds_a_dataset(workspace: Workspace) -> None:
    code = """
    from dataclasses import dataclass
    from ecgbench.data import LabeledTexts, TaskDescription
    from ecgbench.hookspecs import hookimpl
    from ecgbench.specs import Dataset, DatasetSpec

    @dataclass(frozen=True)
    class Numbers(Dataset):
        def load(self, context):
            parity = TaskDescription("parity", ("even", "odd"))
            texts = tuple(f"number {i}" for i in range(40))
            return LabeledTexts("numbers", texts, [i % 2 for i in range(40)], parity)

    @hookimpl
    def ecgbench_datasets():
        return [DatasetSpec("numbers", f"{__name__}:Numbers", "numbered texts")]
    """
    run_plugin(workspace, code, "--dataset", "numbers")
    assert {(r.dataset, r.n) for r in workspace.records} == {("numbers", 40)}


def test_hook_ecgbench_metrics_adds_a_number_to_every_record(workspace: Workspace) -> None:
    code = """
    from dataclasses import dataclass
    from ecgbench.hookspecs import hookimpl
    from ecgbench.specs import Metric, MetricSpec

    @dataclass(frozen=True)
    class Count(Metric):
        def compute(self, is_noisy, scores):
            return float(is_noisy.sum())

    @hookimpl
    def ecgbench_metrics():
        return [MetricSpec("wrong_labels", f"{__name__}:Count", "how many labels are wrong")]
    """
    run_plugin(workspace, code, "--dataset", "toy")
    assert {r.metrics["wrong_labels"] for r in workspace.records} == {6.0}
