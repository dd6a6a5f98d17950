"""What comes from strangers (caches, records, suites) runs no code, writes nowhere else and is refused in one line."""

from __future__ import annotations

import ast
import json
import string
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ecgbench
import ecgbench_detectors
import ecgbench_noise_models
from conftest import Workspace
from ecgbench.errors import EcgbenchError, StoreError, UsageError
from ecgbench.grid.suite import Suite, load_suite, validate_suite
from ecgbench.leaderboard import render_board
from ecgbench.results import CellRecord, Status, read_records
from ecgbench.store import objects
from ecgbench.store.objects import MANIFEST, ObjectStore

SOURCES = sorted(
    (Path(package.__path__[0]).name, path)
    for package in (ecgbench, ecgbench_detectors, ecgbench_noise_models)
    for path in Path(package.__path__[0]).rglob("*.py")
)
PICKLES = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
MAY_PICKLE = {"grid/executors/wire.py", "testing/common.py", "testing/looking.py"}
"""Bytes on their way from one process of a run to another, and copies that the conformance kit makes and compares: in
memory, never in a file."""

ROOT = Path(__file__).parents[1]
RECORD = replace(
    read_records(ROOT / "leaderboard" / "results" / "quick.jsonl")[0],
    metrics={"auroc": 0.5},
    replicates=None,
    curves=None,
)
FIELDS = json.loads(RECORD.to_json_line())


class Trap:
    """Leave a trace where it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.canary,))


def iter_calls() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield file, dotted name and constant keywords of every call in the packages."""
    for _, path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                constants = {
                    k.arg: k.value.value if isinstance(k.value, ast.Constant) else ... for k in node.keywords if k.arg
                }
                yield path.name, ast.unparse(node.func), constants


CALLS = list(iter_calls())


def test_no_module_pickles_into_files_or_out_of_them() -> None:
    found = set()
    for _, path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if PICKLES & {name.partition(".")[0] for name in names}:
                found.add(path.relative_to(Path(ecgbench.__path__[0])).as_posix())
    assert found == MAY_PICKLE


def test_arrays_are_read_and_written_without_pickle() -> None:
    found = [(file, name, given) for file, name, given in CALLS if name in {"np.load", "np.save", "numpy.load"}]
    assert len(found) >= 4
    assert [call for call in found if call[2].get("allow_pickle") is not False] == []


def test_no_module_runs_text_or_unpacks_archives() -> None:
    refused = {"eval", "exec", "__import__", "os.system", "torch.load", "yaml.load", "shutil.unpack_archive"}
    found = [(file, name) for file, name, given in CALLS if name in refused or given.get("shell")]
    assert found == []
    assert [(file, name) for file, name, _ in CALLS if name.endswith((".extractall", ".extract"))] == []


def test_models_load_without_code_of_their_own_and_from_safetensors() -> None:
    loads = [
        (f, n, g) for f, n, g in CALLS if n.endswith("from_pretrained") or n in {"SentenceTransformer", "vllm.LLM"}
    ]
    assert len(loads) >= 14
    assert [load for load in loads if load[2].get("trust_remote_code") is not False] == []
    models = [(f, n, g) for f, n, g in loads if not n.startswith(("AutoTokenizer", "AutoConfig"))]
    safe = {"use_safetensors": True, "load_format": "safetensors", "gguf_file": ..., "model_kwargs": ...}
    assert [m for m in models if not any(m[2].get(name) == value for name, value in safe.items())] == []


def test_an_array_of_objects_in_the_cache_is_computed_again_and_never_unpickled(tmp_path: Path) -> None:
    store, canary, key = ObjectStore(tmp_path / "objects"), tmp_path / "canary", "ab" * 20
    store.put(key, {"value": np.ones(2)}, kind="oof", seconds=1.0)
    entry = store.folder / "ab" / key
    np.save(entry / "value.npy", np.array([Trap(canary)], dtype=object), allow_pickle=True)
    content = json.loads((entry / MANIFEST).read_text())
    content["arrays"]["value"]["blake2b"] = objects._file_digest(entry / "value.npy")
    objects._write_manifest(entry, {name: content[name] for name in ("kind", "seconds", "arrays")})
    assert store.verify() == [f"{entry}: Object arrays cannot be loaded when allow_pickle=False"]
    assert store.get(key) is None
    assert not entry.exists()
    assert not canary.exists()


