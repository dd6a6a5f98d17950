import json
import logging

import pytest

from ecgbench.datasets.file import FileDataset
from ecgbench.errors import DataError, UsageError
from ecgbench.specs import DatasetContext


def load(path, **parameters):
    return FileDataset(path=str(path), **parameters).load(DatasetContext(None))


def write(tmp_path, content, name="data.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def write_parquet(tmp_path, columns, features=None):
    from datasets import Dataset

    path = tmp_path / "data.parquet"
    Dataset.from_dict(columns, features=features).to_parquet(str(path))
    return path


def refusal(path, **parameters):
    with pytest.raises(DataError) as error:
        load(path, **parameters)
    message = str(error.value)
    assert "\n" not in message
    return message


ROWS = [("good, really", "pos"), ("bad", "neg"), ('so "so"', "neg")]


def write_rows(tmp_path, suffix):
    if suffix == ".parquet":
        return write_parquet(tmp_path, {"text": [t for t, _ in ROWS], "label": [y for _, y in ROWS]})
    if suffix == ".jsonl":
        lines = [json.dumps({"text": t, "label": y}) for t, y in ROWS]
    else:
        sep = {".csv": ",", ".tsv": "\t"}[suffix]
        lines = [f"text{sep}label", *('"{}"{}{}'.format(t.replace('"', '""'), sep, y) for t, y in ROWS)]
    return write(tmp_path, "\n".join(lines) + "\n", f"data{suffix}")


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_every_format_gives_the_same_texts_and_labels(tmp_path, suffix):
    data = load(write_rows(tmp_path, suffix))
    assert data.name == f"file:data{suffix}"
    assert data.texts == tuple(text for text, _ in ROWS)
    assert data.description.label_names == ("neg", "pos")
    assert data.labels.tolist() == data.given_labels.tolist() == [1, 0, 0]


def test_a_true_label_column_makes_the_label_column_the_given_one(tmp_path):
    data = load(write(tmp_path, "text,label,gold\na,x,y\nb,y,y\nc,y,z\n"), true_label_column="gold")
    assert data.description.label_names == ("x", "y", "z")
    assert data.labels.tolist() == [1, 1, 2]
    assert data.given_labels.tolist() == [0, 1, 1]


def test_other_column_names_and_the_task_are_parameters(tmp_path):
    path = write(tmp_path, "id,review,stars\n1,a,5\n2,b,1\n")
    data = load(path, text_column="review", label_column="stars", task="rating of the review")
    assert data.texts == ("a", "b")
    assert data.description.label_names == ("1", "5")
    assert data.description.noun == "rating of the review"


def test_csv_cells_stay_as_written(tmp_path):
    data = load(write(tmp_path, "text,label\n007,01\nNA,NA\nnull,0\n,None\n"))
    assert data.texts == ("007", "NA", "null", "")
    assert [data.description.label_names[y] for y in data.labels] == ["01", "NA", "0", "None"]


def test_labels_that_turn_from_numbers_to_words_late_in_a_file_are_read(tmp_path):
    rows = "".join(f"t{i},{i % 2}\n" for i in range(12_000))
    data = load(write(tmp_path, f"text,label\n{rows}last,word\n"))
    assert data.description.label_names == ("0", "1", "word")
    assert len(data) == 12_001


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        ([0, 1, 1], ("0", "1")),
        ([0.0, 1.0, 0.5], ("0", "0.5", "1")),
        ([True, False, True], ("False", "True")),
        (["b ", " a", "b"], ("a", "b")),
    ],
)
def test_labels_of_any_plain_type_become_names(tmp_path, labels, names):
    assert load(write_parquet(tmp_path, {"text": ["x", "y", "z"], "label": labels})).description.label_names == names


def test_a_class_label_column_gives_its_names_as_sst2_does(tmp_path):
    from datasets import ClassLabel, Features, Value

    names = ClassLabel(names=["negative", "positive"])
    features = Features({"idx": Value("int32"), "sentence": Value("string"), "label": names})
    columns = {"idx": [0, 1], "sentence": ["fine", "poor"], "label": [1, 0]}
    data = load(write_parquet(tmp_path, columns, features), text_column="sentence")
    assert data.description.label_names == ("negative", "positive")
    assert data.labels.tolist() == [1, 0]
    unlabelled = write_parquet(tmp_path, columns | {"label": [-1, -1]}, features)
    assert "2 rows have no label" in refusal(unlabelled, text_column="sentence")


