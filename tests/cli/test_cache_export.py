"""`ecgbench cache export explanations` writes all that the language model ever answered, a JSON line each."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from conftest import Outcome, Workspace
from ecgbench.store.cache import Cache

ONE = {"text": "rain \U0001f327 \x1b[0m", "label": "wet", "evidence": ["rain"], "rationale": "Água."}
SAMPLES = {"text": "sun", "samples": [{"label": "dry", "evidence": ["sun"], "rationale": "It shone."}, None]}


def fill(workspace: Workspace, kind: str, rows: dict[str, Any]) -> None:
    store = Cache.open(workspace.folder / "cache").rows
    answers = {k: None if row is None else json.dumps(row, ensure_ascii=False).encode() for k, row in rows.items()}
    store.put_many(kind, answers, seconds=1.0)
    store.close()


def export(workspace: Workspace, *arguments: str) -> Outcome:
    return workspace.cli("cache", "export", *arguments, "--cache", str(workspace.folder / "cache"))


def test_each_stored_answer_is_a_line_in_order_of_key(workspace: Workspace) -> None:
    fill(workspace, "Explanations", {"b": ONE, "d": None})
    fill(workspace, "ExplanationSamples", {"c": SAMPLES, "a": None})
    fill(workspace, "TextLengths", {"e": 1})
    done = export(workspace, "explanations", "--format", "jsonl")
    assert (done.code, done.err) == (0, "")
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert rows == [
        {"key": "a", "kind": "ExplanationSamples", "failed": True},
        {"key": "b", "kind": "Explanations", **ONE},
        {"key": "c", "kind": "ExplanationSamples", **SAMPLES},
        {"key": "d", "kind": "Explanations", "failed": True},
    ]
    assert [list(row) for row in rows[1:3]] == [
        ["key", "kind", "text", "label", "evidence", "rationale"],
        ["key", "kind", "text", "samples"],
    ]


def test_a_large_cache_is_read_page_by_page(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    from ecgbench.store.rows import RowStore

    monkeypatch.setattr("ecgbench.store.rows._CHUNK", 7)
    pages: list[int] = []
    read = RowStore._read

    def count(self: RowStore, *arguments: Any) -> list[Any]:
        found = read(self, *arguments)
        pages.append(len(found))
        return found

    monkeypatch.setattr(RowStore, "_read", count)
    fill(workspace, "Explanations", {f"{i:03}": ONE for i in range(50)})
    lines = export(workspace, "explanations").out.splitlines()
    assert [json.loads(line)["key"] for line in lines] == [f"{i:03}" for i in range(50)]
    assert max(pages) == 7


def test_a_file_holds_what_would_be_printed(workspace: Workspace) -> None:
    fill(workspace, "Explanations", {"a": ONE})
    path = workspace.folder / "out.jsonl"
    done = export(workspace, "explanations", "--out", str(path))
    assert (done.code, done.out) == (0, "")
    assert path.read_text(encoding="utf-8") == export(workspace, "explanations").out


def test_an_empty_cache_prints_nothing_and_says_so(workspace: Workspace) -> None:
    done = export(workspace, "explanations")
    assert (done.code, done.out) == (0, "")
    assert done.err == f"the cache at {workspace.folder / 'cache'} holds no explanations\n"
    assert not (workspace.folder / "cache").exists()


def test_explanations_are_exported_where_nothing_is_named(workspace: Workspace) -> None:
    fill(workspace, "Explanations", {"a": ONE})
    done = export(workspace)
    assert (done.code, done.err) == (0, "")
    assert done.out
    assert done.out == export(workspace, "explanations").out


def test_a_corrupted_row_is_left_out_and_named(workspace: Workspace, caplog: pytest.LogCaptureFixture) -> None:
    fill(workspace, "Explanations", {"a": ONE, "b": ONE})
    with sqlite3.connect(workspace.folder / "cache" / "rows.sqlite") as connection:
        connection.execute("UPDATE rows SET value = x'78' WHERE key = 'a'")
    connection.close()
    assert [json.loads(line)["key"] for line in export(workspace, "explanations").out.splitlines()] == ["b"]
    assert "row a (Explanations)" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["explanation"], "unknown export 'explanation'. Did you mean: explanations?"),
        (["rows"], "unknown export 'rows'. Choose from: explanations."),
        (["explanations", "--format", "csv"], "unknown --format 'csv'. Choose from: jsonl."),
        (["explanations", "--out", "/"], "cannot write /: Is a directory; give another --out FILE"),
    ],
)
def test_a_wrong_word_is_one_line(workspace: Workspace, arguments: list[str], message: str) -> None:
    fill(workspace, "Explanations", {"a": ONE})
    done = export(workspace, *arguments)
    assert done.code == 2
    assert message in done.error
    assert done.out == ""


def test_a_file_that_cannot_be_written_is_one_line(workspace: Workspace, tmp_path: Path) -> None:
    done = export(workspace, "explanations", "--out", str(tmp_path / "absent" / "x.jsonl"))
    assert done.code == 2
    assert "No such file or directory" in done.error
