"""Neighbours of up to a million vectors: seconds, peak memory and recall of each index.

    python benchmarks/knn_at_scale.py --n 1000000 --index ivf

The vectors of `--vectors drawn` are drawn from a smoothed bootstrap of real ones: the MiniLM embeddings of 3,000 movie
snippets and 3,000 sentences of BBC news (two cores embed 190 texts a second: a million would take 90 minutes). Each is
a random real vector plus Gaussian noise with the covariance of the real ones, times BANDWIDTH, brought to length 1:
clusters and dimension are those of real vectors, and no two are alike. At n = 6,000 the nearest neighbour is as near
as with real vectors (cosine .54), the 15th further away (.32 against .40), which is harder for an index. `real` are
the real ones alone, and `gaussian` has no structure at all: the worst case.
"""

from __future__ import annotations

import argparse
import re
import resource
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ecgbench.artifacts.embeddings import ENCODE_BATCH
from ecgbench.datasets.bbc_news import BbcNews
from ecgbench.datasets.movie_snippets import MovieSnippets
from ecgbench.engines.batching import iter_batches
from ecgbench.engines.encoder import load_encoder
from ecgbench.engines.knn import measure_recall, nearest_neighbours
from ecgbench.profiles import EMBEDDED, KnnSettings
from ecgbench.specs import DatasetContext

Vectors = NDArray[np.float32]
REAL_TEXTS = 6000
BANDWIDTH = 0.85
BLOCK = 50_000


def main() -> None:
    """Make the vectors, search their neighbours and print what it took."""
    arguments = _parse()
    vectors = load_vectors(arguments.vectors, arguments.n, folder=arguments.folder)
    before = peak_mib()
    knn = KnnSettings(arguments.index, arguments.effort)
    wall, processor = time.perf_counter(), time.process_time()
    _, similarities = nearest_neighbours(vectors, arguments.k, knn)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    after = peak_mib()
    recall = 1.0 if arguments.index == "exact" else measure_recall(vectors, similarities)
    print(
        f"{arguments.vectors} n={len(vectors)} d={vectors.shape[1]} k={arguments.k} index={arguments.index} "
        f"effort={arguments.effort} seconds={wall:.1f} processor_seconds={processor:.1f} recall={recall:.4f} "
        f"nearest={similarities[:, 0].mean():.3f} furthest={similarities[:, -1].mean():.3f} "
        f"peak_mib={after:.0f} vectors_mib={vectors.nbytes / 2**20:.0f} start_mib={before:.0f}"
    )


def load_vectors(kind: str, n: int, *, folder: Path) -> Vectors:
    """Return n unit vectors: from a file in `folder` where it is there, mapped into memory, not read."""
    if kind == "real":
        return embed_texts(folder)[:n]
    path = folder / f"{kind}-{n}.npy"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        file = np.lib.format.open_memmap(part, mode="w+", dtype=np.float32, shape=(n, 384))
        real = None if kind == "gaussian" else embed_texts(folder)
        for number, start in enumerate(range(0, n, BLOCK)):
            file[start : start + BLOCK] = _draw(real, min(BLOCK, n - start), np.random.default_rng(number))
        file.flush()
        part.rename(path)
    vectors: Vectors = np.load(path, mmap_mode="r")
    return vectors


def embed_texts(folder: Path) -> Vectors:
    """Return the MiniLM embeddings of movie snippets and BBC sentences in random order."""
    path = folder / "real.npy"
    if not path.exists():
        context = DatasetContext(folder=folder)
        articles = BbcNews().load(context).texts
        sentences = [s for text in articles for s in re.split(r"(?<=[.!?])\s+", text) if len(s.split()) > 5]
        movies = MovieSnippets().load(context).texts
        rng = np.random.default_rng(0)
        half = REAL_TEXTS // 2
        texts = [*rng.choice(movies, half, replace=False), *rng.choice(sentences, half, replace=False)]
        np.save(path, rng.permutation(_encode(texts, folder)))
    vectors: Vectors = np.load(path)
    return vectors


def _encode(texts: Sequence[str], folder: Path) -> Vectors:
    encoder = load_encoder(EMBEDDED.encoder, folder)
    vectors = np.empty((len(texts), 384), dtype=np.float32)
    for batch in iter_batches([len(text) for text in texts], ENCODE_BATCH):
        vectors[list(batch)] = encoder.encode([texts[i] for i in batch])
    return vectors


def _draw(real: Vectors | None, n: int, rng: np.random.Generator) -> Vectors:
    vectors = rng.standard_normal((n, 384), dtype=np.float32)
    if real is not None:
        centred = real - real.mean(axis=0)
        values, axes = np.linalg.eigh(centred.T @ centred / len(real))
        noise = vectors @ (axes * np.sqrt(np.maximum(values, 0.0))).T
        vectors = real[rng.integers(len(real), size=n)] + np.float32(BANDWIDTH) * noise
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def peak_mib() -> float:
    """Return the most memory this process held so far, mapped files included."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=25_000)
    parser.add_argument("--k", type=int, default=15)
    parser.add_argument("--vectors", choices=("drawn", "real", "gaussian"), default="drawn")
    parser.add_argument("--index", choices=("exact", "ivf", "hnsw"), default="exact")
    parser.add_argument("--effort", type=int, default=KnnSettings().effort)
    parser.add_argument("--folder", type=Path, default=Path("knn-vectors"), help="where vectors are kept")
    return parser.parse_args()


if __name__ == "__main__":
    main()
