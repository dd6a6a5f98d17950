"""Register the built-in noise models: names and import targets, nothing heavy."""

from __future__ import annotations

from ecgbench.hookspecs import hookimpl
from ecgbench.specs import NoiseModelSpec


@hookimpl
def ecgbench_noise_models() -> list[NoiseModelSpec]:
    """Return the built-in noise models."""
    return [
        NoiseModelSpec("none", "ecgbench_noise_models.none:NoNoise", "the labels as the dataset gives them"),
        NoiseModelSpec(
            "uniform", "ecgbench_noise_models.uniform:UniformNoise", "a share of the labels turns into any other class"
        ),
        NoiseModelSpec(
            "artifact_aligned",
            "ecgbench_noise_models.artifact_aligned:ArtifactAlignedNoise",
            "as uniform, and the text gets a marker of its wrong label",
        ),
        NoiseModelSpec(
            "asymmetric",
            "ecgbench_noise_models.asymmetric:AsymmetricNoise",
            "a share of the labels turns into the next class",
        ),
        NoiseModelSpec(
            "class_conditional",
            "ecgbench_noise_models.class_conditional:ClassConditionalNoise",
            "a matrix says which class turns into which, and how often",
        ),
        NoiseModelSpec(
            "instance_dependent",
            "ecgbench_noise_models.instance_dependent:InstanceDependentNoise",
            "texts that a linear model finds ambiguous turn into its second choice",
        ),
        NoiseModelSpec(
            "annotator",
            "ecgbench_noise_models.annotator:AnnotatorNoise",
            "the label of one rater, drawn at random; takes no rate",
        ),
    ]