@pytest.mark.parametrize("key", ["../../victim", "/victim", "ab" * 19 + "/.", "AB" * 20, "ab" * 20 + "\n", ""])
def test_a_key_that_is_none_reaches_no_folder(tmp_path: Path, key: str) -> None:
    store = ObjectStore(tmp_path / "objects")
    with pytest.raises(StoreError, match="is no key of the cache"):
        store.get(key)


def test_a_manifest_names_no_file_outside_its_entry(tmp_path: Path) -> None:
    store, key = ObjectStore(tmp_path / "objects"), "ab" * 20
    store.put(key, {"value": np.ones(2)}, kind="oof", seconds=1.0)
    entry = store.folder / "ab" / key
    np.save(tmp_path / "other.npy", np.zeros(3))
    content = json.loads((entry / MANIFEST).read_text())
    fact = content["arrays"]["value"] | {"blake2b": objects._file_digest(tmp_path / "other.npy")}
    named = {"kind": "oof", "seconds": 1.0, "arrays": {"../../../other": fact}}
    objects._write_manifest(entry, named)
    assert store.get(key) is None


def line(**changes: Any) -> str:
    return json.dumps(FIELDS | changes)


def nested(depth: int) -> str:
    return line(noise_params={"x": 0}).replace('{"x": 0}', '{"x":' * depth + "0" + "}" * depth)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (nested(19), "more than 20 values lie in one another"),
        (nested(100_000), "not JSON of a record"),
        ("[" * 100_000, "not JSON of a record"),
        (line().replace("0.5}", "NaN}"), "NaN is not JSON"),
        (line().replace("0.5}", "Infinity}"), "Infinity is not JSON"),
        (line().replace("0.5}", "1e999}"), "1e999 is too large a number"),
        (line().replace("0.5}", "9" * 400 + "}"), "is too large a number"),
        (line().replace("0.5}", "9" * 5000 + "}"), "is too large a number"),
        (line().replace('"n": 500', '"n": 500, "n": 1'), "'n' stands there twice"),
        (line(scores="../../../victim"), "scores: '../../../victim' does not match"),
        (line(scores="/victim"), "scores: '/victim' does not match"),
        (line(scores="ab" * 20 + "\n"), "scores: "),
        (line(status="<b>"), "status: "),
        (line(seed=-1), "seed: -1"),
        (line(extra=1), "Additional properties"),
        ("null", "record: None is not of type 'object'"),
        ("\x00", "not JSON of a record"),
    ],
)
def test_a_record_that_is_none_is_one_line_with_its_place(tmp_path: Path, written: str, said: str) -> None:
    path = tmp_path / "results.jsonl"
    path.write_text(f"{RECORD.to_json_line()}{written}\n", encoding="utf-8")
    with pytest.raises(EcgbenchError) as refused:
        read_records(path)
    message = str(refused.value)
    assert message.startswith(f"{path}, line 2: ")
    assert said in message
    assert len(message) < 600
    assert "\n" not in message


def test_a_record_cannot_have_a_folder_removed(workspace: Workspace) -> None:
    """A cache entry that is damaged is removed: a record must not name another folder as one."""
    assert workspace.run("toy_lengths").code == 0
    victim = workspace.folder / "victim"
    victim.mkdir()
    (victim / "kept").touch()
    results = workspace.folder / "out" / "results" / "toy.jsonl"
    changed = [json.loads(text) | {"scores": str(victim)} for text in results.read_text().splitlines()]
    results.write_text("".join(json.dumps(values) + "\n" for values in changed))
    done = workspace.run("toy_lengths,toy_votes")
    assert done.code == 1
    assert f"{results}, line 1: scores: " in done.error
    assert (victim / "kept").exists()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(FIELDS)), JSON)
