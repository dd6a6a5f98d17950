"""ECG: its aggregations and parameters."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ecg_inputs import Inputs, as_probabilities, draw_graph, draw_inputs, draw_texts, permute
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ecgbench.artifacts.classifier import OutOfFoldProbs, TrainingDynamics
from ecgbench.artifacts.graph import Neighbours
from ecgbench.artifacts.llm import CalibratedLabels, ExplanationEmbeddings, Explanations, ReliabilityScores
from ecgbench.artifacts.nli import NliScores
from ecgbench.data import FloatArray
from ecgbench.engines.context import ComputeContext
from ecgbench.errors import UsageError
from ecgbench.grid.suite import load_suite
from ecgbench.plugins import load_plugins
from ecgbench_detectors.ecg.aggregate import SignalWeights, scaled_ranks
from ecgbench_detectors.ecg.detector import Ecg
from ecgbench_detectors.ecg.graph import ExplanationGraph, label_support, neighbourhood_surprise
from ecgbench_detectors.ecg.shortcuts import Shortcuts, log_odds
from ecgbench_detectors.ecg.signals import Dynamics


def planted(seed: int, *, n: int, marked: bool) -> tuple[Inputs, Any]:
    """Return inputs whose texts and doubts are `draw_texts`'s, and which labels are wrong."""
    texts, labels, doubts, is_wrong = draw_texts(np.random.default_rng(seed), n=n, n_classes=2, marked=marked)
    inputs = draw_inputs(seed, n=n)
    task = replace(inputs.task, texts=texts, labels=labels)
    artifacts = inputs.artifacts | {CalibratedLabels(): as_probabilities(doubts, labels, 2)}
    artifacts[Shortcuts()] = Shortcuts().compute(task, artifacts, ComputeContext(None))
    return Inputs(task, artifacts), is_wrong


def score(detector: Ecg, inputs: Inputs) -> FloatArray:
    return detector.score(inputs.task, inputs.artifacts, np.random.default_rng(0))


def test_ecg_beats_the_doubt_alone_where_a_shortcut_was_planted() -> None:
    from sklearn.metrics import roc_auc_score

    inputs, is_wrong = planted(5, n=600, marked=True)
    doubts = 1 - inputs.artifacts[CalibratedLabels()][np.arange(600), inputs.task.labels]
    assert roc_auc_score(is_wrong, score(Ecg(), inputs)) > roc_auc_score(is_wrong, doubts) + 0.05


def test_discovery_adds_log_odds_of_doubt_neighbours_classifier_and_shortcuts() -> None:
    inputs, _ = planted(4, n=600, marked=False)
    labels, artifacts, rows = inputs.task.labels, inputs.artifacts, np.arange(600)
    support = label_support(ExplanationGraph().posterior(inputs.task, artifacts), labels)
    doubts, classifier = (1 - artifacts[a][rows, labels] for a in (CalibratedLabels(), OutOfFoldProbs()))
    expected = log_odds(doubts) - 0.1 * log_odds(support) + 0.3 * log_odds(classifier)
    np.testing.assert_allclose(score(Ecg(graph_weight=0.1, classifier_weight=0.3), inputs), expected, atol=1e-9)


def test_where_a_shortcut_is_found_the_classifier_is_dropped_and_its_items_are_lifted() -> None:
    inputs, _ = planted(4, n=600, marked=True)
    fixed, without = Ecg(graph_weight=0, classifier_weight=0.5), Ecg(graph_weight=0, classifier_weight=0)
    np.testing.assert_allclose(score(fixed, inputs), score(without, inputs), atol=1e-9)
    assert "classifier not trusted: shortcuts cover" in "\n".join(fixed.findings(inputs.task, inputs.artifacts))
    wrong = 1 - inputs.artifacts[CalibratedLabels()][np.arange(600), inputs.task.labels]
    lifted = score(without, inputs) - log_odds(wrong)
    np.testing.assert_allclose(lifted, inputs.artifacts[Shortcuts()].signal, atol=1e-6)


def test_learned_weights_leave_out_what_predicts_no_label() -> None:
    inputs, is_wrong = planted(3, n=600, marked=False)
    truth = np.where(is_wrong, 1 - inputs.task.labels, inputs.task.labels)
    skilled = np.where(np.eye(2)[truth] > 0, 0.8, 0.2)
    for probabilities, expected in ((inputs.artifacts[OutOfFoldProbs()], False), (skilled, True)):
        artifacts = inputs.artifacts | {OutOfFoldProbs(): probabilities}
        *_, line = Ecg().findings(inputs.task, artifacts)
        weight = float(line.rpartition("classifier ")[2])
        assert (weight > 0.3) == expected, line


