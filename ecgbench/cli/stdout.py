"""Standard output carries results alone: what plugin code prints goes to standard error."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


@contextlib.contextmanager
def plugins_print_to_stderr() -> Iterator[None]:
    """Send to stderr what is printed meanwhile, also by what writes past Python to the descriptor."""
    _flush()
    try:
        kept = os.dup(1)
    except OSError:  # closed, as by `>&-`: nothing can be printed there
        yield
        return
    os.dup2(2, 1)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        _flush()
        os.dup2(kept, 1)
        os.close(kept)


def iter_with_plugins_on_stderr(items: Iterable[T]) -> Iterator[T]:
    """Yield items each of which plugin code makes as it is drawn."""
    iterator = iter(items)
    with contextlib.suppress(StopIteration):
        while True:
            with plugins_print_to_stderr():
                item = next(iterator)
            yield item


def _flush() -> None:
    """Write out what waits in the streams: it belongs where the descriptor leads now."""
    for stream in (sys.stdout, sys.__stdout__):
        if stream is not None:
            stream.flush()
