"""Without hand-written examples the real model still tells topics apart, by examples drawn from noisy data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ecgbench.artifacts.llm import CalibratedLabels
from ecgbench.data import DetectionTask
from ecgbench.datasets.bbc_news import BbcNews
from ecgbench.engines.models import model_folder
from ecgbench.grid.executors.local import LocalExecutor
from ecgbench.grid.jobs import Job, JobRunner
from ecgbench.grid.values import TaskValues, resolve_closure
from ecgbench.plugins import load_plugins
from ecgbench.profiles import EMBEDDED
from ecgbench.progress import SilentReporter
from ecgbench.seeds import derive_rng
from ecgbench.specs import DatasetContext
from ecgbench.store.cache import Cache, default_cache_folder
from ecgbench.subsample import subsample
from ecgbench_noise_models.uniform import UniformNoise


@pytest.mark.slow
def test_calibrated_labels_are_right_on_eighty_percent_of_bbc_news_without_examples_of_ours(tmp_path: Path) -> None:
    models = default_cache_folder() / "models"
    model_folder(EMBEDDED.llm.model, models)
    (tmp_path / "models").symlink_to(models)
    cache = Cache.open(tmp_path)
    data = subsample(BbcNews().load(DatasetContext(cache.datasets)), 150)
    noisy = UniformNoise().corrupt(data, 0.1, derive_rng(0, "noise"))
    task = DetectionTask(noisy.texts, noisy.labels, replace(data.description, shots=(), label_lines=()))
    values = TaskValues(task, 0, EMBEDDED, cache)
    closure = resolve_closure([CalibratedLabels()], EMBEDDED)
    executor = LocalExecutor(load_plugins(), cache.models, SilentReporter())
    JobRunner(cache, executor, SilentReporter()).run([Job(artifact, (values,)) for artifact in closure])
    found = values.load(closure[-1]).argmax(axis=1)
    assert (found == data.labels).mean() >= 0.80
