"""Prompts are rendered from a description alone, and only usable replies become explanations."""

import json
from dataclasses import replace

import pytest

from ecgbench.data import Shot, TaskDescription
from ecgbench.errors import UsageError
from ecgbench.profiles import LlmSettings
from ecgbench.prompts import (
    Explanation,
    cut_words,
    explanation_prompt,
    explanation_schema,
    label_prompt,
    mask_label_names,
    nli_answers,
    nli_prompt,
    parse_json_reply,
    parse_reply,
    parse_stated,
    render_hypothesis,
    stated_schema,
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


def test_a_text_without_spaces_is_cut_by_characters_and_keeps_both_ends():
    shown = cut_words("起" + "苹" * 500 + "终", 8)
    assert (len(shown), shown[0], shown[-1]) == (8 * 16 + 5, "起", "终")
    assert " ... " in shown


def test_long_words_among_usual_ones_are_left_whole():
    text = "see https://example.org/a/rather/long/address/of/a/page.html for what it says"
    assert cut_words(text, 8) == text


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
    prompt = nli_prompt(WEATHER, SHOTS, "Evidence: fog | Rationale: It is damp.", SETTINGS)
    assert prompt.suffix == "Evidence: fog | Rationale: It is damp.\nThe weather of the report is"
    assert render_hypothesis(WEATHER, "dry") == "The weather of the report is dry."


def test_nli_examples_are_the_shots_explanations_and_premises_that_tell_nothing():
    prefix = nli_prompt(WEATHER, SHOTS, "x", SETTINGS).prefix
    blocks = prefix.split("\n\n")
    assert [block.rpartition(" ")[2] for block in blocks[:-1]] == ["unclear", "wet", "unclear", "dry"]
    assert blocks[-2] == "Evidence: sun; blue sky | Rationale: No clouds.\nThe weather of the report is dry"
    assert blocks[-1] == ""


def test_the_undecided_answer_is_no_label():
    assert nli_answers(WEATHER) == ("wet", "dry", "unclear")
    air = replace(WEATHER, label_names=("clear", "Unclear"))
    assert nli_answers(air) == ("clear", "Unclear", "unknown")
    assert " unknown\n\n" in nli_prompt(air, (), "x", SETTINGS).prefix


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


CHAT = replace(SETTINGS, style="chat")
STATED = replace(CHAT, label_answers="stated")


def test_a_chat_asks_for_a_label_name_only_with_the_instruction_first_and_the_text_last():
    prompt = label_prompt(WEATHER, SHOTS, "a grey\n  dry morning", CHAT)
    assert prompt.chat
    assert prompt.prefix == (
        "Decide the weather of the report below. It is one of: wet, dry. Reply with that label only.\n"
        "wet: water falls.\ndry: no water falls.\n\nReport:"
    )
    assert prompt.suffix == " a grey ___ morning"


def test_a_chat_shows_no_worked_examples_so_that_its_answers_follow_from_the_text_alone():
    for ask in (label_prompt, lambda *given: explanation_prompt(*given, label="dry")):
        assert ask(WEATHER, SHOTS, "fog", CHAT) == ask(WEATHER, (), "fog", CHAT)


def test_a_chat_does_not_name_the_label_to_explain_for_its_schema_does():
    asked = {explanation_prompt(WEATHER, (), "fog", CHAT, label=label) for label in WEATHER.label_names}
    assert len(asked) == 1
    schema = json.loads(explanation_schema("dry", counterfactual=True))
    assert schema["properties"]["label"] == {"enum": ["dry"]}
    assert list(schema["properties"]) == schema["required"]
    assert schema["required"] == ["label", "evidence", "rationale", "counterfactual", "confidence"]


def test_a_counterfactual_is_asked_for_in_words_and_schema_or_not_at_all():
    without = replace(CHAT, counterfactual=False)
    asked = [explanation_prompt(WEATHER, (), "fog", settings, label="dry").prefix for settings in (CHAT, without)]
    assert ['"counterfactual"' in prefix for prefix in asked] == [True, False]
    assert "counterfactual" not in explanation_schema("dry", counterfactual=False)


def test_a_chat_is_asked_how_the_hypothesis_ends_on_an_explanation():
    prompt = nli_prompt(WEATHER, SHOTS, "Evidence: fog | Rationale: It is damp.", CHAT)
    assert prompt.chat
    assert '"The weather of the report is ___."' in prompt.prefix
    assert "one of: wet, dry; or unclear where" in prompt.prefix
    assert prompt.suffix == " Evidence: fog | Rationale: It is damp."


def test_stated_answers_are_asked_of_instruct_models_alone():
    assert 'the fields "label" and "confidence"' in label_prompt(WEATHER, (), "fog", STATED).prefix
    for ask in (label_prompt, nli_prompt):
        arguments = (WEATHER, (), "fog", replace(SETTINGS, label_answers="stated"))
        with pytest.raises(UsageError, match=r"--set profile\.llm\.style=chat"):
            ask(*arguments)


JSON_REPLY = {
    "label": "dry",
    "evidence": ["the sky", "hail", "BLUE"],
    "rationale": "A dry sky has no clouds.",
    "counterfactual": "Wet streets are seen.",
    "confidence": 85,
}


def read_json(text="The  Sky was BLUE all day.", **changed):
    reply = json.dumps({**JSON_REPLY, **changed})
    return parse_json_reply(reply, text, label="dry", label_names=("wet", "dry"))


def test_a_json_reply_is_held_to_the_text_and_freed_of_label_words():
    assert read_json() == Explanation("dry", ("The  Sky", "BLUE"), "A sky has no clouds.", "streets are seen.", 85)


def test_a_json_reply_need_not_hold_what_was_not_asked_for():
    reply = json.dumps({name: JSON_REPLY[name] for name in ("label", "evidence", "rationale")})
    found = parse_json_reply(reply, "blue", label="dry", label_names=("wet", "dry"))
    assert found == Explanation("dry", ("blue",), "A sky has no clouds.")
    assert found is not None
    assert list(found.as_fields()) == ["label", "evidence", "rationale"]


def test_a_control_character_that_a_grammar_lets_through_is_no_fault():
    reply = json.dumps(JSON_REPLY).replace("no clouds", "no\x1d clouds")
    assert parse_json_reply(reply, "blue", label="dry", label_names=()) is not None


@pytest.mark.parametrize(
    "changed",
    [
        {"label": "wet"},
        {"evidence": ["hail"]},
        {"evidence": "the sky"},
        {"evidence": []},
        {"rationale": "Dry, dry!"},
        {"rationale": None},
        {"confidence": 101},
    ],
)
def test_an_unusable_json_reply_is_none(changed):
    assert read_json(**changed) is None


@pytest.mark.parametrize("reply", ["", "dry", '{"label": "dry", "evidence": ["sky"], "rationale": "No clo', "[1]"])
def test_what_is_no_whole_json_object_is_none(reply):
    assert parse_json_reply(reply, "sky", label="dry", label_names=()) is None
    assert parse_stated(reply, ("wet", "dry")) is None


def stated(label: str, confidence: object) -> list[float] | None:
    return parse_stated(json.dumps({"label": label, "confidence": confidence}), ("wet", "dry", "mixed"))


def test_a_stated_confidence_is_the_labels_probability_and_the_others_share_the_rest():
    assert stated("dry", 80) == pytest.approx([0.1, 0.8, 0.1])
    assert stated("wet", 100) == pytest.approx([0.99, 0.005, 0.005])
    assert stated("wet", 0) == pytest.approx([0.01, 0.495, 0.495])


@pytest.mark.parametrize("answer", [("sunny", 80), ("dry", 101), ("dry", "very")])
def test_a_stated_answer_that_is_none_of_the_labels_or_no_confidence_is_none(answer):
    assert stated(*answer) is None


def test_the_schema_of_a_stated_label_admits_these_labels_alone():
    schema = json.loads(stated_schema(("wet", "dry")))
    assert schema["properties"]["label"] == {"enum": ["wet", "dry"]}
    assert schema["required"] == ["label", "confidence"]


HALF = "\\ud83d"


@pytest.mark.parametrize("field", ["evidence", "rationale", "counterfactual", "other"])
def test_a_reply_with_half_a_character_is_not_valid(field):
    fields = {"label": "dry", "evidence": ["sky"], "rationale": "No clouds.", "counterfactual": "", "other": ""}
    assert parse_json_reply(json.dumps(fields), "The sky", label="dry", label_names=("wet", "dry")) is not None
    said = json.dumps({**fields, field: ["sky"] if field == "evidence" else "cut HALF"}).replace("HALF", HALF)
    said = said.replace('["sky"]', f'["sky", "{HALF}"]') if field == "evidence" else said
    assert parse_json_reply(said, "The sky", label="dry", label_names=("wet", "dry")) is None


def test_half_a_character_in_a_stated_label_or_a_continued_text_is_not_valid():
    assert parse_stated(f'{{"label": "dry", "confidence": 90, "why": "{HALF}"}}', ("wet", "dry")) is None
    assert read(' "sky"\nReason: No clouds \ud83d.') is None


def test_a_reply_nested_without_end_is_not_valid():
    assert parse_stated("[" * 100_000, ("wet", "dry")) is None