def test_empty_and_repeated_texts_are_kept(tmp_path):
    data = load(write(tmp_path, 'text,label\n"",a\nx,a\nx,b\n'))
    assert data.texts == ("", "x", "x")


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path):
    assert load(write(tmp_path, b"\xef\xbb\xbftext,label\nx,a\ny,b\n")).texts == ("x", "y")


def test_line_breaks_inside_quotes_stay(tmp_path):
    assert load(write(tmp_path, 'text,label\n"a\nb",x\nc,y\n')).texts == ("a\nb", "c")


def test_reading_leaves_nothing_behind_and_the_librarys_settings_alone(tmp_path, monkeypatch):
    from datasets.utils import are_progress_bars_disabled
    from datasets.utils import logging as their_logging

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    before = (are_progress_bars_disabled(), their_logging.get_verbosity())
    load(write_rows(tmp_path, ".csv"))
    assert list((tmp_path / "tmp").iterdir()) == []
    assert (are_progress_bars_disabled(), their_logging.get_verbosity()) == before


def test_no_path_says_how_to_write_one():
    with pytest.raises(UsageError, match="file:PATH"):
        FileDataset().load(DatasetContext(None))


@pytest.mark.parametrize("name", ["gone.csv", "gone.jsonl", "gone.parquet"])
def test_a_file_that_is_not_there_is_named(tmp_path, name):
    message = refusal(tmp_path / name)
    assert name in message
    assert message.startswith("cannot read")


def test_a_folder_is_no_file(tmp_path):
    (tmp_path / "data.csv").mkdir()
    assert "cannot read" in refusal(tmp_path / "data.csv")


def test_an_unknown_ending_lists_the_known_ones(tmp_path):
    assert ".csv, .tsv, .jsonl, .parquet" in refusal(write(tmp_path, "x", "data.xlsx"))


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_a_missing_column_lists_the_columns_and_the_nearest(tmp_path, suffix):
    message = refusal(write_rows(tmp_path, suffix), label_column="lable")
    assert "no column 'lable'. Did you mean: label?" in message
    assert "text, label" in message


def test_a_missing_true_label_column_is_refused(tmp_path):
    assert "no column 'gold'" in refusal(write_rows(tmp_path, ".csv"), true_label_column="gold")


def test_text_that_is_not_utf8_names_the_line_the_byte_and_the_fix(tmp_path):
    message = refusal(write(tmp_path, b"text,label\nfine,a\ncaf\xe9,b\n"))
    assert "line 3, byte 21" in message
    assert "iconv" in message


@pytest.mark.parametrize("name", ["data.csv", "data.tsv", "data.jsonl"])
@pytest.mark.parametrize("content", ["", "\n\n"])
def test_an_empty_file_is_refused(tmp_path, name, content):
    assert "is empty" in refusal(write(tmp_path, content, name))


def test_a_header_without_rows_is_refused(tmp_path):
    assert "no rows" in refusal(write(tmp_path, "text,label\n"))
    assert "no rows" in refusal(write_parquet(tmp_path, {"text": [], "label": []}))


def test_a_row_of_another_length_is_refused_with_its_line(tmp_path):
    message = refusal(write(tmp_path, "text,label\nfine,a\nwell, well,b\n"))
    assert "line 3 " in message
    assert "3 fields, the header has 2" in message
    assert "quotes" in message


@pytest.mark.parametrize("content", ['{"text": "a", "label": ', "no json\n", '{"text": {"a": 1}, "label": 1}\n'])
def test_broken_jsonl_is_one_line(tmp_path, content):
    assert "data.jsonl" in refusal(write(tmp_path, content, "data.jsonl"))


