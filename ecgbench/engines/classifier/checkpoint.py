"""The folder of one training: after each epoch what is needed to go on, at the end the trained model. No pickle."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch.optim import Optimizer

RECORD = "training.json"
OPTIMIZER = "optimizer.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """Steps of a training under `folder`, each written whole and then renamed.

    `training` identifies what is trained on what and how; `settings` stands in the record for people.
    """

    folder: Path
    training: str
    settings: dict[str, Any]

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Wait until no other process trains into the folder."""
        from filelock import FileLock

        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder.parent / f".{self.folder.name}.lock"):
            yield

    def latest(self) -> Path | None:
        """Return the last finished step of this very training; what belongs to none is removed."""
        found = {self._epoch_of(path): path for path in self.folder.glob("*")}
        epoch = max(found, default=0)
        latest = found[epoch] if epoch else None
        self._clear(keep=latest)
        return latest

    @contextmanager
    def write(self, epoch: int) -> Iterator[Path]:
        """Yield an empty folder; once it is filled it becomes the last step, and the one before is removed."""
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".", dir=self.folder))
        yield temporary
        record = {"epoch": epoch, "training": self.training, "settings": self.settings}
        (temporary / RECORD).write_text(json.dumps(record, indent=2), encoding="utf-8")
        temporary.chmod(0o755)
        step = self.folder / f"epoch-{epoch}"
        os.replace(temporary, step)  # noqa: PTH105  # the atomic one, by its known name
        self._clear(keep=step)

    def _epoch_of(self, step: Path) -> int:
        """Return how many epochs a step holds; 0 where it is unfinished or of another training."""
        try:
            record = json.loads((step / RECORD).read_text(encoding="utf-8"))
            return int(record["epoch"]) if record["training"] == self.training else 0
        except (OSError, ValueError, KeyError):
            return 0

    def _clear(self, *, keep: Path | None) -> None:
        for path in self.folder.iterdir() if self.folder.is_dir() else ():
            if path != keep:
                shutil.rmtree(path, ignore_errors=True)


def save_optimizer(optimizer: Optimizer, folder: Path) -> None:
    """Write what the optimiser remembers of each parameter, by the parameter's number."""
    from safetensors.torch import save_file

    state = optimizer.state_dict()["state"]
    tensors = {f"{i}.{name}": value.contiguous() for i, values in state.items() for name, value in values.items()}
    save_file(tensors, folder / OPTIMIZER)


def restore_optimizer(optimizer: Optimizer, folder: Path) -> None:
    """Give a fresh optimiser of the same parameters what `save_optimizer` wrote."""
    from safetensors.torch import load_file

    state = optimizer.state_dict()
    for key, value in load_file(folder / OPTIMIZER).items():
        number, name = key.split(".")
        state["state"].setdefault(int(number), {})[name] = value
    optimizer.load_state_dict(state)
