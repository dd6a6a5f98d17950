"""One seed a cell, split by role, so that no stage's draws move another's."""

from __future__ import annotations

import hashlib

import numpy as np


def derive_seed(seed: int, role: str) -> np.random.SeedSequence:
    """Return the seed sequence of a role ("noise", "folds", "training", "detector") under a seed.

    Seed and role are hashed together, so that a detector cannot read the run's seed, and with it the
    noise, off the generator it is given.
    """
    entropy = hashlib.blake2b(f"{seed}/{role}".encode(), digest_size=16, person=b"ecgbench/seed/1").digest()
    return np.random.SeedSequence(int.from_bytes(entropy, "little"))


def derive_rng(seed: int, role: str) -> np.random.Generator:
    """Return a fresh generator of a role under a seed."""
    return np.random.default_rng(derive_seed(seed, role))


def derive_int(seed: int, role: str) -> int:
    """Return a 63-bit integer seed of a role, for libraries that take one."""
    return int(derive_seed(seed, role).generate_state(1, np.uint64)[0] >> np.uint64(1))