def test_whatever_stands_in_a_field_a_record_is_refused_or_shown(name: str, value: Any) -> None:
    try:
        record = CellRecord.from_json_line(json.dumps(FIELDS | {name: value}))
    except EcgbenchError:
        return
    render_board([record, RECORD]).encode("utf-8")
    assert CellRecord.from_json_line(record.to_json_line()) == record


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=40) | st.text('{}[]",:\\u0d1e9. ', max_size=40))
def test_whatever_a_line_holds_it_is_refused_in_words(text: str) -> None:
    with pytest.raises(EcgbenchError):
        CellRecord.from_json_line(text)


SUITE_FIELDS = sorted(Suite.model_fields)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from([*SUITE_FIELDS, "x"]), JSON, max_size=4))
def test_whatever_a_suite_holds_it_is_a_suite_or_refused(raw: dict[str, Any]) -> None:
    try:
        suite = validate_suite({"name": "fuzz"} | raw, where="the test")
    except UsageError:
        return
    assert set(suite.name) <= set(string.ascii_letters + string.digits + "._-")


@pytest.mark.parametrize(
    "text",
    [
        'name = "../escaped"',
        'name = "/escaped"',
        'name = "a/b"',
        'name = ".hidden"',
        'name = "a\\u0000b"',
        'name = "a\\n"',
        'name = "a"\n[[noises]]\nname = "uniform"\nrates = [nan]',
        'name = "a"\n[[noises]]\nname = "uniform"\nseeds = [99999999999999999999]',
        f'name = "a"\nx = {"[" * 5000}',
        f'name = "a"\n[[noises]]\nname = "uniform"\nseeds = [{"9" * 5000}]',
        'name = "a"\n[[datasets]]\nname = "toy"\nn = -1',
        'name = "a"\nname = "b"',
        'name = "a"\n[__class__]\nx = 1',
    ],
)
def test_a_suite_that_is_none_is_one_line_and_writes_nothing(workspace: Workspace, tmp_path: Path, text: str) -> None:
    path = tmp_path / "suite.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as refused:
        load_suite(path)
    assert "\n" not in str(refused.value)
    done = workspace.cli("run", "--suite", str(path), *workspace.options)
    assert done.code == 2
    assert done.error
    assert {p.name for p in tmp_path.rglob("*")} == {"suite.toml"}


def test_a_name_of_a_data_file_names_no_other_results_file(workspace: Workspace) -> None:
    file = workspace.folder / "..weird name .csv"
    file.write_text("text,label\n" + "".join(f"word {i},{'ab'[i % 2]}\n" for i in range(30)))
    done = workspace.run("random", "--n", "20", dataset=f'file:"{file}"')
    assert done.code == 0, done.err
    assert [path.name for path in (workspace.folder / "out" / "results").glob("[!.]*")] == ["file-..weird-name.jsonl"]


EVIL = (
    "a \x1b]0;title\x07\x1b[2J\u202e [link](javascript:x) <img src=x onerror=y> https://evil.example www.evil.example"
)


def test_what_a_name_says_a_terminal_does_not_obey(workspace: Workspace) -> None:
    assert workspace.run("toy_lengths").code == 0
    results = workspace.folder / "out" / "results" / "toy.jsonl"
    (record,) = [r for r in read_records(results) if r.detector == "toy_lengths"]
    bad = replace(record, status=Status.FAILED, reason=EVIL, metrics={EVIL: None}, metric_reasons={EVIL: EVIL})
    results.write_text(bad.to_json_line() + "".join(r.to_json_line() for r in workspace.records if r.sanity))
    shown = workspace.run("toy_lengths")
    assert shown.code == 1
    assert "javascript:x" in shown.out
    for text in (shown.out, shown.err):
        assert not set(text) & set("\x1b\x07\u202e")


def test_an_error_s_words_cannot_steer_the_terminal(workspace: Workspace) -> None:
    done = workspace.run("no\x1b[31mname")
    assert done.code == 2
    assert "no\\x1b[31mname" in done.error
