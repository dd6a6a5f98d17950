"""Calibration: sums over runs, one entry a work and device, and never a reason to stop a run."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from ecgbench.store.calibration import Calibration, Measurement, Tally

GPU, CPU = "NVIDIA H100 80GB HBM3", "cpu, 2 cores"


@pytest.fixture
def calibration(tmp_path: Path) -> Calibration:
    return Calibration(tmp_path / "calibration.json")


def test_measurements_of_one_work_on_one_device_add_up(calibration: Calibration) -> None:
    calibration.note([Measurement("labels", GPU, 10, 2.0, 400, 100, 10)])
    calibration.note([Measurement("labels", GPU, 30, 4.0, 1200, 300, 30), Measurement("labels", CPU, 5, 9.0)])
    assert calibration.read() == [
        Measurement("labels", GPU, 40, 6.0, 1600, 400, 40),
        Measurement("labels", CPU, 5, 9.0),
    ]


def test_what_was_noted_last_stands_last(calibration: Calibration) -> None:
    calibration.note([Measurement("labels", GPU, 1), Measurement("labels", CPU, 1)])
    calibration.note([Measurement("labels", GPU, 1)])
    assert [one.device for one in calibration.read()] == [CPU, GPU]


def test_a_tally_is_noted_also_where_the_job_is_stopped(calibration: Calibration) -> None:
    def stopped() -> None:
        with calibration.tally("labels") as tally:
            tally.add(Measurement("labels", CPU, 8, 1.0))
            tally.add(Measurement("labels", CPU, 8, 1.0))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert calibration.read() == [Measurement("labels", CPU, 16, 2.0)]


def test_parts_done_on_several_devices_are_told_apart() -> None:
    tally = Tally("labels")
    for device in (GPU, CPU, GPU):
        tally.add(Measurement("labels", device, 4, 1.0))
    assert {device: one.items for device, one in tally.found.items()} == {GPU: 8, CPU: 4}


def test_a_job_that_did_nothing_writes_no_file(calibration: Calibration) -> None:
    with calibration.tally("labels"):
        pass
    assert list(calibration.path.parent.iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"schema": 2, "measured": []}',
        '{"schema": 1}',
        '{"schema": 1, "measured": [{"work": "labels"}]}',
        '{"schema": 1, "measured": [{"work": "labels", "device": "cpu", "items": "many"}]}',
    ],
)
def test_a_damaged_file_is_one_line_of_warning_and_counts_as_empty(
    calibration: Calibration, caplog: pytest.LogCaptureFixture, content: str
) -> None:
    calibration.path.write_text(content, encoding="utf-8")
    assert calibration.read() == []
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "\n" not in record.getMessage()
    assert "delete it" in record.getMessage()
    calibration.note([Measurement("labels", CPU, 1)])
    assert len(calibration.read()) == 1


def test_a_file_that_cannot_be_written_is_a_warning_and_leaves_the_old_one(
    calibration: Calibration, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    calibration.note([Measurement("labels", CPU, 1)])
    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", full)
        calibration.note([Measurement("labels", CPU, 1)])
    assert "No space left on device" in caplog.text
    assert calibration.read() == [Measurement("labels", CPU, 1)]
    assert [path.name for path in calibration.path.parent.glob("*calibration.json*") if ".lock" not in path.name] == [
        "calibration.json"
    ]


def test_the_file_is_plain_json_under_a_schema_number(calibration: Calibration) -> None:
    calibration.note([Measurement("labels", CPU, 1, 0.5)])
    content = json.loads(calibration.path.read_text(encoding="utf-8"))
    assert content["schema"] == 1
    assert content["measured"][0]["seconds"] == 0.5
