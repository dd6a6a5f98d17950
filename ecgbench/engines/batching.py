"""Batches: texts of like length together, and halves where memory runs out."""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

logger = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")


def iter_batches(lengths: Sequence[int], batch_size: int) -> Iterator[list[int]]:
    """Yield positions sorted by length (ties by position), `batch_size` at a time, longest batch last."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def run_halving(fn: Callable[[Sequence[T]], Iterable[R]], items: Sequence[T]) -> list[R]:
    """Return `fn(items)`; where memory runs out run it on each half, down to single items."""
    try:
        return list(fn(items))
    except (MemoryError, RuntimeError) as error:
        if len(items) < 2 or not is_out_of_memory(error):
            raise
        logger.warning("out of memory at a batch of %d; halving it", len(items))
    free_device_memory()
    middle = len(items) // 2
    return run_halving(fn, items[:middle]) + run_halving(fn, items[middle:])


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error says that memory ran out, on the host or on a device."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    message = str(error).lower()
    return "out of memory" in message or "can't allocate memory" in message or "not enough memory" in message


def free_device_memory() -> None:
    """Give the memory of what is no longer used back to the GPU, where torch runs on one."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        gc.collect()  # trained models hold references to themselves
        torch.cuda.empty_cache()
