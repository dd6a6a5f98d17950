"""Progress where stderr is no terminal: lines for what takes long, nothing for the rest."""

from __future__ import annotations

import threading

import pytest

from ecgbench.cli import reporter
from ecgbench.cli.reporter import LineReporter


class Watched:
    """A stream that tells when something was written to it."""

    def __init__(self) -> None:
        self.text, self.has_text = "", threading.Event()

    def write(self, text: str) -> None:
        """Keep the text."""
        self.text += text
        self.has_text.set()

    def flush(self) -> None:
        """Do nothing."""


def test_a_long_job_of_unknown_length_says_so_while_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Watched()
    monkeypatch.setattr(reporter, "SHOWN_AFTER", 0.0)
    monkeypatch.setattr("sys.stderr", stream)
    with LineReporter().job("loading a model", None):
        assert stream.has_text.wait(60)
        assert stream.text == "loading a model: ...\n"
    assert stream.text.splitlines()[1] == "loading a model: 0 s"


@pytest.mark.parametrize("total", [None, 5])
def test_a_short_job_says_nothing(capsys: pytest.CaptureFixture[str], total: int | None) -> None:
    with LineReporter().job("loading a model", total) as progress:
        progress.advance(1)
    assert capsys.readouterr().err == ""
