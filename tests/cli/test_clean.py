"""`ecgbench clean`: decisions of a review and scans applied to files, each format, each misuse."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from conftest import Workspace
from ecgbench.cleaning import clean as cleaning
from ecgbench.datasets._tables import load_columns

LINES = [
    "id,text,label,note",
    '01,"good, really ""good""",pos,NA',
    "",
    '"02","two\r\nlines","neg",1.50',
    "03,Ärger ,pos, x",
    "04,bad,neg,",
]
"""Four rows with all that a careless rewriting would change: quotes, line ends, blanks, zeros."""
SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")


def write_file(folder: Path, suffix: str, n: int = 4) -> Path:
    """Write n rows in one format: ids, texts, labels neg and pos in turn, and a number."""
    path = folder / f"reviews{suffix}"
    rows = [{"id": f"{i:02d}", "text": f"text, {i}", "label": ("neg", "pos")[i % 2], "stars": i / 2} for i in range(n)]
    if suffix == ".parquet":
        import pyarrow
        from pyarrow import parquet

        parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    elif suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        mark = "," if suffix == ".csv" else "\t"
        lines = [mark.join(rows[0]), *(mark.join(f'"{value}"' for value in row.values()) for row in rows)]
        path.write_text("".join(line + "\n" for line in lines))
    return path


def write_decisions(folder: Path, *lines: str, head: str = "row,decision,label") -> str:
    path = folder / "decisions.csv"
    path.write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")
    return str(path)


def write_scan(folder: Path, labels: Sequence[str], **changed: Mapping[int, Any]) -> str:
    """Write a scan that disputes every row, surely and in the rows' order; `changed`: values of a key by row."""
    lines = []
    for row, label in enumerate(labels, 1):
        values: dict[str, Any] = {
            "rank": row,
            "row": row,
            "suspicion": 1.0 / row,
            "label": label,
            "proposed_label": "pos" if label == "neg" else "neg",
            "confidence": 0.9,
            "agreement": 1.0,
            "outlier": 0.1,
            "ease": None,
            "text": f"text, {row - 1}",
        }
        values |= {key: by_row[row] for key, by_row in changed.items() if row in by_row}
        lines.append(json.dumps(values))
    path = folder / "scan.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def read(path: Path) -> dict[str, list[Any]]:
    return load_columns(path, ["id", "text", "label", "stars"])


def labels_of(path: Path) -> list[str]:
    return load_columns(path, ["label"])["label"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_decisions_change_their_rows_and_no_other_value(workspace: Workspace, suffix: str) -> None:
    path = write_file(workspace.folder, suffix)
    before, content = read(path), path.read_bytes()
    decided = write_decisions(workspace.folder, "1,keep,", "2,drop,", "3,relabel,pos")
    done = workspace.cli("clean", str(path), "--decisions", decided)
    assert done.code == 0, done.err
    assert "4 rows: 1 dropped, 1 relabelled, 2 as they were" in done.out
    expected = {name: [cell for row, cell in enumerate(cells, 1) if row != 2] for name, cells in before.items()}
    expected["label"][1] = "pos"
    cleaned = workspace.folder / f"reviews.cleaned{suffix}"
    assert read(cleaned) == expected
    assert path.read_bytes() == content
    report = json.loads((workspace.folder / "reviews.cleaned.report.json").read_text())
    assert report["classes"] == {"neg": {"before": 2, "after": 1}, "pos": {"before": 2, "after": 2}}
    assert report["changes"] == [
        {"row": 2, "label": "pos", "new_label": None},
        {"row": 3, "label": "neg", "new_label": "pos"},
    ]


@pytest.mark.parametrize("bom", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False])
def test_untouched_rows_of_a_csv_stay_byte_by_byte(workspace: Workspace, bom: str, end: str, last: bool) -> None:
    path = workspace.folder / "odd.csv"
    path.write_bytes((bom + end.join(LINES) + end * last).encode())
    decided = write_decisions(workspace.folder, "2,drop,", "3,relabel,neg")
    assert workspace.cli("clean", str(path), "--decisions", decided).code == 0
    kept = [*LINES[:3], "03,Ärger ,neg, x", LINES[5]]
    assert (workspace.folder / "odd.cleaned.csv").read_bytes() == (bom + end.join(kept) + end * last).encode()


