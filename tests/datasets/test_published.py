"""SST-2, MultiNLI and any dataset of the hub or of a folder laid out like one."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from stand_in_hub import serve

from ecgbench.data import DetectionTask
from ecgbench.datasets import _source, multinli, sst2
from ecgbench.datasets.hub import HubDataset
from ecgbench.datasets.multinli import MultiNli
from ecgbench.datasets.sst2 import Sst2
from ecgbench.errors import DataError, UsageError
from ecgbench.profiles import get_profile
from ecgbench.prompts import label_prompt
from ecgbench.seeds import derive_rng
from ecgbench.specs import DatasetContext
from ecgbench_noise_models.artifact_aligned import ArtifactAlignedNoise

SENTENCES = ["a fine film ", "dull", "moving", "no good at all"]
PAIRS = [("It rained.", "It was wet.", 0), ("He ate.", "He ate soup.", 1), ("All slept.", "", 2), ("Bad row.", "?", -1)]


def write_parquet(path, columns, classes):
    """Write a file as `datasets` does, the names of the classes in its features."""
    from datasets import ClassLabel, Dataset, Features, Value

    kinds = {name: Value("string") for name in columns} | {"idx": Value("int32"), "label": ClassLabel(names=classes)}
    columns = columns | {"idx": list(range(len(columns["label"])))}
    path.parent.mkdir(parents=True, exist_ok=True)
    Dataset.from_dict(columns, features=Features({name: kinds[name] for name in columns})).to_parquet(str(path))
    return path


def write_sst2(path, sentences=SENTENCES, labels=(1, 0, 1, 0)):
    return write_parquet(path, {"sentence": list(sentences), "label": list(labels)}, ["negative", "positive"])


def write_multinli(path, pairs=PAIRS):
    premises, hypotheses, labels = map(list, zip(*pairs, strict=True))
    columns = {"premise": premises, "hypothesis": hypotheses, "label": labels}
    return write_parquet(path, columns, ["entailment", "neutral", "contradiction"])


@pytest.fixture
def sst2_folder(tmp_path):
    write_sst2(tmp_path / "sst2" / "train-00000-of-00001.parquet")
    write_sst2(tmp_path / "sst2" / "validation-00000-of-00001.parquet", ["poor", "rich"], [0, 1])
    return tmp_path / "sst2"


def load(dataset, folder=None, *, offline=True):
    return dataset.load(DatasetContext(folder, offline=offline))


def refusal(dataset, folder=None, *, offline=True):
    with pytest.raises(UsageError) as error:
        load(dataset, folder, offline=offline)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_sst2_is_read_from_a_folder_of_its_files(sst2_folder):
    data = load(Sst2(source=str(sst2_folder)))
    assert data.name == "sst2"
    assert data.texts == tuple(SENTENCES)
    assert data.labels.tolist() == data.given_labels.tolist() == [1, 0, 1, 0]
    assert data.description is sst2.DESCRIPTION


def test_another_split_is_another_dataset_by_name(sst2_folder):
    data = load(Sst2(source=str(sst2_folder), split="validation"))
    assert (data.name, data.texts) == ("sst2[split=validation]", ("poor", "rich"))


def test_several_files_of_a_split_are_read_in_the_order_of_their_names(tmp_path):
    write_sst2(tmp_path / "train-00001-of-00002.parquet", ["c"], [0])
    write_sst2(tmp_path / "train-00000-of-00002.parquet", ["a", "b"], [1, 0])
    assert load(Sst2(source=str(tmp_path))).texts == ("a", "b", "c")


@pytest.mark.parametrize("labels", [["1", "0"], ["positive", "negative"], [1, 0], [1.0, 0.0]])
def test_labels_may_be_names_or_numbers(tmp_path, labels):
    rows = [json.dumps({"sentence": text, "label": label}) for text, label in zip("ab", labels, strict=True)]
    (tmp_path / "train.jsonl").write_text("\n".join(rows))
    assert load(Sst2(source=str(tmp_path))).labels.tolist() == [1, 0]


def test_a_label_that_sst2_does_not_have_is_refused(tmp_path):
    (tmp_path / "train.csv").write_text("sentence,label\na,1\nb,2\n")
    assert "holds the label '2'; it may hold: negative, positive" in refusal(Sst2(source=str(tmp_path)))


def test_a_split_without_any_label_is_refused(tmp_path):
    write_sst2(tmp_path / "train.parquet", labels=[-1] * 4)
    assert "has no labels" in refusal(Sst2(source=str(tmp_path)))


def test_a_missing_column_is_named_with_those_there_are(tmp_path):
    (tmp_path / "train.csv").write_text("text,label\na,1\n")
    assert "has no column 'sentence'. Its columns: text, label" in refusal(Sst2(source=str(tmp_path)))


def test_multinli_makes_one_text_of_a_pair_and_leaves_out_rows_without_a_label(tmp_path):
    write_multinli(tmp_path / "train.parquet")
    data = load(MultiNli(source=str(tmp_path)))
    assert data.texts == (
        "Premise: It rained.\nHypothesis: It was wet.",
        "Premise: He ate.\nHypothesis: He ate soup.",
        "Premise: All slept.\nHypothesis: ",
    )
    assert data.labels.tolist() == [0, 1, 2]
    assert data.description.label_names == ("entailment", "neutral", "contradiction")


def test_the_prompt_shows_the_marker_of_a_pair_however_long_its_premise_is(tmp_path):
    write_multinli(tmp_path / "train.parquet", [("word " * 400, "He left at once.", i % 3) for i in range(30)])
    data = load(MultiNli(source=str(tmp_path)))
    noise = ArtifactAlignedNoise(markers=("<one>", "<two>", "<three>"))
    corruption = noise.corrupt(data, 0.5, derive_rng(0, "noise"))
    task = DetectionTask(corruption.texts, corruption.labels, data.description)
    settings = get_profile("embedded").llm
    prompts = [label_prompt(task.description, (), text, settings).suffix for text in task.texts]
    is_noisy = np.asarray(corruption.labels) != data.labels
    assert sum(is_noisy) == 15
    for prompt, noisy, label in zip(prompts, is_noisy, corruption.labels, strict=True):
        assert "Hypothesis: He left at once." in prompt
        assert (corruption.markers[label] in prompt) == noisy


@pytest.mark.parametrize("module", [sst2, multinli])
def test_worked_examples_fit_their_description(module):
    description = module.DESCRIPTION
    assert len(description.label_lines) == description.n_classes
    assert {shot.label for shot in description.shots} == set(description.label_names)
    for shot in description.shots:
        assert all(span in shot.text for span in shot.evidence)
        assert not any(name in shot.reason.lower().split() for name in description.label_names)


def test_any_folder_is_read_by_the_columns_that_are_named(sst2_folder):
    data = load(HubDataset(source=str(sst2_folder), text_column="sentence", task="mood"))
    assert data.name == "hf:sst2"
    assert data.texts == tuple(SENTENCES)
    assert data.description.label_names == ("negative", "positive")
    assert data.description.noun == "mood"


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_every_format_of_a_folder_gives_the_same_pairs(tmp_path, suffix):
    from datasets import Dataset

    columns = {"question": ["a", "b"], "the_answer": ["x", "y"], "label": ["01", "NA"], "gold": ["01", "01"]}
    table = Dataset.from_dict(columns)
    {".csv": table.to_csv, ".jsonl": table.to_json, ".parquet": table.to_parquet}[suffix](
        str(tmp_path / f"all{suffix}")
    )
    data = load(
        HubDataset(
            source=str(tmp_path), text_column="question", second_text_column="the_answer", true_label_column="gold"
        )
    )
    assert data.texts == ("Question: a\nThe answer: x", "Question: b\nThe answer: y")
    assert [data.description.label_names[label] for label in data.given_labels] == ["01", "NA"]
    assert [data.description.label_names[label] for label in data.labels] == ["01", "01"]


CARD = """---
configs:
- config_name: other
  data_files: other/*.parquet
- config_name: sst2
  data_files:
  - split: train
    path: sst2/train-*
---
"""


def test_a_folder_with_a_card_has_its_configurations(tmp_path):
    write_sst2(tmp_path / "sst2" / "train-0.parquet")
    write_sst2(tmp_path / "other" / "data.parquet", ["x", "y"], [0, 1])
    (tmp_path / "README.md").write_text(CARD)
    assert load(Sst2(source=f"{tmp_path}:sst2")).texts == tuple(SENTENCES)
    assert load(Sst2(source=f"{tmp_path}:other")).texts == ("x", "y")
    message = refusal(Sst2(source=f"{tmp_path}:third"))
    assert "third" in message
    assert "'other', 'sst2'" in message


def test_a_split_that_a_folder_does_not_have_lists_those_it_has(sst2_folder):
    message = refusal(HubDataset(source=str(sst2_folder), text_column="sentence", split="test"))
    assert "has no split 'test'; choose from: train, validation" in message


@pytest.mark.parametrize("source", ["./gone", "~/gone-too", "{folder}/gone"])
def test_a_folder_that_is_not_there_is_not_looked_for_on_the_hub(tmp_path, source):
    assert "is not a folder" in refusal(HubDataset(source=source.format(folder=tmp_path)), tmp_path, offline=False)


def test_a_file_is_no_folder(sst2_folder):
    message = refusal(Sst2(source=str(sst2_folder / "train-00000-of-00001.parquet")))
    assert "is not a folder" in message
    assert "file:PATH" in message


@pytest.mark.parametrize("source", ["a b", "owner/name/more", "{}"])
def test_what_no_dataset_can_be_called_is_refused(tmp_path, source):
    assert "neither a folder nor a name on the hub" in refusal(HubDataset(source=source), tmp_path)


def test_a_revision_of_a_folder_is_refused(sst2_folder):
    assert "revision 'v2' is for the hub" in refusal(Sst2(source=str(sst2_folder), revision="v2"))


def test_no_source_says_how_to_write_one():
    assert "hf:OWNER/NAME" in refusal(HubDataset())


def test_an_empty_folder_is_one_line(tmp_path):
    assert "cannot read split 'train'" in refusal(Sst2(source=str(tmp_path)))


def test_a_script_in_a_folder_is_refused_and_not_run(tmp_path):
    folder = tmp_path / "words"
    write_sst2(folder / "train.parquet")
    (folder / "words.py").write_text(f"open({str(tmp_path / 'canary')!r}, 'w')")
    assert "is a dataset script (words.py)" in refusal(Sst2(source=str(folder)))
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize(
    ("dataset", "local_form"),
    [
        (Sst2(), "--param sst2.source=FOLDER"),
        (MultiNli(), "--param multinli.source=FOLDER"),
        (HubDataset(source="owner/name"), "--dataset hf:./FOLDER"),
    ],
)
def test_offline_is_one_line_with_the_local_form_and_what_needs_no_hub(tmp_path, dataset, local_form):
    message = refusal(dataset, tmp_path)
    assert "fetching is off" in message
    assert local_form in message
    assert "movie_snippets" in message
    assert list(tmp_path.iterdir()) == []


LOAD = """
import sys
from ecgbench.datasets.hub import HubDataset
from ecgbench.errors import DataError
from ecgbench.specs import DatasetContext

source, folder, revision = sys.argv[1:4]
try:
    dataset = HubDataset(source=source, text_column="sentence", revision=revision or None)
    data = dataset.load(DatasetContext(folder))
    print(data.name, *data.texts, *data.description.label_names, sep="|")
except DataError as error:
    print(error)
"""


def fetch(tmp_path, address, source, *, revision="", **environment):
    """Load a dataset in a process of its own, since the hub's address is read once a process; return what it says."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    kept |= {"HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "hf"), "NO_PROXY": "127.0.0.1", **environment}
    command = [sys.executable, "-P", "-c", LOAD, source, str(tmp_path / "cache"), revision]
    return subprocess.run(command, env=kept, capture_output=True, text=True, check=True).stdout.strip()


def test_a_dataset_of_the_hub_is_fetched_once_and_then_read_without_the_hub(tmp_path, sst2_folder):
    train = (sst2_folder / "train-00000-of-00001.parquet").read_bytes()
    files = {"README.md": CARD.encode(), "sst2/train-0.parquet": train, "other/data.parquet": b"of no interest"}
    expected = "|".join(["hf:owner/words:sst2", *SENTENCES, "negative", "positive"])
    with serve("owner/words", files) as (address, asked):
        assert fetch(tmp_path, address, "owner/words:sst2") == expected
        assert any("sst2/train-0.parquet" in path for path in asked)
        assert not any("other/data.parquet" in path for path in asked)
    assert fetch(tmp_path, address, "owner/words:sst2") == expected  # nobody is there any more
    data = load(HubDataset(source="owner/words:sst2", text_column="sentence"), tmp_path / "cache")
    assert data.texts == tuple(SENTENCES)
    left = [path.name for path in (tmp_path / "cache").rglob("*") if path.is_file() and path.suffix != ".lock"]
    assert left == ["sst2-train.parquet"]


def test_a_revision_is_asked_for_and_kept_beside_the_others(tmp_path, sst2_folder):
    files = {"train.parquet": (sst2_folder / "train-00000-of-00001.parquet").read_bytes()}
    with serve("owner/words", files) as (address, asked):
        said = fetch(tmp_path, address, "owner/words", revision="v2")
    assert said.startswith("hf:owner/words[revision=v2]|")
    assert any(path.endswith("/api/datasets/owner/words/revision/v2") for path in asked)
    with pytest.raises(DataError, match="fetching is off"):
        load(HubDataset(source="owner/words", text_column="sentence"), tmp_path / "cache")


def test_a_script_on_the_hub_is_neither_fetched_nor_run(tmp_path):
    canary = tmp_path / "canary"
    with serve("owner/words", {"words.py": f"open({str(canary)!r}, 'w')".encode()}) as (address, asked):
        said = fetch(tmp_path, address, "owner/words")
    assert "is a script (words.py)" in said
    assert "refs/convert/parquet" in said
    assert not any(".py" in path for path in asked)
    assert not canary.exists()


def test_what_the_hub_does_not_have_is_one_line(tmp_path, sst2_folder):
    files = {"train.parquet": (sst2_folder / "train-00000-of-00001.parquet").read_bytes()}
    with serve("owner/words", files) as (address, _):
        assert "dataset owner/others is not on the hub" in fetch(tmp_path, address, "owner/others")
        said = fetch(tmp_path, address, "owner/words:third")
        assert "cannot read split 'train' of owner/words:third" in said
        assert "default" in said


@pytest.mark.parametrize(
    ("environment", "reason"), [({}, "ConnectError"), ({"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE is set")]
)
def test_no_hub_is_one_line_with_the_ways_out_and_leaves_nothing_behind(tmp_path, environment, reason):
    said = fetch(tmp_path, "http://127.0.0.1:9", "owner/words", **environment)
    assert "\n" not in said
    assert "cannot be fetched from the hub" in said
    assert reason in said
    assert "--dataset hf:./FOLDER" in said
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file() and path.suffix != ".lock"] == []


def test_the_hub_is_asked_with_a_time_limit(tmp_path, monkeypatch):
    from huggingface_hub import HfApi

    limits = []

    def answer(self, name, *, revision, timeout):  # noqa: ARG001
        limits.append(timeout)
        raise TimeoutError("no answer")

    monkeypatch.setattr(HfApi, "dataset_info", answer)
    assert "TimeoutError: no answer" in refusal(Sst2(), tmp_path, offline=False)
    assert limits == [_source.HUB_SECONDS]
