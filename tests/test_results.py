"""Records are facts: what is written comes back, torn lines do not, bad lines are named."""

from __future__ import annotations

import errno
import itertools
import json
import logging
import os
import random
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecgbench.errors import EcgbenchError, UsageError
from ecgbench.results import SELF_REPORTED, CellRecord, ResultsWriter, Status, latest, read_records, read_results_folder

RECORD = CellRecord(
    run="quick",
    dataset="movie_snippets",
    n=500,
    n_classes=2,
    profile="embedded",
    noise="uniform",
    noise_params={},
    rate=0.1,
    realised_rate=0.1,
    seed=0,
    detector="loss",
    status=Status.OK,
    metrics={"auroc": 0.9, "auprc": None, "precision_at_k": {"1%": 1.0, "true": None}},
    metric_reasons={"auprc": "no noisy items"},
    versions={"ecgbench": "0.1.0"},
    created_at="2026-01-02T03:04:05Z",
)
WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
from ecgbench.results import ResultsWriter, read_records
record = read_records(Path(sys.argv[1]))[0]
with ResultsWriter(Path(sys.argv[2])) as writer:
    for seed in range(1_000_000):
        writer.append(replace(record, seed=seed))
        if seed == 2:
            print("writing", flush=True)
"""

texts = st.text()
names = st.text(min_size=1)
numbers = st.none() | st.floats(allow_nan=False, allow_infinity=False)
counts = st.none() | st.integers(0, 2**53)
costs = st.fixed_dictionaries(
    {
        "seconds": st.floats(0, 1e9),
        "llm_calls": counts,
        "prompt_tokens": counts,
        "reply_tokens": counts,
        "peak_memory": st.none() | st.floats(0, 1e6),
    }
)
records = st.builds(
    CellRecord,
    run=texts,
    dataset=names,
    data_key=texts,
    n=st.integers(0, 10**6),
    n_classes=st.none() | st.integers(1, 100),
    profile=names,
    noise=names,
    noise_params=st.dictionaries(texts, numbers | texts),
    rate=st.floats(0, 1, exclude_max=True),
    realised_rate=st.none() | st.floats(0, 1),
    transition=st.sampled_from([None, (), ((40, 5), (3, 2))]),
    seed=st.integers(0, 2**63),
    detector=names,
    detector_params=st.dictionaries(texts, st.integers() | st.booleans() | st.lists(texts)),
    sanity=st.booleans(),
    status=st.sampled_from(Status),
    reason=st.none() | texts,
    metrics=st.dictionaries(texts, numbers | st.dictionaries(texts, numbers)),
    metric_reasons=st.dictionaries(texts, texts),
    curves=st.none() | st.builds(dict, roc=st.lists(st.floats(0, 1), min_size=31, max_size=31)),
    seconds=st.floats(0, 1e9),
    redundant=st.dictionaries(texts, st.floats(-1, 1)),
    artifacts=st.none() | st.dictionaries(texts, costs, max_size=2),
    peak_memory=st.none() | st.floats(0, 1e9),
    origin=st.sampled_from([None, SELF_REPORTED]),
    replicates=st.none() | st.dictionaries(texts, st.lists(st.floats(0, 1), min_size=2)),
    versions=st.dictionaries(texts, texts),
    created_at=st.datetimes().map(lambda moment: f"{moment:%Y-%m-%dT%H:%M:%S}Z".rjust(20, "0")),
)


def write(path: Path, *lines: str) -> Path:
    path.write_bytes("".join(lines).encode())
    return path


def changed_line(**changes: Any) -> str:
    return json.dumps(json.loads(RECORD.to_json_line()) | changes) + "\n"


@settings(deadline=None)
@given(records)
def test_a_record_comes_back_from_its_line(record: CellRecord) -> None:
    line = record.to_json_line()
    assert line.count("\n") == 1
    assert CellRecord.from_json_line(line) == record


def test_a_record_from_before_there_was_a_transition_still_reads() -> None:
    line = replace(RECORD, transition=((450, 0), (50, 0))).to_json_line()
    assert CellRecord.from_json_line(line.replace('"transition":[[450,0],[50,0]],', "")) == RECORD
    assert '"transition"' not in line.replace('"transition":[[450,0],[50,0]],', "")


def test_a_lone_surrogate_survives_the_file(tmp_path: Path) -> None:
    record = replace(RECORD, reason="bad byte \udcff")
    with ResultsWriter(tmp_path / "r.jsonl") as writer:
        writer.append(record)
    assert read_records(tmp_path / "r.jsonl") == [record]


def test_an_infinite_metric_is_refused_before_it_is_written(tmp_path: Path) -> None:
    with ResultsWriter(tmp_path / "r.jsonl") as writer:
        with pytest.raises(EcgbenchError, match="loss on movie_snippets is not JSON"):
            writer.append(replace(RECORD, metrics={"auroc": float("nan")}))
        writer.append(RECORD)
    assert read_records(tmp_path / "r.jsonl") == [RECORD]


@pytest.mark.parametrize(
    "change",
    [
        {"dataset": "other"},
        {"n": 501},
        {"data_key": "0a1b"},
        {"profile": "paper"},
        {"noise": "none"},
        {"noise_params": {"a": 1}},
        {"rate": 0.2},
        {"seed": 1},
        {"detector": "margin"},
        {"detector_params": {"k": 1}},
    ],
)
def test_the_cell_key_follows_the_identity(change: dict[str, Any]) -> None:
    assert replace(RECORD, **change).cell_key != RECORD.cell_key


def test_the_cell_key_ignores_run_outcome_and_the_form_of_the_rate() -> None:
    other = replace(RECORD, run="x", status=Status.FAILED, metrics={}, created_at="2027-01-01T00:00:00Z", versions={})
    assert other.cell_key == RECORD.cell_key
    assert replace(RECORD, rate=0).cell_key == replace(RECORD, rate=0.0).cell_key


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("{\n", "not JSON"),
        ("[]\n", "record"),
        (changed_line(schema=2), "schema"),
        (changed_line(rate=1.0), "rate"),
        (changed_line(status="great"), "status"),
        (changed_line(metrics={"auroc": "high"}), "metrics/auroc"),
        (changed_line(metrics={"precision_at_k": {"1%": []}}), "metrics/precision_at_k/1%"),
        (changed_line(created_at="yesterday"), "created_at"),
        (changed_line(redundant={"ecg": 1.5}), "redundant/ecg"),
        (changed_line(transition=[[1, -1]]), "transition/0/1"),
        (changed_line(transition=[[1]] * 21), "transition"),
        (changed_line(replicates={"auroc": [0.5, None]}), "replicates/auroc/1"),
        (changed_line(replicates={"auroc": [1e300, 0.5]}), "replicates/auroc/0"),
        (changed_line(surprise=1), "surprise"),
        (changed_line(origin="mine"), "origin"),
        (changed_line(artifacts={"Explanations": {"seconds": 1.0}}), "artifacts/Explanations"),
        (changed_line(schema=2, surprise=1), "schema 2 of a record is not known, this version of ecgbench reads 1"),
        (RECORD.to_json_line().replace("0.9", "NaN"), "NaN is not JSON"),
        (RECORD.to_json_line().replace('"seed":0,', ""), "seed"),
    ],
)
def test_a_bad_line_names_file_line_and_fault(tmp_path: Path, line: str, fault: str) -> None:
    path = write(tmp_path / "bad.jsonl", RECORD.to_json_line(), line, RECORD.to_json_line())
    with pytest.raises(EcgbenchError, match=r"bad\.jsonl, line 2: ") as raised:
        read_records(path)
    assert fault in str(raised.value)
    assert "\n" not in str(raised.value)


def test_bytes_that_are_not_utf8_name_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_bytes(b"\xff\xfe\n")
    with pytest.raises(EcgbenchError, match="line 1"):
        read_records(path)


def test_an_absent_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(EcgbenchError, match="cannot read results file"):
        read_records(tmp_path / "absent.jsonl")
    assert read_results_folder(tmp_path / "absent") == []


@pytest.mark.parametrize("cut", [1, 10, 200])
def test_a_torn_last_line_is_left_out_and_cut_off_by_the_next_writer(
    tmp_path: Path, cut: int, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path / "r.jsonl", RECORD.to_json_line(), RECORD.to_json_line()[:-cut])
    with caplog.at_level(logging.WARNING):
        assert read_records(path) == [RECORD]
    assert "left out" in caplog.text
    with ResultsWriter(path) as writer:
        writer.append(replace(RECORD, seed=1))
    assert path.read_text() == RECORD.to_json_line() + replace(RECORD, seed=1).to_json_line()


def test_a_file_of_one_torn_line_holds_no_records(tmp_path: Path) -> None:
    path = write(tmp_path / "r.jsonl", RECORD.to_json_line()[:-5])
    assert read_records(path) == []
    ResultsWriter(path).close()
    assert path.read_bytes() == b""


def test_a_second_writer_is_refused_until_the_first_is_done(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    with ResultsWriter(path) as writer:
        writer.append(RECORD)
        with pytest.raises(UsageError, match="another run writes"):
            ResultsWriter(path)
    with ResultsWriter(path) as writer:
        writer.append(RECORD)
    assert len(read_records(path)) == 2


def test_a_full_disk_is_one_line_and_leaves_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    length = len(RECORD.to_json_line())
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with ResultsWriter(path) as writer:
        writer.append(RECORD)
        resource.setrlimit(resource.RLIMIT_FSIZE, (length + length // 2, limits[1]))
        try:
            with pytest.raises(EcgbenchError, match="free disk space"):
                writer.append(RECORD)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert path.stat().st_size == length
        writer.append(RECORD)
    assert read_records(path) == [RECORD, RECORD]


def test_a_failed_flush_leaves_no_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with ResultsWriter(tmp_path / "r.jsonl") as writer:
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(EcgbenchError, match="No space left on device"):
            writer.append(RECORD)
    assert read_records(tmp_path / "r.jsonl") == []


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cannot write .*file is a file, where a folder is needed; .* --out DIR"):
        ResultsWriter(tmp_path / "file" / "r.jsonl")


def test_a_killed_writer_leaves_every_finished_record_and_frees_the_file(tmp_path: Path) -> None:
    start = write(tmp_path / "start.jsonl", RECORD.to_json_line())
    for delay in (0.0, 0.01, 0.04):
        path = tmp_path / f"r{delay}.jsonl"
        command = [sys.executable, "-P", "-c", WRITER, str(start), str(path)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"writing\n"
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        seeds = [record.seed for record in read_records(path)]
        assert len(seeds) >= 3
        assert seeds == list(range(len(seeds)))
        with ResultsWriter(path) as writer:
            writer.append(RECORD)
        assert len(read_records(path)) == len(seeds) + 1


def test_the_latest_record_of_a_cell_wins_in_any_order() -> None:
    cells = [
        RECORD,
        replace(RECORD, status=Status.FAILED, created_at="2026-01-02T03:04:06Z"),
        replace(RECORD, status=Status.OK, created_at="2026-01-01T00:00:00Z"),
        replace(RECORD, seed=1),
    ]
    expected = [cells[1], cells[3]]
    assert all(latest(order) == expected for order in itertools.permutations(cells))


def test_a_self_reported_record_never_takes_the_place_of_an_own_one() -> None:
    reported = replace(RECORD, origin=SELF_REPORTED, created_at="2027-01-01T00:00:00Z")
    newer = replace(reported, created_at="2028-01-01T00:00:00Z")
    assert all(latest(order) == [RECORD] for order in itertools.permutations([RECORD, reported, newer]))
    assert latest([newer, reported]) == [newer]


def test_a_tie_in_time_does_not_depend_on_the_order() -> None:
    cells = [replace(RECORD, seconds=float(number), seed=number % 3) for number in range(12)]
    expected = latest(cells)
    for seed in range(5):
        assert latest(random.Random(seed).sample(cells, len(cells))) == expected


def test_the_folder_is_read_file_by_file_in_order_of_name(tmp_path: Path) -> None:
    write(tmp_path / "b.jsonl", RECORD.to_json_line())
    write(tmp_path / "a.jsonl", replace(RECORD, seed=1).to_json_line())
    write(tmp_path / "notes.txt", "not a record")
    assert [record.seed for record in read_results_folder(tmp_path)] == [1, 0]


def test_a_record_from_before_redundancy_was_noted_is_read(tmp_path: Path) -> None:
    line = RECORD.to_json_line().replace('"redundant":{},', "")
    assert "redundant" not in line
    (record,) = read_records(write(tmp_path / "old.jsonl", line))
    assert record == RECORD


def test_a_record_from_before_costs_were_noted_is_read(tmp_path: Path) -> None:
    values = json.loads(RECORD.to_json_line())
    for name in ("artifacts", "peak_memory", "origin"):
        del values[name]
    (record,) = read_records(write(tmp_path / "old.jsonl", json.dumps(values) + "\n"))
    assert record == RECORD
    assert record.artifacts is None


def test_a_record_from_before_replicates_is_read(tmp_path: Path) -> None:
    line = RECORD.to_json_line().replace('"replicates":null,', "")
    assert "replicates" not in line
    (record,) = read_records(write(tmp_path / "old.jsonl", line))
    assert record.replicates is None
