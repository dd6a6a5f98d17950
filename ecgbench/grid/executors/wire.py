"""Work and outcomes as bytes, for the way to another process and back.

Pickle, but never in a file: both ends belong to one run. Work is unpickled only after the plugins are loaded,
since an artifact may be a plugin's class.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Sequence
from typing import Any

from ecgbench.errors import INTERRUPTS
from ecgbench.grid.statuses import describe_failure
from ecgbench.grid.values import freeze_value
from ecgbench.grid.work import Outcome, Work, Worker, perform


def pack_work(work: Work, shared: Sequence[Any] = ()) -> bytes:
    """Return the work as bytes, without the parts in `shared`: those travel by themselves, as `pack_part` has them.

    Raises whatever a value raises that cannot be pickled.
    """
    file = io.BytesIO()
    _Packer(file, shared).dump(work)
    return file.getvalue()


def pack_part(part: Any) -> bytes:
    """Return one shared part as bytes."""
    return pickle.dumps(part, pickle.HIGHEST_PROTOCOL)


def perform_packed(title: str, packed: bytes, worker: Worker, parts: Sequence[bytes] = ()) -> bytes:
    """Unpack work, do it and pack its outcome; what cannot be unpacked or packed is a failure of the work."""
    try:
        work = _unpack(packed, [pickle.loads(part) for part in parts])
    except INTERRUPTS:
        raise
    except BaseException as error:
        return _pack(Outcome(failure=describe_failure(error, what=f"{title}: reading it in a worker")))
    outcome = perform(work, worker)
    try:
        return _pack(outcome)
    except INTERRUPTS:
        raise
    except BaseException as error:
        return _pack(Outcome(failure=describe_failure(error, what=f"{title}: sending its value back")))


def unpack_outcome(packed: bytes) -> Outcome:
    """Return an outcome that came as bytes."""
    outcome: Outcome = pickle.loads(packed)
    return outcome


class _Packer(pickle.Pickler):
    """Write the place of a shared part instead of the part."""

    def __init__(self, file: io.BytesIO, shared: Sequence[Any]) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self._places = {id(part): place for place, part in enumerate(shared)}

    def persistent_id(self, value: Any) -> int | None:
        return self._places.get(id(value))


class _Unpacker(pickle.Unpickler):
    """Put the shared parts back in their places."""

    def __init__(self, file: io.BytesIO, shared: Sequence[Any]) -> None:
        super().__init__(file)
        self._shared = shared

    def persistent_load(self, place: int) -> Any:
        return self._shared[place]


def _unpack(packed: bytes, shared: Sequence[Any]) -> Work:
    work: Work = _Unpacker(io.BytesIO(packed), shared).load()
    for part in work.shared:
        freeze_value(part)  # read-only arrays come out of a pickle writable
    return work


def _pack(outcome: Outcome) -> bytes:
    return pickle.dumps(outcome, pickle.HIGHEST_PROTOCOL)
