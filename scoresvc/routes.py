"""The table of all calls: method, path, handler, how its value is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from scoresvc import handlers
from scoresvc.errors import MethodNotAllowed, UnknownPath
from scoresvc.request import Request
from scoresvc.store import Store, UserScore

READ = ("GET", "HEAD")
GET = ("GET",)
POST = ("POST",)

TEXT = "text/plain; charset=utf-8"
CSV = "text/csv; charset=utf-8"

PATHS_KEPT = 4096  # whose route is remembered
PATH_CHARACTERS_KEPT = 64  # the longest of them
LISTS_KEPT = 1024  # whose text is remembered

NO_STORE = (("Cache-Control", "no-store"),)


def write_text(text: str) -> str:
    return text


def write_nothing(value: None) -> str:
    return ""


@lru_cache(LISTS_KEPT)
def write_scores(scores: tuple[UserScore, ...]) -> str:
    return ",".join([f"{user_id}={score}" for user_id, score in scores])


class Route(NamedTuple):
    """One call. `<name>` in `path` stands for decimal digits, `parameters` are those of the query."""

    methods: tuple[str, ...]
    path: str
    handler: Callable[[Store, Request], Any]
    write: Callable[[Any], str]
    content_type: str
    headers: tuple[tuple[str, str], ...] = ()
    parameters: tuple[str, ...] = ()


# A login is no READ: a HEAD would make a key that nobody sees.
ROUTES = (
    Route(READ, "/", handlers.greet, write_text, TEXT),
    Route(GET, "/<userid>", handlers.log_in, write_text, TEXT, NO_STORE),
    Route(GET, "/<userid>/#", handlers.log_in, write_text, TEXT, NO_STORE),
    Route(GET, "/<userid>/login", handlers.log_in, write_text, TEXT, NO_STORE),
    Route(POST, "/<levelid>/score", handlers.post_score, write_nothing, TEXT, parameters=("sessionkey",)),
    Route(READ, "/<levelid>/highscorelist", handlers.list_high_scores, write_scores, CSV),
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
