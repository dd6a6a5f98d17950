"""The review page in a real browser: decided by keyboard, saved as a CSV, lost by no reload, obeying no text."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from pathlib import Path

import pytest
from scans import HOSTILE, make_scan

from browser import OpenPage, Tab
from ecgbench.scanning.page import MOST_ROWS, write_page
from ecgbench.scanning.rows import Scan


def write(folder: Path, scan: Scan) -> Path:
    path = folder / "review.html"
    with path.open("w", encoding="utf-8", newline="") as file:
        write_page(scan, file)
    return path


def press(tab: Tab, keys: str) -> None:
    for key in keys.split():
        tab.page.keyboard.press(key)


def save(tab: Tab) -> list[list[str]]:
    """Press s and return the rows of the file that the browser saves."""
    with tab.page.expect_download() as saved:
        tab.page.keyboard.press("s")
    assert saved.value.suggested_filename == "decisions.csv"
    with Path(saved.value.path()).open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def said(tab: Tab, name: str) -> str:
    return tab.page.locator(f"#{name}").inner_text()


def assert_clean(tab: Tab, path: Path) -> None:
    assert tab.faults == []
    assert set(tab.requests) <= {path.as_uri()} | {url for url in tab.requests if url.startswith(("data:", "blob:"))}


@pytest.mark.slow
def test_rows_are_decided_by_keyboard_and_saved_by_the_contract(tmp_path: Path, open_page: OpenPage) -> None:
    path = write(tmp_path, make_scan(6))
    tab = open_page(path)
    assert said(tab, "count") == "0 of 6 decided"
    assert said(tab, "place").startswith("1 of 6, row 10 of the file")
    assert tab.page.locator("#text mark").all_inner_texts() == ["dull", "slow"]
    press(tab, "k r 2 r d j")  # keep, relabel as proposed, relabel to the second, drop, pass over
    assert said(tab, "place").startswith("6 of 6")
    press(tab, "d u u d ArrowLeft")  # the sixth again, undone, the fourth undone, dropped again
    assert said(tab, "count") == "4 of 6 decided"
    assert save(tab) == [
        ["row", "decision", "label"],
        ["10", "keep", ""],
        ["20", "relabel", "bad"],
        ["30", "relabel", "fine"],
        ["40", "drop", ""],
    ]
    assert_clean(tab, path)


@pytest.mark.slow
def test_a_reload_loses_nothing_and_another_file_inherits_nothing(tmp_path: Path, open_page: OpenPage) -> None:
    path = write(tmp_path, make_scan())
    tab = open_page(path)
    press(tab, "d r")
    tab.page.reload()
    assert said(tab, "count") == "2 of 4 decided"
    assert said(tab, "place").startswith("3 of 4")  # the first without a decision
    press(tab, "p")
    assert said(tab, "decision") == "relabel: bad"
    assert save(tab)[1:] == [["10", "drop", ""], ["20", "relabel", "bad"]]
    write(tmp_path, replace(make_scan(), key="other"))
    tab.page.reload()
    assert said(tab, "count") == "0 of 4 decided"
    assert_clean(tab, path)


@pytest.mark.slow
def test_hostile_text_stays_text(tmp_path: Path, open_page: OpenPage) -> None:
    labels = (HOSTILE, 'with, "quotes"', "good")
    scan = replace(make_scan(text=HOSTILE, labels=labels), path=Path("<b>films</b>.csv"), profile=HOSTILE)
    path = write(tmp_path, scan)
    tab = open_page(path)
    assert tab.page.evaluate("window.hacked") is None
    assert tab.page.locator("#text").text_content() == f"{HOSTILE} 0"
    for name in ("rationale", "shortcuts", "neighbours", "findings", "notes"):
        assert "<img src=x onerror=" in (tab.page.locator(f"#{name}").text_content() or "")
    assert tab.page.locator("img, main script, footer script, h1 b").count() == 0
    press(tab, "r 2 r")
    assert save(tab)[1:] == [["10", "relabel", HOSTILE], ["20", "relabel", 'with, "quotes"']]
    assert tab.page.evaluate("window.hacked") is None
    assert_clean(tab, path)


@pytest.mark.slow
def test_even_a_script_that_got_in_would_not_run(tmp_path: Path, open_page: OpenPage) -> None:
    path = write(tmp_path, make_scan())
    path.write_text(path.read_text(encoding="utf-8").replace("<main>", "<main><script>window.hacked = 1</script>"))
    tab = open_page(path)
    assert tab.page.evaluate("window.hacked") is None
    assert any("Content Security Policy" in fault for fault in tab.faults)


@pytest.mark.slow
def test_a_phone_and_a_dark_screen_see_all_of_it(tmp_path: Path, open_page: OpenPage) -> None:
    path = write(tmp_path, make_scan(text="x" * 3000))
    light = open_page(path, width=375, height=700)
    dark = open_page(path, width=375, height=700, color_scheme="dark")
    papers = [tab.page.evaluate("getComputedStyle(document.body).backgroundColor") for tab in (light, dark)]
    assert papers == ["rgb(253, 253, 252)", "rgb(23, 25, 28)"]
    for tab in (light, dark):
        assert tab.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        for name in ("keep", "relabel", "drop", "undo", "next"):
            assert tab.page.locator(f"#{name}").bounding_box()["height"] >= 44  # type: ignore[index]
        tab.page.locator("#keep").click()
        assert said(tab, "count") == "1 of 4 decided"
        assert_clean(tab, path)


@pytest.mark.slow
def test_thousands_of_rows_are_shown_one_at_a_time(tmp_path: Path, open_page: OpenPage) -> None:
    path = write(tmp_path, make_scan(MOST_ROWS + 1, text="word " * 100))
    tab = open_page(path)
    assert said(tab, "count") == f"0 of {MOST_ROWS} decided"
    assert f"the page holds the first {MOST_ROWS:,} of {MOST_ROWS + 1:,} rows" in said(tab, "notes")
    assert tab.page.locator("body *").count() < 200
    press(tab, "k j k o")
    assert said(tab, "place").startswith("4 of")
    assert said(tab, "count") == f"2 of {MOST_ROWS} decided"
    assert_clean(tab, path)


def test_the_page_holds_no_address_and_no_raw_text(tmp_path: Path) -> None:
    page = write(tmp_path, make_scan(text=HOSTILE)).read_text(encoding="utf-8")
    assert re.findall(r"https?:|//[a-z]+\.", page) == []
    assert "<img" not in page
    assert page.count("<script") == page.count("</script>") == 2
    assert "default-src 'none'" in page
    assert "unsafe" not in page


def test_the_page_names_the_command_that_applies_its_decisions(tmp_path: Path) -> None:
    page = write(tmp_path, make_scan(2)).read_text(encoding="utf-8")
    assert "ecgbench clean films.csv --decisions decisions.csv --label-column &#39;kind of film&#39;" in page
