"""A third-party plugin whose detectors and artifacts take their whole process down, or more than their share.

ECGBENCH_HOSTILE_CALLS names a file that gets a line, with the process id, for every call of a detector or an artifact.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ecgbench.artifacts.base import Arrays, Artifact, Artifacts, TaskArtifact, TextArtifact
from ecgbench.data import DetectionTask, FloatArray
from ecgbench.engines.context import ComputeContext
from ecgbench.engines.llm import TokenUsage
from ecgbench.hookspecs import hookimpl
from ecgbench.profiles import CrossEncoderSettings, LlmSettings
from ecgbench.specs import Detector, DetectorSpec

BATCH = 20
HOG_MIB = 400
"""What the hog takes at the most: over any limit of the tests, far below what a machine has."""


def note_call(what: str) -> None:
    """Note a call and who made it."""
    path = os.environ.get("ECGBENCH_HOSTILE_CALLS")
    if path:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(f"{what} {os.getpid()}\n")


def misbehave(fault: str) -> None:
    """Do to the process what `fault` names; "none" does nothing."""
    note_call(fault)
    if fault == "exit":
        os._exit(3)
    if fault == "segfault":
        ctypes.string_at(0)
    if fault == "kill":  # what the system does to a process that takes too much memory
        os.kill(os.getpid(), signal.SIGKILL)
    if fault == "loop":
        while True:
            pass
    if fault == "children":
        subprocess.Popen([sys.executable, "-c", f"import time; time.sleep(600) # {os.getpid()}"])
        time.sleep(600)
    if fault == "hog":
        kept = [np.ones(2**17 * 10) for _ in range(HOG_MIB // 10)]
        time.sleep(60)
        kept.clear()
    if fault == "patch":
        np.mean = None  # type: ignore[assignment]
        np.random.seed(0)
        sys.modules["json"] = None  # type: ignore[assignment]
    if fault == "print":
        print("something on stdout", flush=True)
        os.write(1, b"something on the descriptor\n")


@dataclass(frozen=True)
class Hostile(Detector):
    """Draw, after the fault."""

    fault: str = "none"

    def score(self, task: DetectionTask, artifacts: Artifacts, rng: np.random.Generator) -> FloatArray:  # noqa: ARG002
        """Return uniform numbers, where it gets so far."""
        misbehave(self.fault)
        return rng.random(len(task)) + 0 * np.mean(task.labels)


@dataclass(frozen=True)
class Crashing(TaskArtifact[FloatArray]):
    """A task artifact that does the same."""

    fault: str = "none"

    def compute(self, task: DetectionTask, inputs: Artifacts, context: ComputeContext) -> FloatArray:  # noqa: ARG002
        """Return ones, where it gets so far."""
        misbehave(self.fault)
        return np.ones(len(task))


@dataclass(frozen=True)
class CrashingTexts(TextArtifact[FloatArray]):
    """A text artifact that answers batch after batch, and has the fault at the text with `word` in it."""

    uses_labels: ClassVar[bool] = False

    fault: str = "none"
    word: str = " 45"

    def requests(self, task: DetectionTask, inputs: Artifacts) -> Sequence[Any]:  # noqa: ARG002
        """Ask about the text alone."""
        return task.texts

    def batches(self, requests: Sequence[Any]) -> Iterable[Sequence[int]]:
        """Take the requests in their order in the alphabet."""
        order = sorted(range(len(requests)), key=requests.__getitem__)
        return [order[start : start + BATCH] for start in range(0, len(order), BATCH)]

    def compute(self, requests: Sequence[Any], context: ComputeContext) -> Sequence[bytes | None]:  # noqa: ARG002
        """Return the lengths."""
        note_call("texts")
        if any(request.endswith(self.word) for request in requests):
            misbehave(self.fault)
        return [str(len(request)).encode() for request in requests]

    def assemble(self, rows: Sequence[bytes | None]) -> FloatArray:
        """Return the numbers."""
        return np.array([0.0 if row is None else float(row) for row in rows])


@dataclass(frozen=True)
class Devices(TextArtifact[Any]):
    """What a worker with the GPUs of these settings sees of them."""

    model: CrossEncoderSettings

    def requests(self, task: DetectionTask, inputs: Artifacts) -> Sequence[Any]:  # noqa: ARG002
        """Ask about the text alone."""
        return task.texts

    def compute(self, requests: Sequence[Any], context: ComputeContext) -> Sequence[bytes | None]:  # noqa: ARG002
        """Return the names of the visible devices."""
        return [os.environ.get("CUDA_VISIBLE_DEVICES", "").encode() for _ in requests]

    def assemble(self, rows: Sequence[bytes | None]) -> Any:
        """Return the names as they are."""
        return rows


@dataclass
class Talker:
    """A language model that reads a word as a token."""

    usage: TokenUsage

    @classmethod
    def load(cls, settings: LlmSettings, model_dir: Path) -> Talker:  # noqa: ARG003
        """Load nothing."""
        return cls(TokenUsage())


@dataclass(frozen=True)
class Talking(TextArtifact[Any]):
    """What that model says of a text."""

    llm: LlmSettings

    def requests(self, task: DetectionTask, inputs: Artifacts) -> Sequence[Any]:  # noqa: ARG002
        """Ask about the text alone."""
        return task.texts

    def compute(self, requests: Sequence[Any], context: ComputeContext) -> Sequence[bytes | None]:
        """Say one word of each."""
        usage = context.load(Talker.load, self.llm).usage
        usage.prompt += sum(len(request.split()) for request in requests)
        usage.reply += len(requests)
        return [b"fine" for _ in requests]

    def assemble(self, rows: Sequence[bytes | None]) -> Any:
        """Return the words as they are."""
        return rows


class Holder:
    """Hold what cannot be pickled."""

    def __init__(self, values: FloatArray) -> None:
        self.values = values
        self.function = lambda: values


@dataclass(frozen=True)
class Unpicklable(TaskArtifact[Any]):
    """A task artifact whose value cannot be sent anywhere."""

    def compute(self, task: DetectionTask, inputs: Artifacts, context: ComputeContext) -> Any:  # noqa: ARG002
        """Return the labels, well wrapped."""
        return Holder(task.labels.astype(np.float64))

    def pack(self, value: Any) -> Arrays:
        """Return the numbers."""
        return {"values": value.values}

    def unpack(self, arrays: Arrays) -> Any:
        """Wrap the numbers."""
        return Holder(arrays["values"])


@dataclass(frozen=True)
class OnHostile(Detector):
    """Need one of these artifacts."""

    kind: str = "task"
    fault: str = "none"

    def needs(self) -> tuple[Artifact[Any], ...]:
        """Declare it."""
        kinds = {"task": Crashing(self.fault), "texts": CrashingTexts(self.fault), "unpicklable": Unpicklable()}
        return (kinds[self.kind],)

    def score(self, task: DetectionTask, artifacts: Artifacts, rng: np.random.Generator) -> FloatArray:  # noqa: ARG002
        """Return uniform numbers."""
        return rng.random(len(task))


@dataclass(frozen=True)
class Writing(Detector):
    """Write into what it was given to read."""

    what: str = "labels"

    def needs(self) -> tuple[Artifact[Any], ...]:
        """Declare an artifact."""
        return (Crashing(),)

    def score(self, task: DetectionTask, artifacts: Artifacts, rng: np.random.Generator) -> FloatArray:
        """Change it, which must not be possible."""
        (task.labels if self.what == "labels" else artifacts[Crashing()])[0] = 1
        return rng.random(len(task))


@hookimpl
def ecgbench_detectors() -> list[DetectorSpec]:
    """Return the hostile detectors."""
    kinds = {"hostile": Hostile, "on_hostile": OnHostile, "writing": Writing}
    return [DetectorSpec(name, f"{__name__}:{kind.__name__}", "hostile") for name, kind in kinds.items()]
