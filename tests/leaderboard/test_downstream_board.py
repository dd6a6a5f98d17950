"""The downstream section of a board: means over seeds and trainings, no mean where one is missing, any order."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path

import pytest

from ecgbench.downstream_results import DownstreamRecord, read_downstream_records
from ecgbench.errors import EcgbenchError
from ecgbench.leaderboard.downstream import ABSENT, build_downstream_tables, render_cells, render_downstream
from ecgbench.results import Status

BLANK = DownstreamRecord(
    run="r",
    dataset="toy",
    data_key="k",
    n=100,
    profile="embedded",
    noise="artifact_aligned",
    rate=0.1,
    seed=0,
    cleaner="ecg",
    action="remove",
    share=0.05,
    training_seeds=(0, 1),
    status=Status.OK,
    n_wrong=10,
    n_validation=60,
    validation_key="v",
    created_at="2025-01-01T00:00:00+00:00",
    n_changed=5,
    n_hits=(4, 4),
    n_repaired=(0, 0),
    accuracy={"untouched": (0.8, 0.9), "stripped": (0.8, 0.9), "swapped": (0.2, 0.4)},
)
NONE = dataclasses.replace(BLANK, cleaner="none", action="none", share=0.0, control=True, n_changed=0)
ORACLE = dataclasses.replace(BLANK, cleaner="oracle", control=True)
WORSE = dataclasses.replace(BLANK, cleaner="zed", accuracy={"untouched": (0.7, 0.7)})


def cells(*records: DownstreamRecord) -> list[list[str]]:
    (table,) = build_downstream_tables(records)
    return [render_cells(row) for row in table.rows]


def test_a_row_holds_means_over_seeds_and_trainings() -> None:
    other = dataclasses.replace(BLANK, seed=1, n_hits=(5, 5), accuracy=BLANK.accuracy | {"untouched": (1.0, 0.9)})
    (row,) = cells(BLANK, other)
    assert row == ["ecg", "remove", "5%", "5", "4.5", ABSENT, "0.900 ± 0.082", "0.850 ± 0.058", "0.300 ± 0.115", "ok"]


def test_controls_come_first_and_detectors_by_accuracy_on_untouched_data() -> None:
    assert [row[0] for row in cells(WORSE, BLANK, ORACLE, NONE)] == ["none †", "oracle †", "ecg", "zed"]
    text = render_downstream([WORSE, BLANK, ORACLE, NONE])
    assert "| *oracle* † | remove |" in text
    assert f"| *none* †   | {ABSENT}      |" in text


def test_a_detector_of_a_controls_name_has_a_row_of_its_own() -> None:
    mine = dataclasses.replace(BLANK, cleaner="random")
    assert len(cells(mine, dataclasses.replace(mine, control=True))) == 2


def test_noise_without_markers_has_no_other_panels() -> None:
    assert cells(WORSE)[0][6:9] == ["0.700 ± 0.000", ABSENT, ABSENT]


@pytest.mark.parametrize("is_failed", [True, False])
def test_a_mean_with_a_missing_training_is_no_mean(is_failed: bool) -> None:
    failed = dataclasses.replace(BLANK, seed=1, status=Status.FAILED, reason="it broke", accuracy={})
    others = [NONE, dataclasses.replace(NONE, seed=1), BLANK]
    row = cells(*others, failed)[1] if is_failed else cells(*others)[1]
    assert row[6:] == [ABSENT, ABSENT, ABSENT, "failed (1 of 2)" if is_failed else "missing (1 of 2)"]


def test_the_same_records_give_the_same_bytes_in_any_order() -> None:
    later = dataclasses.replace(BLANK, created_at="2025-02-01T00:00:00+00:00", accuracy={"untouched": (0.5, 0.5)})
    records = [BLANK, NONE, WORSE, ORACLE, later, dataclasses.replace(BLANK, dataset="other|set")]
    text = render_downstream(records)
    assert "0.500 ± 0.000" in text
    assert "other\\|set" in text
    for _ in range(5):
        random.shuffle(records)
        assert render_downstream(records) == text


def test_without_records_there_is_no_section() -> None:
    assert render_downstream([]) == ""


def test_a_record_is_read_back_and_a_torn_line_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(BLANK.to_json_line() + NONE.to_json_line() + '{"torn', encoding="utf-8")
    read = read_downstream_records(path)
    assert [record.to_json_line() for record in read] == [BLANK.to_json_line(), NONE.to_json_line()]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"seed":0', '"seed":-1', "seed: -1 is less than the minimum"),
        ('"share":0.05', '"share":NaN', "not JSON of a downstream record"),
        ('"run":"r"', '"run":"r","more":1', "Additional properties"),
    ],
)
def test_a_line_that_breaks_the_schema_is_told_with_its_place(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(BLANK.to_json_line().replace(old, new))
    with pytest.raises(EcgbenchError, match="line 1") as caught:
        read_downstream_records(path)
    assert said in str(caught.value)
