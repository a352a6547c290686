"""The table of all calls: method, path, and for each form of the answer the handler and the writer of its value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from scoresvc import formats, handlers
from scoresvc.errors import MethodNotAllowed, UnknownPath
from scoresvc.request import Request
from scoresvc.store import Store

READ = ("GET", "HEAD")
GET = ("GET",)
POST = ("POST",)

TEXT = "text/plain; charset=utf-8"
CSV = "text/csv; charset=utf-8"
JSON = "application/json"

PATHS_KEPT = 4096  # whose route is remembered
PATH_CHARACTERS_KEPT = 64  # the longest of them

NO_STORE = (("Cache-Control", "no-store"),)


class Answer(NamedTuple):
    handler: Callable[[Store, Request], Any]
    write: Callable[[Any], str]
    content_type: str


class Route(NamedTuple):
    """One call. `<name>` in `path` stands for decimal digits, `parameters` are those of the query.

    `is_unbounded` says that an answer may be of any length.
    """

    methods: tuple[str, ...]
    path: str
    plain: Answer
    json: Answer | None = None
    headers: tuple[tuple[str, str], ...] = ()
    parameters: tuple[str, ...] = ()
    is_unbounded: bool = False


KEY = Answer(handlers.log_in, formats.write_key, TEXT)
SESSION = Answer(handlers.log_in, formats.write_session_json, JSON)

# A login is no READ: a HEAD would make a key that nobody sees.
ROUTES = (
    Route(READ, "/", Answer(handlers.greet, formats.write_text, TEXT)),
    Route(GET, "/<userid>", KEY, SESSION, NO_STORE),
    Route(GET, "/<userid>/#", KEY, SESSION, NO_STORE),
    Route(GET, "/<userid>/login", KEY, SESSION, NO_STORE),
    Route(
        POST,
        "/<levelid>/score",
        Answer(handlers.post_score, formats.write_nothing, TEXT),
        Answer(handlers.post_score_and_rank, formats.write_post_json, JSON),
        parameters=("sessionkey",),
    ),
    Route(
        READ,
        "/<levelid>/highscorelist",
        Answer(handlers.list_high_scores, formats.write_list, CSV),
        Answer(handlers.show_board, formats.write_board_json, JSON),
        parameters=("limit", "after", "users"),
    ),
    Route(
        READ,
        "/<levelid>/around/<userid>",
        Answer(handlers.show_around, formats.write_board, CSV),
        Answer(handlers.show_around, formats.write_board_json, JSON),
        parameters=("count",),
    ),
    Route(
        READ,
        "/<levelid>/rank/<userid>",
        Answer(handlers.show_rank, formats.write_rank, TEXT),
        Answer(handlers.show_rank, formats.write_standing_json, JSON),
    ),
    Route(
        READ,
        "/<userid>/scores",
        Answer(handlers.list_scores, formats.write_level_scores, CSV),
        Answer(handlers.show_scores, formats.write_standings_json, JSON),
        is_unbounded=True,
    ),
)

Shape = tuple[str | None, ...]


def _shape(path: str) -> Shape:
    """The segments of a path, with None where there is a number."""
    return tuple(None if segment.startswith("<") else segment for segment in path.rstrip("/").split("/"))


_ROUTES_BY_SHAPE = {_shape(route.path): route for route in ROUTES}
_NAMES = {route.path: [s[1:-1] for s in route.path.split("/") if s.startswith("<")] for route in ROUTES}


def find_route(method: str, path: str) -> tuple[Route, Mapping[str, str]]:
    """Returns the route with the digits of `path` by name. Raises UnknownPath or MethodNotAllowed.

    Every path may end in one `/`.
    """
    return _find_and_keep(method, path) if len(path) <= PATH_CHARACTERS_KEPT else _find(method, path)


def _find(method: str, path: str) -> tuple[Route, Mapping[str, str]]:
    segments = path.removesuffix("/").split("/")
    numbers = [segment for segment in segments if segment.isascii() and segment.isdigit()]
    route = _ROUTES_BY_SHAPE.get(tuple([None if segment in numbers else segment for segment in segments]))
    if route is None:
        raise UnknownPath
    if method not in route.methods:
        raise MethodNotAllowed(route.methods)
    return route, dict(zip(_NAMES[route.path], numbers, strict=True))


_find_and_keep = lru_cache(PATHS_KEPT)(_find)