def test_files_and_decisions_may_have_the_semicolons_of_a_spreadsheet(workspace: Workspace) -> None:
    path = workspace.folder / "reviews.csv"
    path.write_text('text;label\n"good, really; yes";neg\nbad, bad;neg\nfine;pos\n', encoding="utf-8")
    decided = write_decisions(workspace.folder, "1;relabel;pos", "3;drop;", head="row;decision;label")
    done = workspace.cli("clean", str(path), "--decisions", decided)
    assert done.code == 0, done.err
    cleaned = (workspace.folder / "reviews.cleaned.csv").read_text(encoding="utf-8")
    assert cleaned == 'text;label\n"good, really; yes";pos\nbad, bad;neg\n'


def test_a_label_is_written_as_the_file_itself_writes_it(workspace: Workspace) -> None:
    path = workspace.folder / "stars.jsonl"
    path.write_text('{"text": "a", "label": 1, "more": {"x": [1, 2.50]}}\n\n{"text": "é", "label": 2}\n')
    decided = write_decisions(workspace.folder, "2,relabel,1")
    assert workspace.cli("clean", str(path), "--decisions", decided).code == 0
    lines = (workspace.folder / "stars.cleaned.jsonl").read_text().splitlines()
    assert lines[0] == '{"text": "a", "label": 1, "more": {"x": [1, 2.50]}}'
    assert json.loads(lines[2]) == {"text": "é", "label": 1}


@pytest.mark.parametrize("decision", ["1,drop,", "1,relabel,y"])
@pytest.mark.parametrize(
    "content",
    [
        '[{"label": "x"}, {"label": "y"}]\n',
        '{"label": "x"}{"label": "y"}\n',
        '{\n"label": "x"}\n{"label": "y"}\n',
    ],
)
def test_json_that_is_not_one_row_a_line_is_refused_and_no_row_is_lost(
    workspace: Workspace, content: str, decision: str
) -> None:
    path = workspace.folder / "array.jsonl"
    path.write_text(content)
    done = workspace.cli("clean", str(path), "--decisions", write_decisions(workspace.folder, decision))
    assert (done.code, "write one row a line" in done.err) == (2, True), done.err
    assert not (workspace.folder / "array.cleaned.jsonl").exists()


def test_a_json_row_without_the_label_column_stays_as_it_is(workspace: Workspace) -> None:
    path = workspace.folder / "some.jsonl"
    path.write_text('{"label": "x"}\n{"text": "b"}\n{"label": "y"}\n')
    done = workspace.cli("clean", str(path), "--decisions", write_decisions(workspace.folder, "1,relabel,y"))
    assert done.code == 0, done.err
    expected = '{"label": "y"}\n{"text": "b"}\n{"label": "y"}\n'
    assert (workspace.folder / "some.cleaned.jsonl").read_text() == expected


def test_the_class_labels_of_a_parquet_file_stay_what_they_are(workspace: Workspace) -> None:
    from datasets import ClassLabel, Dataset, Features, Value

    features = Features({"text": Value("string"), "label": ClassLabel(names=["neg", "pos"])})
    path = workspace.folder / "set.parquet"
    Dataset.from_dict({"text": ["a", "b", "c"], "label": [0, 1, 0]}, features=features).to_parquet(path)
    decided = write_decisions(workspace.folder, "1,relabel,pos", "3,drop,")
    assert workspace.cli("clean", str(path), "--decisions", decided).code == 0
    cleaned = Dataset.from_parquet(str(workspace.folder / "set.cleaned.parquet"), cache_dir=str(workspace.folder))
    assert cleaned.features == features
    assert cleaned["label"][:] == [1, 1]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["5,drop,"], "decisions.csv, row 1: there is no row '5' in {file}, its rows are 1 to 4; are these of another"),
        (["0,drop,"], "there is no row '0'"),
        (["one,drop,"], "there is no row 'one'"),
        (["1,drop,", "1,keep,"], "row 2: row 1 was decided before; leave one decision a row"),
        (["1,remove,"], "unknown decision 'remove'; choose from: keep, relabel, drop"),
        (["1,relabel,good"], "unknown label 'good'; {file} has: neg, pos"),
        (["1,relabel,"], "relabel needs a label; {file} has: neg, pos"),
        (["1,relabel,neg"], "row 1 of {file} has the label 'neg' already; are these of another file?"),
        (["1,drop,pos"], "drop goes with no label, but 'pos' is given; empty it"),
        (["1,drop,", "2,drop,", "3,drop,", "4,drop,"], "nothing of {file} would be left"),
        ([], "decisions.csv has no rows"),
    ],
)
def test_decisions_that_do_not_fit_are_told_in_one_line_and_nothing_is_written(
    workspace: Workspace, lines: list[str], said: str
) -> None:
    path = write_file(workspace.folder, ".csv")
    done = workspace.cli("clean", str(path), "--decisions", write_decisions(workspace.folder, *lines))
    assert done.code == 2
    assert said.format(file=path) in done.error
    assert sorted(file.name for file in workspace.folder.iterdir()) == ["decisions.csv", "reviews.csv"]


