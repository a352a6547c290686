"""How answers are written, as plain text or as JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from scoresvc.errors import Refusal
from scoresvc.levels import write_settings
from scoresvc.limits import COUNT_DEFAULT
from scoresvc.pages.admin import write_admin
from scoresvc.pages.boards import write_board, write_levels
from scoresvc.pages.docs import write_docs
from scoresvc.scores import (
    Board,
    BoardEvent,
    ClaimedUser,
    LevelPage,
    NamedUser,
    NewUser,
    PeriodPage,
    ServiceStatus,
    Session,
    Standing,
    Timestamp,
)
from scoresvc.times import format_time

TEXT = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"
EVENT_STREAM = "text/event-stream; charset=utf-8"
CSV = "text/csv; charset=utf-8"
JSON = "application/json"

BOARDS_CACHED = 1024
RECONNECTION_TIME = 2000  # milliseconds, after which a viewer asks again


class TextFormat(NamedTuple):
    """How a value is written as plain text; `pattern` shows it to people."""

    write: Callable[[Any], str | bytes]
    pattern: str
    content_type: str = TEXT


def _write_user_scores(board: Board | str) -> str:
    """The storage makes the text of the most frequent list by itself."""
    return board if isinstance(board, str) else ",".join([f"{each.user_id}={each.score}" for each in board.entries])


def write_lines(board: Board) -> str:
    """Writes a line for each entry: rank, user, score, name with tabs between them."""
    return "".join([f"{each.rank}\t{each.user_id}\t{each.score}\t{each.name or ''}\n" for each in board.entries])


def _write_level_scores(bests: Sequence[tuple[int, int]]) -> str:
    return ",".join([f"{level_id}={score}" for level_id, score in bests])


def _write_levels(page: LevelPage) -> str:
    return ",".join([f"{each.level_id}={each.players}" for each in page.levels])


def _write_periods(page: PeriodPage) -> str:
    return ",".join([each.period for each in page.periods])


def _write_key(session: Session) -> str:
    return session.key


def _write_new_user(user: NewUser) -> str:
    return f"user={user.user_id}\nsecret={user.secret}\nsessionkey={user.key}\n"


def _write_secret(user: ClaimedUser) -> str:
    return user.secret


def _write_name(user: NamedUser) -> str:
    return user.name or ""


def _write_rank(standing: Standing) -> str:
    return str(standing.rank)


def _write_status(status: ServiceStatus) -> str:
    return status.status


GREETING = TextFormat(lambda info: "Hello, World!", "`Hello, World!`")
KEY = TextFormat(_write_key, "`<sessionkey>`: 32 letters and digits")
NEW_USER = TextFormat(_write_new_user, "a line each: `user=<userid>`, `secret=<secret>`, `sessionkey=<sessionkey>`")
SECRET = TextFormat(_write_secret, "`<secret>`: 32 letters and digits")
NAME = TextFormat(_write_name, "`<name>`, nothing where there is none")
NOTHING = TextFormat(lambda value: "", "nothing")
METRICS = TextFormat(str, "metrics", "text/plain; version=0.0.4; charset=utf-8")
HEALTH = TextFormat(_write_status, "`ok`")
READY = TextFormat(_write_status, "`ready`")
RANK = TextFormat(_write_rank, "`<rank>`")
USER_SCORES = TextFormat(_write_user_scores, "`<userid>=<score>,…`", CSV)
LEVEL_SCORES = TextFormat(_write_level_scores, "`<levelid>=<score>,…`", CSV)
LEVELS = TextFormat(_write_levels, "`<levelid>=<players>,…`", CSV)
PERIODS = TextFormat(_write_periods, "`<period>,…`", CSV)
SETTINGS = TextFormat(write_settings, "a line each: `<name>=<value>`")


def write_json(value: object) -> bytes:
    """Writes a value of `scores.py` by its fields, in Python's default layout of JSON."""
    if isinstance(value, Board) and len(value.entries) <= COUNT_DEFAULT:
        return _write_cached(value)
    return _write(value)


def _write(value: object) -> bytes:
    return msgspec.json.format(_ENCODER.encode(value), indent=0)


_write_cached = lru_cache(BOARDS_CACHED)(_write)


def _write_event(event: BoardEvent) -> bytes:
    """Writes a stream of one event, or of none, that ends at once: HTML Standard, 9.2.5."""
    data = b"" if event.board is None else b"data: %b\n" % write_json(event.board)
    return b"retry: %d\nid: %b\n%b\n" % (RECONNECTION_TIME, event.version.encode(), data)


EVENTS = TextFormat(
    _write_event, "Server-Sent Events: the tag of the board as `id`, the list in JSON as `data`", EVENT_STREAM
)


BOARD_PAGE = TextFormat(write_board, "a page in HTML", HTML)
ADMIN_PAGE = TextFormat(write_admin, "a page in HTML", HTML)
LEVELS_PAGE = TextFormat(write_levels, "a page in HTML", HTML)


OPENAPI = TextFormat(msgspec.json.encode, "an OpenAPI document", JSON)
DOCS_PAGE = TextFormat(write_docs, "a page in HTML", HTML)


def write_refusal(refusal: Refusal) -> bytes:
    return _write({"error": {"code": refusal.code, "message": str(refusal)}})


def _encode_special(value: object) -> str:
    if isinstance(value, Timestamp):
        return format_time(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")


_ENCODER = msgspec.json.Encoder(enc_hook=_encode_special)
