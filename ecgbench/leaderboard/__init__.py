"""Boards are views: pure functions from records to Markdown and terminal tables."""

from ecgbench.leaderboard.markdown import check_board, render_board, write_board

__all__ = ["check_board", "render_board", "write_board"]
