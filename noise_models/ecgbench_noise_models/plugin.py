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
    ]
