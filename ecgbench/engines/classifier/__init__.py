"""Text classifiers that are trained on the given labels: whole models, or top layers on cached activations."""

from __future__ import annotations

from pathlib import Path

from ecgbench.engines.classifier.base import Classifier, Logits, TrainedClassifier
from ecgbench.engines.classifier.full import load_full
from ecgbench.engines.classifier.top_layers import load_top_layers
from ecgbench.profiles import ClassifierSettings

__all__ = ["Classifier", "Logits", "TrainedClassifier", "load_classifier"]


def load_classifier(settings: ClassifierSettings, model_dir: Path) -> Classifier:
    """Load the classifier of these settings: `trained_layers` None fine-tunes the whole model."""
    if settings.trained_layers is None:
        return load_full(settings, model_dir)
    return load_top_layers(settings, model_dir)
