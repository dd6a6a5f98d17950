"""What each kind of work took on each device so far, for `ecgbench plan`: estimates rest on it, results never do."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

logger = logging.getLogger(__name__)

CALIBRATION_FILE = "calibration.json"
SCHEMA = 1
_LOCK_SECONDS = 10.0


@dataclass(frozen=True)
class Measurement:
    """What `items` items of some work took on a device, all told, without the loading of models.

    `characters` are those of the prompts that `prompt_tokens` were read of.
    """

    work: str
    device: str
    items: int = 0
    seconds: float = 0.0
    characters: int = 0
    prompt_tokens: int = 0
    reply_tokens: int = 0

    def plus(self, other: Measurement) -> Measurement:
        """Return both as one measurement of this work on this device."""
        return replace(
            self,
            items=self.items + other.items,
            seconds=self.seconds + other.seconds,
            characters=self.characters + other.characters,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            reply_tokens=self.reply_tokens + other.reply_tokens,
        )


@dataclass
class Tally:
    """Sum up what the parts of one job took, device by device."""

    work: str
    found: dict[str, Measurement] = field(default_factory=dict)

    def add(self, part: Measurement) -> None:
        """Add a part."""
        self.found[part.device] = self.found.get(part.device, Measurement(self.work, part.device)).plus(part)


@dataclass(frozen=True)
class Calibration:
    """The sums over all runs in one JSON file, those noted last standing last; an unreadable one counts as empty."""

    path: Path

    def read(self) -> list[Measurement]:
        """Return all measurements; of a damaged file none, with a warning."""
        from pydantic import TypeAdapter

        try:
            raw = json.loads(self.path.read_text(encoding="utf-8"))
            if raw["schema"] != SCHEMA:
                raise ValueError(f"schema {raw['schema']}, this version reads {SCHEMA}")
            return TypeAdapter(list[Measurement]).validate_python(raw["measured"])
        except FileNotFoundError:
            return []
        except (OSError, ValueError, KeyError, TypeError) as error:  # also pydantic's ValidationError
            reason = str(error).splitlines()[0]
            logger.warning("%s cannot be read and is left out of estimates: delete it [%s]", self.path, reason)
            return []

    @contextmanager
    def tally(self, work: str) -> Iterator[Tally]:
        """Note what was added to the tally at the end, however that comes."""
        tally = Tally(work)
        try:
            yield tally
        finally:
            self.note(tally.found.values())

    def note(self, measurements: Iterable[Measurement]) -> None:
        """Add measurements to the file; where it cannot be written, warn: nothing but an estimate is lost."""
        from filelock import FileLock, Timeout

        new = list(measurements)
        if not new:
            return
        try:
            with FileLock(self.path.with_name(f".{self.path.name}.lock"), timeout=_LOCK_SECONDS):
                self._write(_merge(self.read(), new))
        except (OSError, Timeout) as error:
            logger.warning("what this run took could not be noted in %s: %s", self.path, error)

    def _write(self, measurements: Iterable[Measurement]) -> None:
        content = {"schema": SCHEMA, "measured": [asdict(measurement) for measurement in measurements]}
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
            temporary.replace(self.path)
        finally:
            temporary.unlink(missing_ok=True)


def _merge(old: Iterable[Measurement], new: Iterable[Measurement]) -> Iterable[Measurement]:
    merged = {(one.work, one.device): one for one in old}
    for one in new:
        before = merged.pop((one.work, one.device), None)
        merged[one.work, one.device] = one if before is None else before.plus(one)
    return merged.values()
