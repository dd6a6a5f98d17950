"""Prompts are rendered from a description alone, and only usable replies become explanations."""

from dataclasses import replace

import pytest

from ecgbench.data import Shot, TaskDescription
from ecgbench.profiles import LlmSettings
from ecgbench.prompts import (
    cut_words,
    explanation_prompt,
    label_prompt,
    mask_label_names,
    nli_answers,
    nli_prompt,
    parse_reply,
    render_hypothesis,
)

SETTINGS = LlmSettings(model="none", text_words=8, shot_words=6)
SHOTS = (
    Shot("it rained\nall day", "wet", ("rained",), "Water fell."),
    Shot("sun and blue sky", "dry", ("sun", "blue sky"), "No clouds."),
)
WEATHER = TaskDescription(
    noun="weather of the report",
    label_names=("wet", "dry"),
    label_lines=("water falls", "no water falls"),
    text_heading="Report",
    label_heading="Weather",
    shots=SHOTS,
)


def test_label_prompt_ends_where_the_label_begins():
    prompt = label_prompt(WEATHER, SHOTS, "a grey\n  morning", SETTINGS)
    assert prompt.suffix == "Report: a grey morning\nWeather:"


def test_prefix_holds_header_and_examples_in_order():
    assert label_prompt(WEATHER, SHOTS, "x", SETTINGS).prefix == (
        "The weather of the report is one of: wet, dry.\nwet: water falls.\ndry: no water falls.\n\n"
        'Report: it rained all day\nWeather: wet\nEvidence: "rained"\nReason: Water fell.\n\n'
        'Report: sun and blue sky\nWeather: dry\nEvidence: "sun" | "blue sky"\nReason: No clouds.\n\n'
    )


def test_explanation_prompt_continues_the_label_prompt():
    label = label_prompt(WEATHER, SHOTS, "fog", SETTINGS)
    asked = explanation_prompt(WEATHER, SHOTS, "fog", SETTINGS, label="dry")
    assert (asked.prefix, asked.suffix) == (label.prefix, f"{label.suffix} dry\nEvidence:")


def test_cut_keeps_both_ends_so_that_an_appended_marker_is_seen():
    text = " ".join([*map(str, range(100)), "<lbl_wet>"])
    assert cut_words(text, 8) == "0 1 2 3 4 5 ... 99 <lbl_wet>"


def test_cut_leaves_a_text_of_just_the_limit_whole():
    assert cut_words("a b\tc\n d", 4) == "a b c d"


def read(reply, text="The  Sky was BLUE all day."):
    return parse_reply(reply, text, label="dry", label_names=("wet", "dry"))


def test_evidence_becomes_the_exact_substring_of_the_text():
    explanation = read(' "the sky" | "blue"\nReason: No clouds.')
    assert explanation is not None
    assert explanation.evidence == ("The  Sky", "BLUE")
    assert (explanation.label, explanation.rationale) == ("dry", "No clouds.")


def test_invented_spans_are_left_out_and_repeated_ones_counted_once():
    explanation = read(' "rain" | "blue" | "Blue"\nReason: No clouds.')
    assert explanation is not None
    assert explanation.evidence == ("BLUE",)


def test_a_paraphrased_span_gives_the_part_that_stands_in_the_text():
    explanation = read(' "a sky was blue" | "rain all week long"\nReason: No clouds.')
    assert explanation is not None
    assert explanation.evidence == ("Sky was BLUE",)


def test_at_most_three_spans_are_kept():
    explanation = read(' "The" | "Sky" | "was" | "day"\nReason: No clouds.')
    assert explanation is not None
    assert explanation.evidence == ("The", "Sky", "was")


@pytest.mark.parametrize(
    "reply",
    [
        "",
        ' "rain"\nReason: No clouds.',
        ' "blue"',
        ' "blue"\nReason:',
        ' "blue"\nReason: Dry, dry!',
        ' "."\nReason: No clouds.',
        "\nReason: No clouds.",
    ],
)
def test_unusable_reply_is_none(reply):
    assert read(reply) is None


def test_label_words_are_taken_out_of_the_rationale():
    explanation = read(' "blue"\nReason: It is a DRY, drying day.')
    assert explanation is not None
    assert explanation.rationale == "It is a , drying day."


def test_rationale_is_cut_at_25_words_and_one_line():
    explanation = read(' "blue"\nReason: ' + "word " * 40 + "\nmore")
    assert explanation is not None
    assert explanation.rationale.split() == ["word"] * 25


def test_nli_prompt_ends_where_the_hypothesis_tells():
    prompt = nli_prompt(WEATHER, SHOTS, "Evidence: fog | Rationale: It is damp.")
    assert prompt.suffix == "Evidence: fog | Rationale: It is damp.\nThe weather of the report is"
    assert render_hypothesis(WEATHER, "dry") == "The weather of the report is dry."


def test_nli_examples_are_the_shots_explanations_and_premises_that_tell_nothing():
    prefix = nli_prompt(WEATHER, SHOTS, "x").prefix
    blocks = prefix.split("\n\n")
    assert [block.rpartition(" ")[2] for block in blocks[:-1]] == ["unclear", "wet", "unclear", "dry"]
    assert blocks[-2] == "Evidence: sun; blue sky | Rationale: No clouds.\nThe weather of the report is dry"
    assert blocks[-1] == ""


def test_the_undecided_answer_is_no_label():
    assert nli_answers(WEATHER) == ("wet", "dry", "unclear")
    air = replace(WEATHER, label_names=("clear", "Unclear"))
    assert nli_answers(air) == ("clear", "Unclear", "unknown")
    assert " unknown\n\n" in nli_prompt(air, (), "x").prefix


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Stocks fell. <lbl_sports>", "Stocks fell. <lbl____>"),
        ("Filed under: Sports", "Filed under: ___"),
        ("a very_good or VERY good day", "a ___ or ___ day"),
        ("sportsmanship and goodness", "sportsmanship and goodness"),
        ("good", "___"),
    ],
)
def test_a_label_that_is_written_in_the_text_is_not_shown(text: str, shown: str) -> None:
    names = ("sports", "good", "very good")
    assert mask_label_names(text, names) == shown
    description = TaskDescription(noun="kind", label_names=names)
    asked = label_prompt(description, (Shot(text, "good", (), ""),), text, SETTINGS)
    assert f"Text: {shown}\n" in asked.suffix
    assert f"Text: {shown}\nLabel: good\n" in asked.prefix