def test_broken_parquet_is_one_line_and_logs_nothing(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        assert "cannot read" in refusal(write(tmp_path, "no parquet", "data.parquet"))
    assert caplog.records == []


def test_missing_labels_are_counted_and_the_first_rows_named(tmp_path):
    assert "2 rows have no label in column 'label'" in refusal(write(tmp_path, "text,label\na,x\nb,\nc,y\nd, \n"))
    assert "(row 2, 4)" in refusal(write(tmp_path, "text,label\na,x\nb,\nc,y\nd, \n"))
    nan = write_parquet(tmp_path, {"text": ["a", "b", "c"], "label": [1.0, float("nan"), 0.0]})
    assert "1 row has no label" in refusal(nan)
    null = write(tmp_path, '{"text": "a", "label": null}\n{"text": "b", "label": "x"}\n', "data.jsonl")
    assert "(row 1)" in refusal(null)
    many = write(tmp_path, "text,label\n" + "a,\n" * 9)
    assert "(row 1, 2, 3, 4, 5, ...)" in refusal(many)


def test_missing_true_labels_are_refused(tmp_path):
    path = write(tmp_path, "text,label,gold\na,x,\nb,y,y\n")
    assert "column 'gold'" in refusal(path, true_label_column="gold")


def test_null_texts_are_refused(tmp_path):
    path = write(tmp_path, '{"text": null, "label": 1}\n{"text": "b", "label": 0}\n', "data.jsonl")
    assert "1 row has no text in column 'text'" in refusal(path)


def test_a_text_column_of_numbers_is_refused(tmp_path):
    assert "holds int, not text" in refusal(write_parquet(tmp_path, {"text": [1, 2], "label": [0, 1]}))


def test_one_class_only_is_refused(tmp_path):
    assert "one class only, 'a'" in refusal(write(tmp_path, "text,label\nx,a\ny,a\n"))


def test_one_true_class_with_two_given_ones_is_read(tmp_path):
    data = load(write(tmp_path, "text,label,gold\nx,a,a\ny,b,a\n"), true_label_column="gold")
    assert data.labels.tolist() == [0, 0]


@pytest.mark.parametrize(("n", "is_refused"), [(200, False), (201, True)])
def test_more_than_200_classes_look_like_no_classes(tmp_path, n, is_refused):
    path = write(tmp_path, "text,label\n" + "".join(f"t,{i / 7}\n" for i in range(n)))
    if is_refused:
        assert "201 different labels" in refusal(path)
    else:
        assert load(path).description.n_classes == 200


SHOT = '[[shot]]\ntext = "A fine day"\nlabel = "a"\nevidence = ["fine"]\nreason = "says so"\n'


def load_with_shots(tmp_path, toml):
    shots = write(tmp_path, toml, "shots.toml")
    return load(write(tmp_path, "text,label\nx,a\ny,b\n"), shots=str(shots)).description.shots


def test_own_examples_are_read(tmp_path):
    second = SHOT.replace('["fine"]', '"day"').replace('label = "a"', 'label = "b"')
    first, other = load_with_shots(tmp_path, SHOT + second)
    assert (first.text, first.label, first.evidence, first.reason) == ("A fine day", "a", ("fine",), "says so")
    assert (other.label, other.evidence) == ("b", ("day",))


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("", "holds no shots"),
        ("shot = 3", "holds no shots"),
        ("[[shot]", "cannot read shots"),
        (SHOT.replace("reason", "why"), "it needs text, label, evidence, reason"),
        (SHOT.replace('label = "a"', 'label = "c"'), "label 'c'; choose from: a, b"),
        (SHOT.replace('["fine"]', '["good"]'), "evidence 'good' is not in its text"),
        (SHOT.replace('["fine"]', "[1]"), "list of strings"),
        (SHOT.replace('"A fine day"', "3"), "list of strings"),
    ],
)
def test_wrong_examples_are_refused_in_one_line(tmp_path, toml, message):
    with pytest.raises(DataError) as error:
        load_with_shots(tmp_path, toml)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_examples_that_are_not_there_are_refused(tmp_path):
    with pytest.raises(DataError, match="cannot read shots"):
        load(write(tmp_path, "text,label\nx,a\ny,b\n"), shots=str(tmp_path / "gone.toml"))