VARIANTS = [
    Ecg(),
    Ecg(second_view=True, mutual=True),
    Ecg(aggregation="fixed"),
    Ecg(aggregation="fixed", weights=SignalWeights(nli=0, dynamics=0)),
    Ecg(aggregation="adaptive", known_artifacts=("<lbl_pos>",)),
    Ecg(aggregation="adaptive", nli="off"),
    Ecg(aggregation="neighborhood", label_words=True),
    Ecg(aggregation="neighborhood", second_view=True),
]


@pytest.mark.parametrize("detector", VARIANTS)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_every_variant_reads_what_it_declares_and_follows_a_permutation(detector: Ecg, n_classes: int) -> None:
    inputs, order = draw_inputs(6, n_classes=n_classes), np.random.default_rng(6).permutation(40)
    declared = Inputs(inputs.task, {need: inputs.artifacts[need] for need in detector.needs()})
    found = score(detector, declared)
    assert (found.shape, found.dtype) == ((40,), np.float64)
    assert np.isfinite(found).all()
    assert len(set(found.tolist())) > 20
    np.testing.assert_allclose(score(detector, permute(inputs, order)), found[order], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("detector", VARIANTS)
def test_an_item_with_all_others_as_neighbours_and_no_explanation_at_all_are_scored(detector: Ecg) -> None:
    assert np.isfinite(score(detector, draw_inputs(7, n=16))).all()
    assert np.isfinite(score(detector, draw_inputs(7, n=16, failed=1.0))).all()


few_examples = settings(max_examples=15, deadline=None, derandomize=True)
seeds = st.integers(0, 2**32 - 1)
class_counts = st.sampled_from([2, 4])


@few_examples
@given(seeds, class_counts, st.integers(1, 15), st.sampled_from([1, 25]))
@example(2637, 4, 10, 25)  # a flat likelihood: a careless fit stops elsewhere
def test_discovery_follows_a_permutation_even_where_all_others_are_neighbours(
    seed: int, n_classes: int, k: int, n_beyond: int
) -> None:
    inputs = draw_inputs(seed, n=k + n_beyond, n_classes=n_classes, k=k)
    order = np.random.default_rng(seed).permutation(k + n_beyond)
    moved = permute(inputs, order)
    fixed, learned = Ecg(k=k, graph_weight=0.1, classifier_weight=0.3), Ecg(k=k)
    assert np.isfinite(score(fixed, inputs)).all()
    np.testing.assert_allclose(score(fixed, moved), score(fixed, inputs)[order], atol=1e-9)
    np.testing.assert_allclose(score(learned, moved), score(learned, inputs)[order], atol=1e-2)


@few_examples
@given(seeds, class_counts)
def test_neighbours_below_the_threshold_move_nothing(seed: int, n_classes: int) -> None:
    inputs = draw_inputs(seed, n_classes=n_classes)
    far = draw_graph(np.random.default_rng(seed), 40, 15, highest=0.34)
    apart = Inputs(inputs.task, inputs.artifacts | {Neighbours(ExplanationEmbeddings()): far})
    with_graph, without = (Ecg(graph_weight=weight, classifier_weight=0.3) for weight in (0.1, 0.0))
    np.testing.assert_allclose(score(with_graph, apart), score(without, apart), atol=1e-9)
    assert not np.allclose(score(with_graph, inputs), score(without, inputs), atol=1e-2)


@few_examples
@given(seeds, class_counts, st.sampled_from([0.0, 0.1, None]), st.sampled_from([0.3, 2.0, None]))
def test_a_constant_source_adds_nothing_to_the_ranking(
    seed: int, n_classes: int, graph_weight: float | None, classifier_weight: float | None
) -> None:
    inputs = draw_inputs(seed, n_classes=n_classes)
    constant = Inputs(inputs.task, inputs.artifacts | {OutOfFoldProbs(): np.full((40, n_classes), 1 / n_classes)})
    asked, spared = (Ecg(graph_weight=graph_weight, classifier_weight=w) for w in (classifier_weight, 0.0))
    np.testing.assert_allclose(score(asked, constant), score(spared, constant), atol=1e-3)


def test_neighborhood_aggregation_is_the_published_surprise_alone() -> None:
    inputs = draw_inputs(5, failed=0.0)
    posterior = ExplanationGraph().posterior(inputs.task, inputs.artifacts)
    found = score(Ecg(aggregation="neighborhood"), inputs)
    np.testing.assert_array_equal(found, neighbourhood_surprise(posterior, inputs.task.labels))


def test_one_signal_alone_ranks_as_that_signal() -> None:
    inputs = draw_inputs(8)
    only = SignalWeights(neighborhood=0, nli=0, artifact=0, stability=0, dynamics=0.2)
    found = score(Ecg(aggregation="fixed", weights=only), inputs)
    np.testing.assert_allclose(found, scaled_ranks(Dynamics().measure(inputs.task, inputs.artifacts).values))


@pytest.mark.parametrize("aggregation", ["fixed", "adaptive"])
def test_without_nli_is_with_its_weight_zero(aggregation: Any) -> None:
    inputs = draw_inputs(9)
    off, zero = Ecg(aggregation, nli="off"), Ecg(aggregation, weights=SignalWeights(nli=0))
    np.testing.assert_array_equal(score(off, inputs), score(zero, inputs))
    assert off.needs() == zero.needs()
    assert not np.array_equal(score(off, inputs), score(Ecg(aggregation), inputs))


def test_only_what_has_a_weight_is_asked_for() -> None:
    everything = set(Ecg(aggregation="fixed").needs())
    graph = Neighbours(ExplanationEmbeddings())
    assert everything == {graph, ReliabilityScores(), Explanations(), NliScores(), TrainingDynamics()}
    assert everything - set(Ecg(aggregation="fixed", weights=SignalWeights(nli=0)).needs()) == {NliScores()}
    assert NliScores(ensemble=False) in Ecg(aggregation="adaptive", nli="single").needs()
    assert set(Ecg(aggregation="neighborhood").needs()) == {graph, ReliabilityScores(), Explanations()}
    unstable = SignalWeights(neighborhood=0, nli=0, artifact=1, stability=0, dynamics=0)
    assert Ecg(aggregation="fixed", weights=unstable).needs() == (Explanations(),)
    assert NliScores() not in Ecg().needs()
    assert set(Ecg(graph_weight=0, classifier_weight=0).needs()) == {CalibratedLabels(), Shortcuts()}
    assert set(Ecg().needs()) == {CalibratedLabels(), Shortcuts(), graph, ReliabilityScores(), OutOfFoldProbs()}
    assert NliScores() not in Ecg(nli="off").inspection_needs()


def test_findings_say_what_the_signals_weigh() -> None:
    inputs = draw_inputs(1)
    found = {a: Ecg(aggregation=a).findings(inputs.task, inputs.artifacts) for a in ("fixed", "neighborhood")}  # type: ignore[arg-type]
    assert found["fixed"] == ["signals: neighborhood .30, nli .30, artifact .15, stability .15, dynamics .10"]
    assert found["neighborhood"] == ["signals: neighborhood 1.00"]
    (line,) = Ecg(aggregation="adaptive").findings(inputs.task, inputs.artifacts)
    assert line.startswith("signals by mean confidence: neighborhood .")


def test_findings_of_discovery_name_the_shortcuts() -> None:
    inputs, _ = planted(0, n=800, marked=True)
    *shortcuts, trust, weights = Ecg().findings(inputs.task, inputs.artifacts)
    assert {line.split()[1] for line in shortcuts if line.startswith("token ")} == {"<mark_0>", "<mark_1>"}
    assert trust.startswith("classifier not trusted: shortcuts cover")
    assert weights.startswith("weights in log-odds: language model 1.00, graph ")


def test_findings_of_discovery_name_no_shortcut_where_there_is_none() -> None:
    inputs, _ = planted(0, n=800, marked=False)
    found = Ecg().findings(inputs.task, inputs.artifacts)
    assert found
    assert not [line for line in found if line.startswith("token ")]


def test_parameters_inside_parameters_are_built_by_name() -> None:
    entry = load_plugins().detectors["ecg"]
    built = entry.build({"aggregation": "fixed", "weights": {"nli": 0}, "known_artifacts": ["<lbl_pos>"]})
    assert built == Ecg(aggregation="fixed", weights=SignalWeights(nli=0.0), known_artifacts=("<lbl_pos>",))
    with pytest.raises(UsageError, match=r"ecg\.weights\.nli is -1"):
        entry.build({"weights": {"nli": -1}})


def test_the_ablation_suite_is_made_of_valid_and_different_detectors() -> None:
    suite = load_suite(Path(__file__).parents[2] / "benchmarks" / "ablation.toml")
    assert suite.detectors != "all"
    built = [load_plugins().detectors[choice.name].build(choice.params) for choice in suite.detectors]
    assert len(set(built)) == len(built)


def test_nli_off_with_no_other_weight_is_refused() -> None:
    only = SignalWeights(neighborhood=0, artifact=0, stability=0, dynamics=0)
    with pytest.raises(UsageError, match="all 0 but that of nli, which is off"):
        Ecg(aggregation="fixed", nli="off", weights=only)


@pytest.mark.parametrize(
    "params", [{"k": 0}, {"fdr": 0.0}, {"fdr": 1.0}, {"graph_weight": -1.0}, {"classifier_weight": -1.0}]
)
def test_a_senseless_parameter_is_refused_before_anything_runs(params: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=f"ecg.{next(iter(params))} is"):
        Ecg(**params)
