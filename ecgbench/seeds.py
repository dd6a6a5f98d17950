"""One seed a cell, split by role, so that no stage's draws move another's."""

from __future__ import annotations

import hashlib

import numpy as np


def derive_seed(seed: int, role: str) -> np.random.SeedSequence:
    """Return the seed sequence of a role ("noise", "folds", "training", "detector") under a seed."""
    tag = int.from_bytes(hashlib.blake2b(role.encode(), digest_size=8).digest(), "little")
    return np.random.SeedSequence([seed, tag])


def derive_rng(seed: int, role: str) -> np.random.Generator:
    """Return a fresh generator of a role under a seed."""
    return np.random.default_rng(derive_seed(seed, role))


def derive_int(seed: int, role: str) -> int:
    """Return a 63-bit integer seed of a role, for libraries that take one."""
    return int(derive_seed(seed, role).generate_state(1, np.uint64)[0] >> np.uint64(1))