def test_other_columns_than_those_of_decisions_are_refused(workspace: Workspace) -> None:
    path = write_file(workspace.folder, ".csv")
    decided = write_decisions(workspace.folder, "1,drop", head="row,decision")
    assert "has no column 'label'" in workspace.cli("clean", str(path), "--decisions", decided).error


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "nothing says what to change: give --decisions decisions.csv, or --scan scan.jsonl"),
        (["--scan", "absent.jsonl"], "cannot read absent.jsonl"),
        (["--decisions", "d.csv", "--top", "5%"], "--top and --action are for a scan"),
        (["--scan", "{scan}", "--action", "delete"], "unknown action 'delete'"),
        (["--scan", "{scan}", "--top", "5"], "cannot read the share '5'"),
        (["--scan", "{scan}", "--label-column", "lable"], "has no column 'lable'. Did you mean: label?"),
        (["--scan", "{scan}", "--out", "cleaned.tsv"], "the format stays: give a name that ends in .csv"),
        (["--scan", "{scan}", "--out", "{file}"], "exists; give another name with --out, or --overwrite"),
    ],
)
def test_wrong_usage_is_one_line(workspace: Workspace, arguments: list[str], said: str) -> None:
    path = write_file(workspace.folder, ".csv")
    scan = write_scan(workspace.folder, labels_of(path))
    content = path.read_bytes()
    done = workspace.cli("clean", str(path), *(a.format(scan=scan, file=path) for a in arguments))
    assert done.code == 2
    assert said in done.error
    assert path.read_bytes() == content


def test_only_overwrite_replaces_the_file_itself(workspace: Workspace) -> None:
    path = write_file(workspace.folder, ".csv")
    scan = write_scan(workspace.folder, labels_of(path))
    done = workspace.cli("clean", str(path), "--scan", scan, "--top", "25%", "--out", str(path), "--overwrite")
    assert done.code == 0, done.err
    assert labels_of(path) == ["pos", "neg", "pos"]


def test_a_write_that_fails_leaves_no_part_of_a_file(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_file(workspace.folder, ".csv")
    scan = write_scan(workspace.folder, labels_of(path))

    def fail(*_: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    done = workspace.cli("clean", str(path), "--scan", scan)
    assert done.code == 1
    assert "No space left on device" in done.error
    assert sorted(file.name for file in workspace.folder.iterdir()) == ["reviews.csv", "scan.jsonl"]


@pytest.fixture
def scanned(workspace: Workspace) -> Callable[..., dict[str, Any]]:
    """Return a function that cleans 40 rows by a scan and returns the report."""
    path = write_file(workspace.folder, ".csv", n=40)

    def run(action: str, top: str = "10%", **changed: Mapping[int, Any]) -> dict[str, Any]:
        scan = write_scan(workspace.folder, labels_of(path), **changed)
        done = workspace.cli(
            "clean", str(path), "--scan", scan, "--top", top, "--action", action, "--overwrite", "--json"
        )
        assert done.code == 0, done.err
        report: dict[str, Any] = json.loads(done.out)
        return report

    return run


def test_a_scan_removes_or_relabels_its_top(scanned: Callable[..., dict[str, Any]]) -> None:
    removed = scanned("remove")
    assert [(c["row"], c["new_label"]) for c in removed["changes"]] == [(1, None), (2, None), (3, None), (4, None)]
    relabelled = scanned("relabel", rank={1: 99, 40: 0})
    assert [(c["row"], c["new_label"]) for c in relabelled["changes"]] == [
        (2, "neg"),
        (3, "pos"),
        (4, "neg"),
        (40, "neg"),
    ]


def test_each_guard_holds_its_row_back_and_is_counted(scanned: Callable[..., dict[str, Any]]) -> None:
    report = scanned(
        "relabel",
        "20%",
        proposed_label={1: "neg"},
        confidence={2: 0.5},
        agreement={3: 0.5, 4: None, 5: ""},
        outlier={6: 0.96, 7: None},
        ease={8: 0.8},
    )
    assert [change["row"] for change in report["changes"]] == [7]
    assert report["held_back"] == 7
    assert report["held_back_by"] == {"same label": 1, "confidence": 1, "agreement": 3, "outlier": 1, "dynamics": 1}


def test_removal_spares_outliers_and_what_is_learned_with_ease(scanned: Callable[..., dict[str, Any]]) -> None:
    report = scanned("remove", confidence={1: 0.1}, outlier={2: 0.96}, ease={3: 1.0, 4: 0.75})
    assert [change["row"] for change in report["changes"]] == [1, 4]
    assert report["held_back_by"] == {"outlier": 1, "dynamics": 1}
    assert report["not_judged"] == []
    assert scanned("remove")["not_judged"] == ["dynamics"]


def test_guards_that_a_scan_gives_nothing_to_go_by_are_warned_of(workspace: Workspace) -> None:
    path = write_file(workspace.folder, ".csv")
    scan = write_scan(workspace.folder, labels_of(path))
    done = workspace.cli("clean", str(path), "--scan", scan)
    assert "warning: the scan has no values for these guards, which held nothing back: dynamics" in done.err
    done = workspace.cli("clean", str(path), "--scan", scan, "--action", "relabel", "--overwrite", "--json")
    assert json.loads(done.out)["not_judged"] == ["dynamics"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"label": {2: "neg"}}, "row 2 of {file} has the label 'pos', in {scan} it has 'neg'; are these of another"),
        ({"row": {4: 9}}, "there is no row '9'"),
        ({"row": {1: 3}}, "holds row 3 twice"),
        ({"rank": {1: "first"}}, "line 1: rank is 'first'"),
        ({"confidence": {1: "high"}}, "confidence is 'high', not a number"),
        ({"proposed_label": {1: "mixed"}}, "proposes the unknown label 'mixed' for row 1; known are: neg, pos"),
    ],
)
def test_a_scan_that_does_not_fit_is_told_in_one_line(workspace: Workspace, changed: Any, said: str) -> None:
    path = write_file(workspace.folder, ".csv")
    scan = write_scan(workspace.folder, labels_of(path), **changed)
    done = workspace.cli("clean", str(path), "--scan", scan, "--top", "50%", "--action", "relabel")
    assert done.code == 2
    assert said.format(file=path, scan=scan) in done.error


