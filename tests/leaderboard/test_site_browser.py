"""The HTML board in a real browser: sorted, filtered, opened, in both themes, on a phone, by keyboard, hostile."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect
from site_records import HOSTILE, make_cell, make_records, make_told_records, write_records

from browser import OpenPage, Tab
from ecgbench.leaderboard.site import write_site
from ecgbench.results import CellRecord

pytestmark = pytest.mark.slow


def write_page(folder: Path, records: list[CellRecord]) -> Path:
    write_records(folder, records)
    return write_site(folder)


@pytest.fixture
def tab(tmp_path: Path, open_page: OpenPage) -> Tab:
    """Return the board of `make_records` in a browser."""
    return open_page(write_page(tmp_path, make_records()))


def column(tab: Tab, heading: str, box: str = "#table") -> list[str]:
    """Return what the cells of a column show, from top to bottom."""
    headings = [text.strip() for text in tab.page.locator(f"{box} thead th").all_inner_texts()]
    at = headings.index(heading) + 1
    return tab.page.locator(f"{box} tbody tr > :nth-child({at})").all_inner_texts()


def is_quiet(tab: Tab) -> bool:
    """Say whether nothing broke and nothing was asked for but the page itself."""
    return tab.faults == [] and [request.partition("index")[2] for request in tab.requests] == [".html"]


def test_a_click_on_a_header_sorts_and_gaps_come_last_either_way(tab: Tab) -> None:
    header = tab.page.locator("#table th", has_text="AUROC")
    expect(header).to_have_attribute("aria-sort", "descending")
    for direction in ("descending", "ascending"):
        shown = column(tab, "AUROC")
        numbers = [float(text.split()[0]) for text in shown if text != "–"]  # noqa: RUF001
        assert shown[-2:] == ["–", "–"]  # noqa: RUF001
        assert len(numbers) == len(shown) - 2
        assert numbers == sorted(numbers, reverse=direction == "descending")
        header.get_by_role("button").click()
    tab.page.locator("#table th", has_text="detector").get_by_role("button").press("Enter")
    assert column(tab, "detector") == sorted(column(tab, "detector"))
    assert tab.page.locator("#table th[aria-sort=ascending]").all_inner_texts() == ["detector"]
    assert is_quiet(tab)


def test_filters_leave_the_rows_they_say(tab: Tab) -> None:
    page = tab.page
    assert set(column(tab, "noise")) == {"uniform", "artifact_aligned", "artifact_aligned[clean_marker_rate=0.05]"}
    page.locator("#noise").select_option("uniform")
    assert len(page.locator("#table tbody tr").all()) == 6
    page.get_by_role("searchbox", name="Detector").fill("MARGIN nli")
    assert column(tab, "detector") == ["margin[k=30,weights.nli=0.0]"]
    assert column(tab, "status") == ["missing (1 of 3)"]
    expect(page.locator("#count")).to_have_text("1 of 20 rows")
    page.get_by_role("searchbox", name="Detector").fill("no such detector")
    expect(page.locator("#table")).to_contain_text("No row is left")
    page.get_by_role("button", name="Reset").click()
    expect(page.locator("#table tbody tr")).to_have_count(18)
    page.get_by_label("harness's own rows").uncheck()
    expect(page.locator("#table tbody tr")).to_have_count(12)
    page.locator("#rate").select_option("")
    assert set(column(tab, "rate")) == {"0.1", "0"}
    page.locator("#data").select_option("")
    expect(page.locator("#table tbody tr")).to_have_count(14)
    assert is_quiet(tab)


def test_the_heat_map_shows_gaps_as_gaps_and_no_worst_case_over_them(tab: Tab) -> None:
    names = column(tab, "detector", "#heat")
    uniform = dict(zip(names, column(tab, "uniform", "#heat"), strict=True))
    worst = dict(zip(names, column(tab, "worst case", "#heat"), strict=True))
    assert uniform["loss"] == "failed (1 of 3)"
    assert uniform["margin[k=30,weights.nli=0.0]"] == "missing (1 of 3)"
    assert worst["loss"] == worst["margin[k=30,weights.nli=0.0]"] == "–"  # noqa: RUF001
    assert float(worst["ecg"]) <= float(uniform["ecg"]) <= 1.0


def test_a_cell_opens_with_its_provenance_and_escape_closes_it(tab: Tab) -> None:
    page = tab.page
    opener = page.locator("#heat tr", has_text="loss").get_by_role("button", name="uniform")
    opener.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    for said in ["failed: ValueError", "a1a1a1", "python 3.11.7", "(seed 1)", "2026-01-02 03:04:05", "10 %"]:
        expect(dialog).to_contain_text(said)
    assert page.evaluate("document.activeElement.textContent") == "Close"
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert opener.evaluate("button => button === document.activeElement")
    page.locator("#table").get_by_role("button", name="ecg", exact=True).first.click()
    expect(dialog).to_contain_text("All metrics, seed 2")
    page.get_by_role("button", name="Close").click()
    expect(dialog).to_be_hidden()
    assert is_quiet(tab)


def test_curves_are_drawn_of_the_chosen_detectors_and_of_no_gap(tab: Tab) -> None:
    page = tab.page
    page.locator("#task").select_option(label="uniform")
    for figure in ("ROC", "Precision and recall", "P@k"):
        svg = page.locator("figure", has_text=figure).get_by_role("img")
        expect(svg.locator(".curve")).to_have_count(2)  # ecg, random: of the others a cell is missing
        expect(svg.locator(".chance")).to_have_count(1)
    page.get_by_role("checkbox", name="ecg").uncheck()
    page.get_by_role("checkbox", name="oracle †").check()
    page.get_by_role("checkbox", name="loss").check()
    titles = page.locator("figure", has_text="ROC").locator(".curve title").all_text_contents()
    assert titles == ["oracle", "random"]
    assert "oracle, random" in str(page.get_by_role("img", name="ROC:").get_attribute("aria-label"))
    expect(page.locator("#cost .point")).to_have_count(2)
    page.locator("#cost .point").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert is_quiet(tab)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_follows_the_system_until_somebody_chooses(tmp_path: Path, open_page: OpenPage, scheme: str) -> None:
    tab = open_page(write_page(tmp_path, make_records()), color_scheme=scheme)
    read = "getComputedStyle(document.body).backgroundColor"
    at_first = tab.page.evaluate(read)
    is_dark = sum(map(int, re.findall(r"\d+", at_first)[:3])) < 300
    assert is_dark == (scheme == "dark")
    tab.page.get_by_role("button", name="Light" if is_dark else "Dark").click()
    assert tab.page.evaluate(read) != at_first
    assert is_quiet(tab)


def test_on_a_phone_nothing_but_the_tables_scrolls_sideways(tmp_path: Path, open_page: OpenPage) -> None:
    path = write_page(tmp_path, [*make_records(), make_cell("x" * 300, 0, 1.0, noise="y" * 300)])
    tab = open_page(path, width=375, height=700, is_mobile=True, has_touch=True)
    assert tab.page.evaluate("document.documentElement.scrollWidth") == 375
    assert tab.page.locator("#table .scroll").evaluate("box => box.scrollWidth > box.clientWidth")
    tab.page.locator("#table").get_by_role("button", name="xxx").tap()
    assert tab.page.get_by_role("dialog").evaluate("box => box.scrollWidth <= box.clientWidth")
    assert tab.page.evaluate("document.documentElement.scrollWidth") == 375
    assert is_quiet(tab)


def test_intervals_ranks_marks_and_costs_are_shown_on_a_phone_too(tmp_path: Path, open_page: OpenPage) -> None:
    tab = open_page(write_page(tmp_path, make_told_records()), width=375, height=700)
    page = tab.page
    ranks = dict(zip(column(tab, "detector", "#heat"), column(tab, "average rank", "#heat"), strict=True))
    assert ranks == {"ecg": "1.50", "ecg[k=30]": "1.50", "loss ‡": "3.00", "margin": "4.00", "random": "5.00"}
    assert "annotator" not in page.locator("#heat thead").inner_text()
    page.locator("#noise").select_option("uniform")
    shown = dict(zip(column(tab, "detector"), column(tab, "95 % interval"), strict=True))
    assert shown["margin"] == "–"  # noqa: RUF001
    assert re.fullmatch(r"0\.\d{3} to 0\.\d{3}", shown["loss ‡"])
    assert [name for name, one in zip(shown, column(tab, "AUROC"), strict=True) if "≈" in one] == ["ecg[k=30]"]
    assert page.locator("#costs tfoot tr").inner_text().split("\t")[2:] == ["170", "900", "512", "123,456", "9,876"]
    page.locator("#costs th", has_text="artifact").get_by_role("button").click()
    assert column(tab, "artifact", "#costs table:has(tfoot)") == [HOSTILE, "TextEmbeddings"]
    assert dict(zip(column(tab, "detector", "#costs"), column(tab, "reads", "#costs"), strict=False))["ecg"] == "1-2"
    dialog = page.get_by_role("dialog")
    for name, said in [("ecg", "run here"), ("loss ‡", "self-reported"), ("margin", "Transition matrix–")]:  # noqa: RUF001
        page.locator("#table").get_by_role("button", name=name, exact=True).click()
        assert said in str(dialog.text_content())
        assert dialog.evaluate("box => box.scrollWidth <= box.clientWidth")
        page.keyboard.press("Escape")
    page.locator("#table").get_by_role("button", name="ecg", exact=True).press("Enter")
    matrix = dialog.get_by_role("region", name="Transition matrix, seed 1")
    assert matrix.locator("tbody").inner_text().split() == ["0", "181", "20", "1", "20", "179"]
    expect(dialog.get_by_role("region", name="Artifacts by seed")).to_contain_text(HOSTILE)
    expect(dialog.get_by_role("region", name="Cells by seed")).to_contain_text("peak MiB")
    assert page.evaluate("document.documentElement.scrollWidth") == 375
    assert is_quiet(tab)


def test_hostile_names_are_text(tab: Tab) -> None:
    page = tab.page
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    page.locator("#data").select_option("")
    page.locator("#rate").select_option("0.2")
    assert column(tab, "detector") == [HOSTILE]
    page.locator("#table .open").click()
    expect(page.get_by_role("dialog")).to_contain_text(HOSTILE)
    assert page.locator("img").count() == 0
    assert page.locator("script").count() == 2
    assert dialogs == []
    assert is_quiet(tab)


def test_what_was_run_elsewhere_is_marked_wherever_its_name_stands(tmp_path: Path, open_page: OpenPage) -> None:
    tab = open_page(write_page(tmp_path, [*make_records(), make_cell("theirs", 0, 3.0, origin="self-reported")]))
    for box in ("#table", "#heat"):
        assert "theirs ‡" in column(tab, "detector", box)
        assert "ecg" in column(tab, "detector", box)
    tab.page.locator("#table").get_by_role("button", name="theirs ‡").first.click()
    expect(tab.page.get_by_role("dialog").get_by_role("heading", name="theirs ‡")).to_be_visible()
    expect(tab.page.locator("footer")).to_contain_text("‡ are self-reported")
    assert is_quiet(tab)


def test_the_keyboard_reaches_the_results_first_and_shows_where_it_is(tab: Tab) -> None:
    tab.page.keyboard.press("Tab")
    assert tab.page.evaluate("document.activeElement.className") == "skip"
    tab.page.keyboard.press("Enter")
    tab.page.keyboard.press("Tab")  # the box of the heat map, which scrolls by its arrows
    tab.page.keyboard.press("Tab")
    header = tab.page.evaluate("[document.activeElement.tagName, document.activeElement.closest('th') !== null]")
    assert header == ["BUTTON", True]
    assert tab.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_a_page_without_records_opens(tmp_path: Path, open_page: OpenPage) -> None:
    (tmp_path / "results").mkdir()
    tab = open_page(write_site(tmp_path))
    expect(tab.page.locator("#heat")).to_contain_text("No row is left")
    assert is_quiet(tab)
