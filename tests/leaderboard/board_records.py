"""The record that the tests of the leaderboard change."""

from __future__ import annotations

from ecgbench.results import CellRecord, Status

BASE = CellRecord(
    run="quick",
    dataset="movie_snippets",
    n=500,
    profile="embedded",
    noise="uniform",
    rate=0.1,
    seed=0,
    detector="loss",
    status=Status.OK,
    created_at="2026-01-02T03:04:05Z",
)