def test_of_a_scan_of_fewer_rows_than_the_top_all_are_looked_at_and_it_is_told(workspace: Workspace) -> None:
    path = write_file(workspace.folder, ".csv")
    scan = write_scan(workspace.folder, labels_of(path)[:2])
    done = workspace.cli("clean", str(path), "--scan", scan, "--top", "75%")
    assert "warning: the scan holds 2 rows, the top of 4 rows are 3: scan more of them" in done.err
    assert labels_of(workspace.folder / "reviews.cleaned.csv") == ["neg", "pos"]


def test_rows_without_a_label_stay_and_are_counted_by_the_numbers_of_rows(workspace: Workspace) -> None:
    path = workspace.folder / "gaps.csv"
    path.write_text("text,label\na,\nb,neg\nc,pos\n")
    scan = workspace.folder / "scan.jsonl"
    row = {"rank": 1, "row": 2, "label": "neg", "proposed_label": None, "confidence": None, "agreement": None}
    scan.write_text(json.dumps(row | {"outlier": None, "ease": None}) + "\n")
    for action, kept in (("relabel", "a,\nb,neg\nc,pos\n"), ("remove", "a,\nc,pos\n")):  # no label is proposed
        options = ("--scan", str(scan), "--top", "33%", "--action", action, "--overwrite")
        assert workspace.cli("clean", str(path), *options).code == 0
        assert (workspace.folder / "gaps.cleaned.csv").read_text() == f"text,label\n{kept}"


def test_decisions_beside_a_scan_of_another_file_are_refused(workspace: Workspace) -> None:
    path = write_file(workspace.folder, ".csv")
    scan, decided = write_scan(workspace.folder, ["pos"] * 4), write_decisions(workspace.folder, "2,drop,")
    done = workspace.cli("clean", str(path), "--decisions", decided, "--scan", scan)
    assert "are these of another file?" in done.error


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_scan_of_other_texts_under_the_same_labels_is_refused(workspace: Workspace, suffix: str) -> None:
    path = write_file(workspace.folder, suffix)
    scan = write_scan(workspace.folder, ["neg", "pos"] * 2, text={1: "1.0", 2: " text,  1\r\n"})  # read otherwise: two
    assert workspace.cli("clean", str(path), "--scan", scan).code == 0
    scan = write_scan(workspace.folder, ["neg", "pos"] * 2, text={1: "other", 3: "texts", 4: "here"})
    done = workspace.cli("clean", str(path), "--scan", scan, "--overwrite")
    assert (done.code, f"row 1 of {path} does not hold the text that it has in {scan}" in done.error) == (2, True)
    assert "are these of another file?" in done.error


def test_a_report_goes_beside_its_file() -> None:
    assert cleaning.report_path(Path("a/b.cleaned.csv")) == Path("a/b.cleaned.report.json")
