"""`ecgbench explain`: what the language model says of texts of one's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ecgbench.cli import options as opt

if TYPE_CHECKING:
    from ecgbench.grid.explain import ExplainedText
    from ecgbench.prompts import Explanation

NOT_VALID = "no valid explanation after two replies"

Texts = Annotated[
    list[str] | None,
    typer.Argument(metavar="TEXT", help="Texts; '-' or none: one a line from standard input."),
]
Calibration = Annotated[
    int,
    typer.Option("--calibration", help="Items of the dataset that the label prior is estimated on, with the texts."),
]


def explain(
    texts: Texts = None,
    profile: opt.ProfileName = None,
    dataset: opt.DatasetNames = None,
    calibration: Calibration = 64,
    text_column: opt.TextColumn = None,
    label_column: opt.LabelColumn = None,
    true_label_column: opt.TrueLabelColumn = None,
    task: opt.TaskNoun = None,
    shots: opt.Shots = None,
    cache: opt.CacheFolder = None,
    plugin: opt.PluginFiles = None,
    offline: opt.Offline = False,
    json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Show label, evidence, rationale, samples and reliability of texts, as the language model gives them.

    The dataset tells what the labels mean. A text that begins with a dash goes after `--`.
    """
    from ecgbench.cli.reporter import make_reporter
    from ecgbench.cli.stdout import plugins_print_to_stderr
    from ecgbench.errors import UsageError
    from ecgbench.grid.explain import check_texts, explain_texts, load_calibration
    from ecgbench.profiles import get_profile

    if debug:
        opt.start_log(debug=True)
    columns = opt.given(
        text_column=text_column, label_column=label_column, true_label_column=true_label_column, task=task, shots=shots
    )
    plugins = opt.load_plugins_or_warn(plugin)
    suite = opt.GridOptions(profile=profile, dataset=dataset, dataset_params=columns).build(plugins)
    if len(suite.datasets) > 1:
        raise UsageError(f"--dataset {dataset}: explain takes one dataset, whose task the texts belong to")
    chosen = get_profile(suite.profile)
    wanted = check_texts(list(_iter_texts(texts or ["-"])))
    store = opt.open_cache(cache)
    with make_reporter(quiet=quiet) as reporter, plugins_print_to_stderr():
        data = load_calibration(suite.datasets[0], calibration, plugins, store, offline=offline, reporter=reporter)
        explained = explain_texts(wanted, data, chosen, plugins=plugins, cache=store, reporter=reporter)
    _print(explained, as_json=json)


def _iter_texts(texts: Sequence[str]) -> Iterator[str]:
    """Yield the texts, for `-` the lines of standard input."""
    for text in texts:
        if text == "-":
            yield from _iter_lines()
        else:
            yield text


def _iter_lines() -> Iterator[str]:
    import sys

    if sys.stdin.isatty():
        typer.echo("texts, one a line; Ctrl-D ends them:", err=True)
    # What is not UTF-8 becomes a surrogate, which is refused with the other texts that cannot be read.
    for line in sys.stdin.buffer.read().removeprefix(b"\xef\xbb\xbf").splitlines():
        yield line.decode("utf-8", "surrogateescape")


def _print(explained: Sequence[ExplainedText], *, as_json: bool) -> None:
    if as_json:
        typer.echo(opt.to_json([_as_json(item) for item in explained]))
        return
    from ecgbench.cli.printable import to_printable

    for item in explained:
        for number, line in enumerate(_lines(item)):
            typer.echo(f"{'  ' if number else ''}{to_printable(line)}")


def _lines(item: ExplainedText) -> Iterator[str]:
    yield f"text: {item.text}"
    yield f"label: {item.label} (probability {item.probability:.2f})"
    if item.explanation is None:
        yield f"explanation: {NOT_VALID}"
    else:
        yield f"evidence: {_spans(item.explanation)}"
        yield f"rationale: {item.explanation.rationale}"
        if item.explanation.counterfactual:
            yield f"counterfactual: {item.explanation.counterfactual}"
        if item.explanation.confidence is not None:
            yield f"confidence: {item.explanation.confidence} of 100"
    for number, sample in enumerate(item.samples, 1):
        shown = NOT_VALID if sample is None else f"{sample.label}; {_spans(sample)}; {sample.rationale}"
        yield f"sample {number}: {shown}"
    if item.reliability is None:
        yield "reliability: unknown, fewer than two explanations are valid"
    else:
        parts = item.reliability
        yield (
            f"reliability: {parts.rho:.2f} (labels {parts.label_agreement:.2f}, "
            f"evidence {parts.evidence_jaccard:.2f}, rationales {parts.rationale_cosine:.2f})"
        )


def _spans(explanation: Explanation) -> str:
    return " | ".join(f'"{span}"' for span in explanation.evidence)


def _as_json(item: ExplainedText) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "text": item.text,
        "label": item.label,
        "probability": item.probability,
        "probabilities": dict(zip(item.label_names, item.probabilities, strict=True)),
        "explanation": item.explanation and item.explanation.as_fields(),
        "samples": [sample and sample.as_fields() for sample in item.samples],
        "reliability": item.reliability and asdict(item.reliability),
    }
