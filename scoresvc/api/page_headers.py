"""The header fields of pages: what a browser lets them do, and who may show them in a frame."""

from __future__ import annotations

from typing import NamedTuple

from scoresvc.api.request import Headers
from scoresvc.config import PageOptions
from scoresvc.pages import admin, boards


class PageHeaders(NamedTuple):
    players: Headers
    operators: Headers


def make_page_headers(options: PageOptions) -> PageHeaders:
    everywhere = (
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "no-referrer"),
        ("Cross-Origin-Embedder-Policy", "require-corp"),  # without it, no frame in a page that has it itself
    )
    players = (
        ("Cache-Control", "no-cache"),
        ("Content-Security-Policy", boards.ASSETS.policy(options.frames)),
        ("Cross-Origin-Resource-Policy", "cross-origin"),
    )
    operators = (
        ("Cache-Control", "no-store"),
        ("Content-Security-Policy", admin.ASSETS.policy(())),
        ("Cross-Origin-Resource-Policy", "same-origin"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
    )
    return PageHeaders(Headers((*players, *everywhere)), Headers((*operators, *everywhere)))
