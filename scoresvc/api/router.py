"""Finds the call for a method and a path, and prepares each call of the table once."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from msgspec import Struct

from scoresvc.api.admin_parameters import FieldParameter, Parameter, SettingsParameter, TokenParameter
from scoresvc.api.authorization import is_admin
from scoresvc.api.bodies import BodyForm
from scoresvc.api.call import Call
from scoresvc.api.calls import CALLS
from scoresvc.api.formats import JSON, TEXT, write_json, write_lines
from scoresvc.api.parameters import (
    FORMAT,
    BodyParameter,
    FormatParameter,
    PathParameter,
    QueryParameter,
    SessionKeyParameter,
    TextBodyParameter,
    TextParameter,
)
from scoresvc.api.request import Headers, Request
from scoresvc.api.sent import QueryReader, Sent
from scoresvc.errors import FractionInPath, MethodNotAllowed, Refusal, UnknownPath

PATHS_CACHED = 4096
PATH_CHARACTERS_CACHED_MAX = 64
SEGMENTS_MAX = 6  # more than any path has

NO_STORE = Headers((("Cache-Control", "no-store"),))  # RFC 9111, 5.2.2
REVALIDATE = Headers((("Cache-Control", "no-cache"),))

FORMAT_GIVEN = re.compile(f"(^|&){FORMAT.name}=")

_FRACTION = re.compile(r"(?<=[0-9])\.[0-9]*$")

WHOLE_BODY = (BodyParameter, TextBodyParameter)
IN_BODY = (*WHOLE_BODY, FieldParameter, SettingsParameter)

Arguments = dict[str, Any]


class Form(NamedTuple):
    """One of the two forms of an answer."""

    handler: Callable[..., Any]
    write: Callable[[Any], str | bytes]
    content_type: str


class Route(NamedTuple):
    """A call, prepared for its requests."""

    methods: tuple[str, ...]
    path_parameters: tuple[PathParameter, ...]
    readers: tuple[tuple[str, Callable[[Sent], Any]], ...]  # of the others: argument and `read`, in order of the checks
    query_reader: QueryReader
    plain: Form
    json: Form | None
    lines: Form | None  # by the parameter `format`
    page: Route | None  # for browsers
    headers: Headers
    is_page: bool
    has_etag: bool
    is_logged: bool
    name: str  # of the call, for the metrics
    is_counted: bool
    option: str
    token: TokenParameter | None
    is_admin: bool
    is_guarded: bool  # not open to everyone at all times: has an option or a token
    body_form: BodyForm
    reads_body: bool
    is_slow: bool
    defaults: Arguments | None  # the arguments of a request without a query, where nothing else is read

    def read_arguments(self, request: Request) -> Arguments:
        """Returns the values of all parameters but those of the path. Raises their refusals."""
        sent = Sent(request, self.query_reader, self.body_form)
        arguments = {argument: read(sent) for argument, read in self.readers}
        _ = sent.query  # a query is checked although the call takes nothing from it
        return arguments

    def for_browsers(self, query: str) -> Route:
        return self.page if self.page and not (self.lines and FORMAT_GIVEN.search(query)) else self

    def choose_form(self, query: str, prefers_json: bool) -> Form:
        """Raises BadFormat, and what the query is refused for."""
        if query and self.lines and FORMAT.is_given(self.query_reader.read(query)):
            return self.lines
        return self.json if prefers_json and self.json else self.plain


def make_route(call: Call) -> Route:
    parameters = [each for each in call.takes if not isinstance(each, PathParameter | FormatParameter | TokenParameter)]
    of_admin = is_admin(call.path)
    return Route(
        methods=call.methods,
        path_parameters=tuple(each for each in call.takes if isinstance(each, PathParameter)),
        readers=tuple((each.argument, each.read) for each in parameters),
        query_reader=_make_query_reader(call.takes),
        plain=Form(call.text_handler or call.handler, call.text.write, call.text.content_type),
        json=Form(call.handler, write_json, JSON) if issubclass(call.gives, Struct) else None,
        lines=Form(call.handler, write_lines, TEXT) if FORMAT in call.takes else None,
        page=make_route(call.page) if call.page else None,
        is_page=call.is_page,
        headers=REVALIDATE if call.has_etag else NO_STORE if call.method == "GET" or of_admin else Headers(),
        has_etag=call.has_etag,
        is_logged=not call.is_status,
        name=call.name,
        is_counted=call.is_counted,
        option=call.option,
        token=call.token,
        is_admin=of_admin,
        is_guarded=bool(call.option or call.token),
        body_form=_make_body_form(parameters),
        reads_body=any(isinstance(each, IN_BODY) for each in parameters),
        is_slow=call.is_slow,
        defaults=_find_defaults(parameters),
    )


def _make_body_form(parameters: Sequence[Parameter]) -> BodyForm:
    names = [
        each.query_names if isinstance(each, SettingsParameter) else (each.name,)
        for each in parameters
        if isinstance(each, (*IN_BODY, TextParameter, SessionKeyParameter))
    ]
    whole = next((each.name for each in parameters if isinstance(each, WHOLE_BODY)), "")
    return BodyForm(tuple(itertools.chain(*names)), whole)


def _make_query_reader(parameters: Sequence[Parameter]) -> QueryReader:
    of_query = [each for each in parameters if isinstance(each, QueryParameter)]
    return QueryReader(
        tuple(name for each in parameters if not isinstance(each, PathParameter) for name in each.query_names),
        {each.name: each.excludes for each in of_query if each.excludes},
        {each.name for each in of_query if each.takes_list},
    )


def _find_defaults(parameters: Sequence[Parameter]) -> Arguments | None:
    of_query = [each for each in parameters if isinstance(each, QueryParameter)]
    return {each.argument: each.default for each in of_query} if len(of_query) == len(parameters) else None


Shape = tuple[str | None, ...]


def _shape(path: str) -> Shape:
    """The segments of a path, with None where there is a number."""
    return tuple(None if segment.startswith("<") else segment for segment in path.rstrip("/").split("/"))


PATHS = tuple(call.path for call in CALLS if call.path != "/" and not call.option and not is_admin(call.path))
ADMIN_PATHS = tuple(dict.fromkeys(call.path for call in CALLS if is_admin(call.path)))

Routes = Mapping[str, Route]  # by method, of one path


def _make_routes() -> Mapping[Shape, Routes]:
    routes: dict[Shape, dict[str, Route]] = {}
    for call in CALLS:
        route = make_route(call)
        for path in (call.path, *call.other_paths):
            routes.setdefault(_shape(path), {}).update(dict.fromkeys(call.methods, route))
    return routes


_ROUTES = _make_routes()


def find_route(method: str, path: str) -> tuple[Route, Arguments]:
    """Returns the route with the values of its path parameters.

    Raises UnknownPath, FractionInPath, MethodNotAllowed or BadNumber. A path may end in one `/` and begin with several.
    """
    # There are as many paths of logins as users; and what is cached would tell who has logged in lately.
    if len(path) > PATH_CHARACTERS_CACHED_MAX or path.endswith("/login"):
        return _find(method, path)
    return _find_cached(method, path)


def methods_of(path: str) -> tuple[str, ...]:
    """Returns the methods that a path has, with OPTIONS itself. Raises UnknownPath, FractionInPath."""
    routes, _ = _match(path)
    return *routes, "OPTIONS"


def _find(method: str, path: str) -> tuple[Route, Arguments]:
    routes, numbers = _match(path)
    route = routes.get(method)
    if route is None:
        raise MethodNotAllowed(tuple(routes))
    return route, _read_numbers(route.path_parameters, numbers)


def _match(path: str) -> tuple[Routes, list[str]]:
    """Returns the routes of a path with the numbers in it."""
    if path.startswith("//"):  # some servers strip them, and cannot be told not to
        path = "/" + path.lstrip("/")
    segments = path.removesuffix("/").split("/", SEGMENTS_MAX)
    shape = _shape_of(segments)
    routes = _ROUTES.get(shape)
    if routes is None:
        raise _refuse_path(segments)
    return routes, [segment for segment, fixed in zip(segments, shape, strict=True) if fixed is None]


def _shape_of(segments: Sequence[str]) -> Shape:
    return tuple([None if segment.isascii() and segment.isdigit() else segment for segment in segments])


def _refuse_path(segments: Sequence[str]) -> Refusal:
    """Returns FractionInPath for a path that is known but for a fraction of a number."""
    integers = [_FRACTION.sub("", segment) for segment in segments]
    shape = _shape_of(integers)
    routes = _ROUTES.get(shape)
    if routes is None:
        return UnknownPath(ADMIN_PATHS if segments[1:2] == ["admin"] else PATHS)
    route = next(iter(routes.values()))
    numbers = [pair for *pair, fixed in zip(segments, integers, shape, strict=True) if fixed is None]
    fractions = [
        FractionInPath(parameter.meaning, integer)
        for parameter, (segment, integer) in zip(route.path_parameters, numbers, strict=True)
        if segment != integer
    ]
    return fractions[0]


def _read_numbers(parameters: Sequence[PathParameter], numbers: Sequence[str]) -> Arguments:
    return {each.argument: each.kind.read(each.name, text) for each, text in zip(parameters, numbers, strict=True)}


_find_cached = lru_cache(PATHS_CACHED)(_find)
