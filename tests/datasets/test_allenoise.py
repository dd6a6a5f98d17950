import pytest

from ecgbench.datasets.allenoise import AlleNoise
from ecgbench.errors import UsageError
from ecgbench.specs import DatasetContext

# As it is published: a .csv by name, with tabs between its columns.
PUBLISHED = (
    "offer_id\ttext\tclean_category_id\tnoisy_category_id\n1\tmug, blue\t10\t10\n2\tlamp\t20\t10\n3\tcup\t10\t10\n"
)


def write(tmp_path, content, name="gold.csv"):
    path = tmp_path / name
    path.write_text(content)
    return str(path)


def load(**parameters):
    return AlleNoise(**parameters).load(DatasetContext(None))


def refusal(**parameters):
    with pytest.raises(UsageError) as error:
        load(**parameters)
    assert "\n" not in str(error.value)
    return str(error.value)


def shown(data):
    """Return text, gold and noisy name of each row."""
    names = data.description.label_names
    return [
        (text, names[gold], names[noisy])
        for text, gold, noisy in zip(data.texts, data.labels, data.given_labels, strict=True)
    ]


def test_the_published_file_is_read_as_it_is(tmp_path):
    data = load(gold=write(tmp_path, PUBLISHED, "full_dataset.csv"))
    assert data.name == "allenoise:full_dataset.csv"
    assert shown(data) == [("mug, blue", "10", "10"), ("lamp", "20", "10"), ("cup", "10", "10")]


def test_ids_get_the_names_of_the_mapping(tmp_path):
    mapping = write(
        tmp_path, "category_label\tcategory_name\n10\tHome > Cups\n20\tHome > Lamps\n30\tGarden\n", "map.csv"
    )
    data = load(gold=write(tmp_path, PUBLISHED), names=mapping)
    assert data.description.label_names == ("Home > Cups", "Home > Lamps")
    assert shown(data)[1] == ("lamp", "Home > Lamps", "Home > Cups")


def test_a_mapping_without_a_label_or_with_one_name_for_two_is_refused(tmp_path):
    gold = write(tmp_path, PUBLISHED)
    short = write(tmp_path, "category_label,category_name\n10,Cups\n", "short.csv")
    assert "has no name for the label '20'" in refusal(gold=gold, names=short)
    same = write(tmp_path, "category_label,category_name\n10,Cups\n20,Cups\n", "same.csv")
    assert "gives the name 'Cups' to more than one label" in refusal(gold=gold, names=same)


GOLD = "id,text,clean_category_id\n1,mug,a\n2,lamp,b\n3,cup,a\n"


def test_two_files_of_the_same_rows_are_read_side_by_side(tmp_path):
    noisy = write(tmp_path, "text,noisy_category_id\nmug,a\nlamp,a\ncup,c\n", "noisy.csv")
    data = load(gold=write(tmp_path, GOLD), noisy=noisy)
    assert shown(data) == [("mug", "a", "a"), ("lamp", "b", "a"), ("cup", "a", "c")]


def test_two_files_are_joined_by_id_in_the_order_of_the_first(tmp_path):
    noisy = write(tmp_path, '{"id": 3, "y": "c"}\n{"id": 1, "y": "a"}\n{"id": 2, "y": "b"}\n', "noisy.jsonl")
    data = load(gold=write(tmp_path, GOLD), noisy=noisy, noisy_column="y", id_column="id")
    assert shown(data) == [("mug", "a", "a"), ("lamp", "b", "b"), ("cup", "a", "c")]


def test_both_files_may_call_their_labels_alike(tmp_path):
    gold = write(tmp_path, "text,label\nx,a\ny,b\n")
    noisy = write(tmp_path, "text,label\nx,b\ny,b\n", "noisy.csv")
    data = load(gold=gold, noisy=noisy, gold_column="label", noisy_column="label")
    assert shown(data) == [("x", "a", "b"), ("y", "b", "b")]
    assert "name two columns" in refusal(gold=gold, gold_column="label", noisy_column="label")


@pytest.mark.parametrize(
    ("noisy", "by_id", "message"),
    [
        ("text,noisy_category_id\nmug,a\nlamp,a\n", False, "has 3 rows and"),
        ("text,noisy_category_id\nmug,a\ncup,c\nlamp,a\n", False, "row 2 of"),
        ("id,noisy_category_id\n1,a\n2,b\n3,a\n", False, "has no column 'text'"),
        ("text,noisy_category_id\nmug,a\nlamp,a\ncup,\n", False, "1 row has no label"),
        ("id,noisy_category_id\n1,a\n2,b\n", True, "1 of the id of"),
        ("id,noisy_category_id\n1,a\n2,b\n3,a\n4,a\n", True, "(first: '4')"),
        ("id,noisy_category_id\n1,a\n2,b\n2,a\n3,a\n", True, "has the id '2' more than once"),
        ("id,text,noisy_category_id\n3,cup,a\n2,lamp,b\n1,MUG,a\n", True, "row 1 of"),
    ],
)
def test_files_of_unlike_rows_are_refused_in_one_line(tmp_path, noisy, by_id, message):
    parameters = {"id_column": "id"} if by_id else {}
    said = refusal(gold=write(tmp_path, GOLD), noisy=write(tmp_path, noisy, "noisy.csv"), **parameters)
    assert message in said
    assert "noisy.csv" in said


def test_the_most_frequent_classes_can_be_kept(tmp_path):
    rows = [("t1", "a", "a"), ("t2", "a", "b"), ("t3", "b", "b"), ("t4", "b", "c"), ("t5", "c", "a"), ("t6", "a", "z")]
    content = "text,clean_category_id,noisy_category_id\n" + "".join(",".join(row) + "\n" for row in rows)
    gold = write(tmp_path, content)
    data = load(gold=gold, classes=2)
    assert data.name == "allenoise:gold.csv[classes=2]"
    assert shown(data) == rows[:3]
    assert load(gold=gold).description.label_names == ("a", "b", "c", "z")


@pytest.mark.parametrize("classes", [0, 1])
def test_fewer_than_two_classes_are_refused(classes):
    with pytest.raises(UsageError, match="give at least 2"):
        AlleNoise(classes=classes)


def test_more_classes_than_a_file_may_have_are_read(tmp_path):
    rows = "".join(f"t{i},{i},{i}\n" for i in range(300))
    assert load(gold=write(tmp_path, f"text,clean_category_id,noisy_category_id\n{rows}")).description.n_classes == 300


def test_no_path_says_how_to_write_one():
    assert "allenoise:PATH" in refusal()
