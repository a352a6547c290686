"""Writes the page of a board, the list of the levels, and what is said where there is none."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlencode

from scoresvc.levels import PublicSettings
from scoresvc.limits import COUNT_DEFAULT
from scoresvc.pages.documents import read_assets, write_document
from scoresvc.periods import PeriodWish, first_day, kind_of, read_wish
from scoresvc.scores import Board, LevelPage, WatchedBoard
from scoresvc.times import LAST_SECOND, format_time

THEMES = ("auto", "light", "dark", "clear")  # clear: see-through, to lie over a video
PLACES_MARKED = 3
BOARDS_CACHED = 256
ENTRIES_CACHED_MAX = COUNT_DEFAULT

ASSETS = read_assets("page.css", "board.js")

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_LABELS = {"all": "All time", "day": "Today", "week": "This week", "month": "This month"}


class Look(NamedTuple):
    """How a page looks, whatever is on it."""

    theme: str = THEMES[0]
    title: bool = True
    live: bool = True


class Link(NamedTuple):
    text: str
    query: str
    is_current: bool = False


class BoardPage(NamedTuple):
    """A board for people. `user` is marked; `limit`, `users` and `wish` are what was asked for, for the links."""

    view: Board
    version: str  # of the view
    settings: PublicSettings
    look: Look
    limit: int
    users: tuple[int, ...] | None
    wish: PeriodWish
    user: int | None

    def query(self, **changes: object) -> str:
        """Returns the query of this page with `changes`, without what is so by itself."""
        parameters = {
            "period": None if self.wish.kind == "all" else str(self.wish),
            "limit": None if self.limit == COUNT_DEFAULT else self.limit,
            "users": ",".join(map(str, self.users)) if self.users else None,
            "user": self.user,
            "theme": None if self.look.theme == THEMES[0] else self.look.theme,
            "title": None if self.look.title else "no",
            "live": None if self.look.live else "no",
            **changes,
        }
        return "?" + urlencode({name: value for name, value in parameters.items() if value is not None})


class LevelIndex(NamedTuple):
    """The levels for people."""

    page: LevelPage
    look: Look


def write_board(page: BoardPage) -> str:
    if len(page.view.entries) > ENTRIES_CACHED_MAX or page.user is not None:
        return _write_board(page)
    return _write_board_cached(page)


def _write_board(page: BoardPage) -> str:
    board = page.view
    return write_document(
        "board.html",
        ASSETS,
        look=page.look,
        title=page.settings.title or f"Level {board.level_id}",
        page=page,
        version=page.version,
        board=board,
        around=board.around if isinstance(board, WatchedBoard) else (),
        is_live=page.look.live and board.closed is not True,
        period=describe_period(board.period),
        tabs=[_make_tab(page, kind) for kind in ("all", *page.settings.periods)] if page.settings.periods else [],
        steps=list(_make_steps(page)),
        next=page.query(after=board.next) if board.next else None,
        format_time=format_time,
        format_date=format_date,
        places_marked=PLACES_MARKED,
    )


_write_board_cached = lru_cache(BOARDS_CACHED)(_write_board)


def write_levels(index: LevelIndex) -> str:
    theme = {} if index.look.theme == THEMES[0] else {"theme": index.look.theme}
    return write_document(
        "levels.html",
        ASSETS,
        look=index.look,
        levels=index.page.levels,
        query="?" + urlencode(theme) if theme else "",
        next="?" + urlencode({**theme, "after": index.page.next}) if index.page.next else None,
    )


def write_refusal_page(status: str, message: str) -> str:
    return write_document("refusal.html", ASSETS, look=Look(), status=status, message=message)


def describe_period(name: str) -> str:
    """Returns a period as people say it, such as `Friday, 27 November 2026`; nothing for all time."""
    number = read_wish(name).number
    if number is None:
        return ""
    first = first_day(number)
    if kind_of(number) == "week":
        year, week, _ = first.isocalendar()
        return f"Week {week} of {year}"
    return f"{first:%B %Y}" if kind_of(number) == "month" else f"{first:%A}, {first.day} {first:%B %Y}"


def format_date(microseconds: int) -> str:
    """Writes Unix microseconds as their day in UTC, such as `27 Nov 2026`."""
    day = _EPOCH + timedelta(seconds=min(microseconds // 1_000_000, LAST_SECOND))
    return f"{day.day} {day:%b %Y}"


def _make_tab(page: BoardPage, kind: str) -> Link:
    return Link(_LABELS[kind], page.query(period=None if kind == "all" else kind), str(page.wish) == kind)


def _make_steps(page: BoardPage) -> Iterator[Link]:
    """The periods before and after, where the page is counted from the one that runs."""
    kind, back, _ = page.wish
    if back is not None:
        yield Link(f"The {kind} before", page.query(period=str(PeriodWish(kind, back + 1))))
        if back:
            yield Link(f"The {kind} after", page.query(period=str(PeriodWish(kind, back - 1))))
