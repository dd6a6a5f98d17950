"""The board as one HTML file that needs no network: the same records give the same bytes."""

from ecgbench.leaderboard.site.page import SITE_FILE, check_site, render_site, write_site

__all__ = ["SITE_FILE", "check_site", "render_site", "write_site"]
