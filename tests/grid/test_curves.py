"""Curves at fixed places say what the metrics say: ties count as expected, an item's position never."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import Workspace
from ecgbench.data import BoolArray, FloatArray
from ecgbench.grid.curves import PLACES, PRECISION_AT_K, PRECISION_RECALL, ROC, sample_curves
from ecgbench.metrics.cutoffs import PrecisionAtK
from ecgbench.results import CellRecord, read_records


@st.composite
def rankings(draw: st.DrawFn, values: int = 6) -> tuple[BoolArray, FloatArray]:
    n = draw(st.integers(2, 60))
    noisy = draw(st.lists(st.booleans(), min_size=n, max_size=n).filter(lambda flags: 0 < sum(flags) < len(flags)))
    scores = draw(st.lists(st.integers(0, values), min_size=n, max_size=n))
    return np.array(noisy), np.array(scores, dtype=np.float64) / values


@settings(deadline=None)
@given(rankings())
def test_the_roc_curve_is_scikit_learns_read_at_its_upper_edge(ranking: tuple[BoolArray, FloatArray]) -> None:
    from sklearn.metrics import roc_curve

    fpr, tpr, _ = roc_curve(*ranking, drop_intermediate=False)
    for place, value in zip(PLACES[ROC], sample_curves(*ranking)[ROC], strict=True):
        i = int(np.flatnonzero(fpr <= place)[-1])
        step = 0.0 if i == len(fpr) - 1 else (place - fpr[i]) / (fpr[i + 1] - fpr[i]) * (tpr[i + 1] - tpr[i])
        assert value == pytest.approx(tpr[i] + step, abs=6e-5)


@given(st.integers(2, 60).flatmap(lambda n: st.permutations([i % 4 == 0 for i in range(n)])))
def test_without_ties_precision_is_that_of_the_first_place_with_the_recall(flags: list[bool]) -> None:
    is_noisy = np.array(flags)
    curve = sample_curves(is_noisy, -np.arange(len(flags), dtype=np.float64)).get(PRECISION_RECALL, [])
    for place, value in zip(PLACES[PRECISION_RECALL], curve, strict=bool(curve)):
        wanted = max(1, int(np.ceil(round(place * is_noisy.sum(), 9))))
        k = next(k for k in range(1, len(flags) + 1) if is_noisy[:k].sum() == wanted)
        assert value == pytest.approx(wanted / k, abs=6e-5)


@given(rankings())
def test_precision_at_k_is_the_metric(ranking: tuple[BoolArray, FloatArray]) -> None:
    curve = dict(zip(PLACES[PRECISION_AT_K], sample_curves(*ranking)[PRECISION_AT_K], strict=True))
    metric = PrecisionAtK(shares=tuple(curve)).compute(*ranking)
    assert {f"{100 * share:g}%": value for share, value in curve.items()} == pytest.approx(
        {key: value for key, value in metric.items() if key != "true"}, abs=6e-5
    )


@given(rankings(values=2), st.randoms())
def test_the_order_of_items_is_nothing(ranking: tuple[BoolArray, FloatArray], rng: random.Random) -> None:
    is_noisy, scores = ranking
    order = list(range(len(scores)))
    rng.shuffle(order)
    assert sample_curves(is_noisy[order], scores[order]) == sample_curves(is_noisy, scores)


def test_a_perfect_and_a_constant_ranking() -> None:
    is_noisy = np.arange(400) < 40
    perfect, constant = sample_curves(is_noisy, is_noisy.astype(float)), sample_curves(is_noisy, np.zeros(400))
    assert set(perfect[ROC]) == set(perfect[PRECISION_RECALL]) == {1.0}
    assert perfect[PRECISION_AT_K][-1] == 0.1
    assert constant[ROC] == pytest.approx(PLACES[ROC])
    assert set(constant[PRECISION_RECALL]) == set(constant[PRECISION_AT_K]) == {0.1}


@pytest.mark.parametrize("flag", [True, False])
def test_one_kind_of_item_has_no_curve(flag: bool) -> None:
    assert sample_curves(np.full(9, flag), np.arange(9.0)) == {}


def test_the_schema_holds_as_many_values_as_there_are_places() -> None:
    schema = json.loads(files("ecgbench.schemas").joinpath("record.schema.json").read_text(encoding="utf-8"))
    found = schema["properties"]["curves"]["properties"]
    assert {name: (rule["minItems"], rule["maxItems"]) for name, rule in found.items()} == {
        name: (len(places), len(places)) for name, places in PLACES.items()
    }


def test_every_ok_cell_is_recorded_with_its_curves_and_an_older_record_gets_them(workspace: Workspace) -> None:
    workspace.run("toy_lengths,random", "--noise", "uniform,none")
    assert len(workspace.records) == 10
    for record in workspace.records:
        assert record.curves is not None
        assert set(record.curves) == (set(PLACES) if record.noise == "uniform" else set())
    path = next((workspace.folder / "out" / "results").glob("*.jsonl"))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    old = [{key: value for key, value in line.items() if key != "curves"} for line in lines]
    path.write_text("".join(json.dumps(line) + "\n" for line in old))
    assert [record.curves for record in read_records(path)] == [None] * 10
    workspace.run("toy_lengths,random", "--noise", "uniform,none")
    again = {record.cell_key: record for record in read_records(path)[len(old) :]}
    assert len(again) == 10
    for line in lines:
        record = CellRecord.from_json_line(json.dumps(line))
        assert replace(again[record.cell_key], created_at=record.created_at) == record
    workspace.run("toy_lengths,random", "--noise", "uniform,none")
    assert len(read_records(path)) == 2 * len(old)
