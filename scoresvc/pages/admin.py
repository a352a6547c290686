"""Writes the page of operators."""

from __future__ import annotations

from typing import NamedTuple

from scoresvc.pages.documents import read_assets

ASSETS = read_assets("page.css", "board.js")


class AdminPage(NamedTuple):
    """The page of operators."""
