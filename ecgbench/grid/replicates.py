"""A cell's metrics under bootstrap resamples of its items: what tells a board how far the items alone move a number."""

from __future__ import annotations

import hashlib

import numpy as np

from ecgbench.data import BoolArray, FloatArray, IntArray

N_REPLICATES = 200
DIGITS = 4


def resample_metrics(is_noisy: BoolArray, scores: FloatArray) -> dict[str, list[float]]:
    """Return AUROC and AUPRC of each resample, rounded to 4 digits; nothing where only one kind of item is there.

    Wrong and right labels are drawn with replacement each among themselves: their counts are the task's, not chance,
    and every resample has both kinds. The draws follow from `is_noisy` alone, which data, noise, rate and seed fix:
    replicate r of two detectors is about the same items (Efron & Tibshirani 1993, stratified bootstrap).
    """
    n_noisy = int(np.count_nonzero(is_noisy))
    if n_noisy in (0, len(is_noisy)):
        return {}
    _, places = np.unique(-scores, return_inverse=True)  # 0 is the highest score; tied items share a place
    noisy, clean = places[is_noisy], places[~is_noisy]
    rng, n_places = _fixed_stream(is_noisy), int(places.max()) + 1
    found: dict[str, list[float]] = {"auroc": [], "auprc": []}
    for _ in range(N_REPLICATES):
        auroc, auprc = _measure(_draw(noisy, n_places, rng), _draw(clean, n_places, rng))
        found["auroc"].append(round(auroc, DIGITS))
        found["auprc"].append(round(auprc, DIGITS))
    return found


def _fixed_stream(is_noisy: BoolArray) -> np.random.RandomState:
    """Return a generator that the task seeds; numpy keeps this kind's draws as they are for good."""
    bits = np.packbits(is_noisy).tobytes() + len(is_noisy).to_bytes(8, "little")
    seed = hashlib.blake2b(bits, digest_size=16, person=b"ecgbench/items/1").digest()
    return np.random.RandomState(np.random.MT19937(np.random.SeedSequence(int.from_bytes(seed, "little"))))


def _draw(places: IntArray, n_places: int, rng: np.random.RandomState) -> IntArray:
    """Return how many items of a resample of `places` fall on each place: int64, shape (n_places,)."""
    chosen = places[rng.randint(len(places), size=len(places))]
    return np.bincount(chosen, minlength=n_places)


def _measure(noisy: IntArray, clean: IntArray) -> tuple[float, float]:
    """Return AUROC and average precision of counts by place, best place first; ties as scikit-learn counts them."""
    hits = np.cumsum(noisy)
    flagged = hits + np.cumsum(clean)
    n_noisy, n_clean = int(hits[-1]), int(flagged[-1] - hits[-1])
    auroc = np.sum(clean * (hits - noisy / 2)) / (n_noisy * n_clean)
    auprc = np.sum(noisy * (hits / np.maximum(flagged, 1))) / n_noisy
    return float(auroc), float(auprc)
