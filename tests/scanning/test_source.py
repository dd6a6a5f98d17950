"""Which rows of a file are scanned, and what is said of the others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ecgbench.errors import DataError
from ecgbench.scanning.options import ScanOptions
from ecgbench.scanning.source import Source, load_source


def load(path: Path, content: str, **options: str) -> Source:
    path.write_text(content, encoding="utf-8")
    return load_source(path, ScanOptions(**options))  # type: ignore[arg-type]


def test_rows_keep_their_number_in_the_file(tmp_path: Path) -> None:
    source = load(tmp_path / "a.csv", "text,label\none,x\ntwo,\n,x\nfour,y\nfive,nan\nsix,NA\n")
    assert source.data.texts == ("one", "four", "six")
    assert source.rows.tolist() == [1, 4, 6]
    assert source.data.description.label_names == ("NA", "x", "y")  # NaN is no label, NA may be one
    assert source.notes[:2] == (
        "2 rows without a label in column 'label', left out: rows 2, 5",
        "1 row without a text in column 'text', left out: row 3",
    )


def test_nulls_of_json_lines_are_left_out(tmp_path: Path) -> None:
    rows = [{"text": "one", "label": 1}, {"text": None, "label": 2}, {"text": "three", "label": None}]
    rows += [{"text": "four", "label": 2}, {"text": " ", "label": 2}]
    source = load(tmp_path / "a.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    assert source.rows.tolist() == [1, 4]
    assert source.data.description.label_names == ("1", "2")


def test_many_rows_left_out_are_counted_and_the_first_named(tmp_path: Path) -> None:
    source = load(tmp_path / "a.csv", "text,label\n" + "a,\n" * 1200 + "b,x\nc,y\n")
    assert source.notes[0].startswith("1,200 rows without a label")
    assert source.notes[0].endswith("rows 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, ...")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("text,label\none,\n,x\n", "has no row with both a text and a label"),
        ("text,label\none,x\ntwo,x\n", "has one class only, 'x'"),
        ("text,label\n" + "".join(f"text {i},{i}\n" for i in range(300)), "300 different labels"),
        ("text,lable\none,x\n", "Did you mean: lable?"),
    ],
)
def test_what_cannot_be_scanned_is_refused_in_one_line(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(DataError) as error:
        load(tmp_path / "a.csv", content)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_the_key_is_of_the_content_and_the_columns(tmp_path: Path) -> None:
    content = "text,label,other\none,x,y\ntwo,y,x\n"
    same = [load(tmp_path / name, content).key for name in ("a.csv", "b.csv")]
    assert same[0] == same[1]
    others = [
        load(tmp_path / "a.csv", content.replace("two", "three")).key,
        load(tmp_path / "a.csv", content, label_column="other").key,
    ]
    assert len({same[0], *others}) == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("фильм скучный", "most letters are not Latin: prompts"),
        ("映画は退屈だ", "most letters are not Latin: prompts"),
        ("der Film ist schön und weiß, aber viel zu lang für diesen Abend", "hardly any word is one of the commonest"),
        ("la película no es mala pero el final se hace demasiado largo", "hardly any word is one of the commonest"),
        ("the film is fine, but a bit long for this evening", ""),
        ("dull", ""),
    ],
)
def test_another_language_is_pointed_out(tmp_path: Path, text: str, said: str) -> None:
    source = load(tmp_path / "a.csv", "text,label\n" + "".join(f'"{text} {i}",{"xy"[i % 2]}\n' for i in range(20)))
    noted = [note for note in source.notes if "English" in note]
    assert [note for note in noted if said and said in note] == noted
    assert bool(noted) is bool(said)
