"""Register the built-in detectors, through the same hook as anyone's."""

from __future__ import annotations

from ecgbench.hookspecs import hookimpl
from ecgbench.specs import DetectorSpec

SPECS = (
    DetectorSpec(
        "ecg",
        "ecgbench_detectors.ecg.detector:Ecg",
        "labels that the explanation, its neighbours or a shortcut in the text speak against",
    ),
    DetectorSpec(
        "cleanlab",
        "ecgbench_detectors.cleanlab:Cleanlab",
        "low label quality by cleanlab on out-of-fold probabilities",
        requires=("cleanlab",),
    ),
    DetectorSpec(
        "confident_learning",
        "ecgbench_detectors.confident_learning:ConfidentLearning",
        "flagged by cleanlab's confident learning, then low out-of-fold confidence",
        requires=("cleanlab",),
    ),
    DetectorSpec("loss", "ecgbench_detectors.loss:Loss", "high out-of-fold cross-entropy of the given label"),
    DetectorSpec("margin", "ecgbench_detectors.margin:Margin", "another class is likelier out of fold"),
    DetectorSpec(
        "entropy", "ecgbench_detectors.entropy:Entropy", "out-of-fold uncertainty, no label read: the control"
    ),
    DetectorSpec("aum", "ecgbench_detectors.aum:Aum", "the label's logit led by little while training"),
    DetectorSpec("cartography", "ecgbench_detectors.cartography:Cartography", "the label was unlikely while training"),
    DetectorSpec("ctrl", "ecgbench_detectors.ctrl:Ctrl", "the loss curve lies in its class's high cluster"),
    DetectorSpec(
        "tracin_last_layer",
        "ecgbench_detectors.tracin_last_layer:TracinLastLayer",
        "the item pulls hard at the trained classifier's head",
    ),
    DetectorSpec(
        "llm_mismatch", "ecgbench_detectors.llm_mismatch:LlmMismatch", "the language model finds the label unlikely"
    ),
    DetectorSpec("input_knn", "ecgbench_detectors.input_knn:InputKnn", "the nearest texts carry other labels"),
    DetectorSpec(
        "classifier_knn",
        "ecgbench_detectors.classifier_knn:ClassifierKnn",
        "the nearest states in the trained classifier carry other labels",
    ),
    DetectorSpec(
        "mean_distance", "ecgbench_detectors.mean_distance:MeanDistance", "the text is far from its class's mean"
    ),
    DetectorSpec("nrg", "ecgbench_detectors.nrg:Nrg", "items the trained classifier finds alike carry other labels"),
    DetectorSpec(
        "data_oob",
        "ecgbench_detectors.data_oob:DataOob",
        "linear models that never saw it contradict its label",
    ),
    DetectorSpec(
        "knn_shapley", "ecgbench_detectors.knn_shapley:KnnShapley", "it misleads a nearest-neighbour classifier"
    ),
    DetectorSpec(
        "simifeat",
        "ecgbench_detectors.simifeat:SimiFeat",
        "the nearest texts' labels point away from the given one",
    ),
    DetectorSpec("retag", "ecgbench_detectors.retag:Retag", "another class is the likeliest out of fold: 1 or 0"),
    DetectorSpec(
        "curriculum_spotter",
        "ecgbench_detectors.curriculum_spotter:CurriculumSpotter",
        "hard for the classifier in more epochs of its training",
    ),
    DetectorSpec(
        "duplicate_conflict",
        "ecgbench_detectors.duplicate_conflict:DuplicateConflict",
        "near-duplicates carry other labels",
    ),
    DetectorSpec("borda", "ecgbench_detectors.borda:Borda", "the mean rank that other built-in detectors give it"),
    DetectorSpec("random", "ecgbench_detectors.random:Random", "uniform random numbers: the floor"),
)


@hookimpl
def ecgbench_detectors() -> list[DetectorSpec]:
    """Return the built-in detectors."""
    return list(SPECS)
