"""index.html: template, style and script of this folder around the data of the records."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

from ecgbench.leaderboard.board import build_tables
from ecgbench.leaderboard.markdown import REPORTED_MARK, RESULTS_FOLDER, TIE_MARK
from ecgbench.leaderboard.site.data import describe_board
from ecgbench.results import CellRecord, read_results_folder
from ecgbench.whole_files import write_whole

SITE_FILE = Path("site", "index.html")
_TEMPLATE = "index.html.j2"
_STYLE = "board.css"
_SCRIPTS = ("dom.js", "tables.js", "charts.js", "costs.js", "details.js", "board.js")


def write_site(folder: Path) -> Path:
    """Write `folder`/site/index.html from `folder`/results/*.jsonl, whole or not at all; return its path."""
    return write_whole(folder / SITE_FILE, _render_folder(folder))


def check_site(folder: Path) -> bool:
    """Say whether `folder`/site/index.html is, byte for byte, what its records give; true where there is none."""
    path = folder / SITE_FILE
    return not path.is_file() or path.read_bytes() == _render_folder(folder)


def render_site(records: Iterable[CellRecord]) -> str:
    """Render a whole board as HTML that asks for nothing outside of itself and runs no script but its own."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("ecgbench.leaderboard.site", "assets"),
        autoescape=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    # `tojson` writes <, > and & as \u003c and so on: no name can end the script that holds it.
    environment.policies["json.dumps_kwargs"] = {"sort_keys": True, "separators": (",", ":"), "allow_nan": False}
    style, script = _read_asset(_STYLE), "".join(map(_read_asset, _SCRIPTS))
    return environment.get_template(_TEMPLATE).render(
        board=describe_board(build_tables(records)),
        tie=TIE_MARK,
        reported=REPORTED_MARK,
        style=Markup(style),  # this and the script: files of this package
        script=Markup(script),
        style_digest=_digest(style),
        script_digest=_digest(script),
    )


def _render_folder(folder: Path) -> bytes:
    return render_site(read_results_folder(folder / RESULTS_FOLDER)).encode("utf-8")


def _read_asset(name: str) -> str:
    return files("ecgbench.leaderboard.site").joinpath("assets", name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    """Return the digest by which a page's policy knows a script or style of its own."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
