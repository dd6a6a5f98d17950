"""docs/reference/checks.md, from the checks themselves."""

from __future__ import annotations

from collections.abc import Iterable

from ecgbench.testing.base import Check
from ecgbench.testing.common import COMMON
from ecgbench.testing.suites import CHECKS

_HEAD = """\
# What every plugin promises: the checks of the conformance kit

`ecgbench check NAME` makes these checks of a registered detector, noise model, metric or dataset, on made-up data and
without a model, most of them in milliseconds. `ecgbench check my_detector --plugin my_detector.py` takes a plugin file,
`ecgbench check 'ecg[k=30]'` parameters, `ecgbench check file:reviews.csv` a dataset that needs a source. Each check is
a line: ok, skipped, an expected failure with its reason, or FAILED with what was seen and what must hold. The exit code
is 1 where one failed or where a name could not be checked, as without a package that it needs, and 2 where a name or a
parameter is wrong; the other names are checked all the same. A dataset is loaded from the cache, and fetched where it
is not there yet. The checks run in this one process: code that crashes or hangs ends them, too.

In a plugin's own tests each is a test of its own:

```python
from ecgbench.testing import parametrize_with_checks
from ecgbench_detectors.margin import Margin

@parametrize_with_checks([Margin()])
def test_conformance(subject, check):
    check(subject)
```

Without pytest, `check_detector`, `check_noise_model`, `check_metric` and `check_dataset` of `ecgbench.testing` make all
checks and raise `CheckFailedError` at the first that fails. The checks that read a spec are skipped for a class that no
installed plugin registers.

A ranking or a number of classes for which `NotApplicableError` is raised is passed over; one at least must fit.

## What cannot hold is declared

A check that cannot hold is declared where the class is, with its reason. It is shown as an expected failure, and in
pytest as a strict `xfail`: once it holds, the declaration fails and is to be taken out.

```python
from dataclasses import dataclass
import numpy as np
from ecgbench.specs import Detector

@dataclass(frozen=True)
class Short(Detector):
    expected_failures = {"higher_is_more_suspicious": "texts of the kit are equally long, whatever their label"}

    def score(self, task, artifacts, rng):
        return -np.array([len(text.split()) for text in task.texts], dtype=float)
```

## Stand-ins for artifacts

The tasks of the kit are texts of which a few words tell the class, with wrong labels planted among them. Encoder,
classifier, language model and inference model are stand-ins that read these words; artifacts are computed from what
they say by the code that computes them in a run. A plugin's own artifact on these engines works as it is. One that
loads an engine of its own gives a made-up value:

```python
from dataclasses import dataclass
import numpy as np
from ecgbench.artifacts.base import TaskArtifact

def load_my_model(settings, model_dir):
    raise NotImplementedError("load the model from model_dir")

@dataclass(frozen=True)
class MyScores(TaskArtifact[np.ndarray]):
    def compute(self, task, inputs, context):
        return context.load(load_my_model, "my-model").score(task.texts)

    def fake(self, task, inputs):
        return np.array([float(len(text)) for text in task.texts])
```

The value should follow from each text alone, and an artifact whose value does not tell wrong labels needs a detector
that declares `higher_is_more_suspicious`.
"""


def render_page() -> str:
    """Return the page: how the checks are made, and what each is."""
    sections = [_HEAD, _render_section("Of everything", COMMON)]
    for kind, checks in CHECKS.items():
        sections.append(_render_section(f"Of a {kind}", (check for check in checks if check not in COMMON)))
    return "\n".join(sections)


def _render_section(title: str, checks: Iterable[Check]) -> str:
    rows = [f"| `{check.name}` | {check.summary.replace('|', '&#124;')} |" for check in checks]
    return "\n".join([f"## {title}", "", "| check | what must hold |", "|---|---|", *rows, ""])
