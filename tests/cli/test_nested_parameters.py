"""Parameters inside parameters and lists as parameters, from the command line and suites to records and boards."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conftest import TOY, Outcome, Workspace
from ecgbench.grid.selection import parse_selection
from ecgbench.plugins import load_plugins

NESTED = TOY.with_name("nested.py")
PLAIN = {"--dataset": "numbers", "--noise": "first_items", "--detectors": "signs"}
PARAMS = {"weights": {"place": 0.25}, "known_artifacts": ["<lbl_pos>", "<lbl_neg>"]}
TYPED = 'known_artifacts=["<lbl_pos>", "<lbl_neg>"],weights.place=0.25'


def run(workspace: Workspace, *arguments: str, **options: str) -> Outcome:
    base = [word for option in (PLAIN | options).items() for word in option]
    return workspace.cli("run", *base, *arguments, *workspace.options, "--plugin", str(NESTED))


def params_of(workspace: Workspace) -> list[object]:
    return [record.detector_params for record in workspace.records if record.detector == "signs"]


def test_brackets_options_and_a_suite_say_the_same_and_give_one_cell(workspace: Workspace, tmp_path: Path) -> None:
    suite = tmp_path / "numbers.toml"
    suite.write_text(
        'name = "numbers"\n[[datasets]]\nname = "numbers"\n[[noises]]\nname = "first_items"\n'
        '[[detectors]]\nname = "signs"\n'
        'params = { weights = { place = 0.25 }, known_artifacts = ["<lbl_pos>", "<lbl_neg>"] }\n'
    )
    first = run(workspace, **{"--detectors": f"signs[{TYPED}]"})
    assert first.code == 0, first.err
    assert params_of(workspace) == [PARAMS]
    options = ["--param", "signs.weights.place=0.25", "--param", 'signs.known_artifacts=["<lbl_pos>","<lbl_neg>"]']
    assert run(workspace, *options).code == 0
    assert workspace.cli("run", "--suite", str(suite), *workspace.options, "--plugin", str(NESTED)).code == 0
    assert params_of(workspace) == [PARAMS]  # nothing was left to compute
    assert "known: <lbl_pos>, <lbl_neg>" in first.out


def test_spellings_of_one_choice_are_one_column(workspace: Workspace) -> None:
    spellings = [
        "signs[weights.place=0.5]",
        "signs[weights={place=0.5}]",
        "signs[weights.length=1,weights.place=.5e0]",
        'signs[weights.place=0.50,weights.words=["x"]]',
    ]
    assert run(workspace, **{"--detectors": ",".join(spellings)}).code == 0
    assert params_of(workspace) == [{"weights": {"place": 0.5}}]


def test_the_default_of_the_parameter_counts_and_not_that_of_its_class(workspace: Workspace) -> None:
    assert run(workspace, **{"--detectors": "signs,signs[weights.place=0],signs[weights.length=1]"}).code == 0
    assert params_of(workspace) == [{}]


def test_a_param_is_set_inside_what_brackets_and_suites_gave(workspace: Workspace) -> None:
    given = {"--detectors": "signs[weights.place=0.25]"}
    assert run(workspace, "--param", "signs.weights.length=2", **given).code == 0
    assert params_of(workspace) == [{"weights": {"length": 2.0, "place": 0.25}}]


def test_the_board_names_a_column_as_one_types_it(workspace: Workspace) -> None:
    assert run(workspace, **{"--detectors": f"signs[{TYPED}]"}).code == 0
    board = workspace.board.read_text(encoding="utf-8").replace("\\", "")
    assert f"| signs[{TYPED}] " in board
    entry = load_plugins([NESTED]).detectors["signs"]
    read = parse_selection(f"signs[{TYPED}]")
    assert json.loads(json.dumps(entry.changed(read.params))) == params_of(workspace)[0]


def test_noise_models_and_datasets_take_them_too(workspace: Workspace) -> None:
    options = {"--noise": "first_items[shift.start=4]", "--dataset": "numbers[size.items=50]"}
    assert run(workspace, **options).code == 0
    assert run(workspace, "--param", "first_items.shift.start=4", "--param", "numbers.size.items=50").code == 0
    assert {(record.n, str(dict(record.noise_params))) for record in workspace.records} == {
        (50, "{'shift': {'start': 4}}")
    }
    assert len(params_of(workspace)) == 1
    assert "first_items[shift.start=4]" in workspace.board.read_text(encoding="utf-8").replace("\\", "")


def test_lists_reach_a_built_in_noise_model(workspace: Workspace) -> None:
    markers = '["[a, b]", "<c>"]'
    given = {"--noise": f"artifact_aligned[markers={markers}]", "--detectors": "random"}
    assert run(workspace, **given).code == 0
    options = ["--param", f"artifact_aligned.markers={markers}"]
    assert run(workspace, *options, **{"--noise": "artifact_aligned", "--detectors": "random"}).code == 0
    (record,) = [record for record in workspace.records if record.detector == "random"]
    assert dict(record.noise_params) == {"markers": ["[a, b]", "<c>"]}
    assert f"artifact_aligned[markers={markers}]" in workspace.board.read_text(encoding="utf-8").replace("\\", "")


@pytest.mark.parametrize(
    ("kind", "name", "shown"),
    [
        ("detectors", "signs", 'weights.length=1.0, weights.place=0.0, weights.words=["x"], known_artifacts=[]'),
        ("noises", "first_items", "shift.start=0"),
        ("datasets", "numbers", "size.items=40"),
    ],
)
def test_a_listing_shows_the_defaults_by_dotted_name(workspace: Workspace, kind: str, name: str, shown: str) -> None:
    rows = json.loads(workspace.cli(kind, "--json", "--plugin", str(NESTED)).out)
    assert [row["parameters"] for row in rows if row["name"] == name] == [shown]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"--detectors": "signs[weights.plac=1]"},
            "unknown parameter of signs 'weights.plac'. Did you mean: weights.pl",
        ),
        (
            {"--param": "signs.weights.plac=1"},
            "unknown parameter of signs 'weights.plac'. Did you mean: weights.place?",
        ),
        ({"--param": "sings.weights.place=1"}, "unknown name in --param 'sings'. Did you mean: signs?"),
        (
            {"--noise": "first_items[shift.strat=1]"},
            "unknown parameter of first_items 'shift.strat'. Did you mean: shi",
        ),
        ({"--dataset": "numbers[size.itms=1]"}, "unknown parameter of numbers 'size.itms'. Did you mean: size.items?"),
        ({"--detectors": "signs[weights.place=far]"}, "signs: parameter weights.place = 'far'"),
        ({"--detectors": "signs[weights=1]"}, "signs: parameter weights = 1"),
    ],
)
def test_a_wrong_name_or_value_inside_a_parameter_is_one_line(
    workspace: Workspace, arguments: dict[str, str], message: str
) -> None:
    done = run(workspace, **arguments)
    assert done.code == 2
    assert message in done.error
    assert done.out == ""
