"""The browser of the tests sees what is wrong with a page: else tests that find nothing would say nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

import browser as harness
from browser import PATIENCE, OpenPage

PAGE = "<!doctype html><meta charset=utf-8><title>t</title><link rel=icon href='data:,'><p id=said>{said}</p>{more}"


def write(folder: Path, more: str = "") -> Path:
    path = folder / "page.html"
    path.write_text(PAGE.format(said="hello", more=more), encoding="utf-8")
    return path


@pytest.mark.slow
def test_a_sound_page_is_read_without_a_fault_and_asks_for_itself_alone(tmp_path: Path, open_page: OpenPage) -> None:
    path = write(tmp_path)
    tab = open_page(path, width=375, color_scheme="dark")
    assert tab.page.locator("#said").inner_text() == "hello"
    assert tab.page.evaluate("[innerWidth, matchMedia('(prefers-color-scheme: dark)').matches]") == [375, True]
    assert tab.faults == []
    assert tab.requests == [path.as_uri()]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "seen"),
    [
        ("<script>console.error('spoken')</script>", "spoken"),
        ("<script>missing()</script>", "missing is not defined"),
        ("<img src='https://example.invalid/a.png' alt=''>", "https://example.invalid/a.png"),
        ("<script>fetch('https://example.invalid/b')</script>", "https://example.invalid/b"),
        (
            "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'\"><script>1</script>",
            "Content Security Policy",
        ),
    ],
)
def test_what_is_wrong_with_a_page_is_recorded(tmp_path: Path, open_page: OpenPage, more: str, seen: str) -> None:
    tab = open_page(write(tmp_path, more))
    for _ in range(PATIENCE // 100):
        if any(seen in fault for fault in tab.faults):
            break
        tab.page.wait_for_timeout(100)
    assert any(seen in fault for fault in tab.faults)
    assert len(tab.requests) == (2 if seen.startswith("https") else 1)


def test_a_browser_that_must_be_there_is_not_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(harness.REQUIRED, raising=False)
    with pytest.raises(pytest.skip.Exception, match="apt-get install chromium"):
        harness._miss(harness.HOW_TO_GET_IT)
    monkeypatch.setenv(harness.REQUIRED, "1")
    with pytest.raises(pytest.fail.Exception, match="apt-get install chromium"):
        harness._miss(harness.HOW_TO_GET_IT)
