"""The table of all calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from scoresvc.api import boards, formats, monitoring, root, scores, sessions
from scoresvc.api.formats import TextFormat
from scoresvc.api.parameters import (
    AFTER,
    FORMAT,
    LEVEL,
    LIMIT,
    NEIGHBOUR_COUNT,
    SCORE,
    SCORE_IN_PATH,
    SESSION_KEY,
    USER,
    USERS,
    Parameter,
)
from scoresvc.errors import MetricsNotPublic, NoScore, NotReady, Refusal
from scoresvc.scores import Board, PostResult, ServiceStatus, Session, Standing, UserScores


class Call(NamedTuple):
    """One call.

    `handler` gets the store and a value for each parameter of `takes`, which are checked in that order; it
    returns a value of the type `gives`, or the write that brings it. JSON has the fields of that value, a str has
    no JSON form. `text` writes the value as plain text; where `text_handler` is given, it writes that one's value:
    the same answer for less work. `refuses` are the refusals besides those of the parameters. `other_paths` and
    `other_methods` lead to the same call. A call that `is_safe` may be asked with HEAD (RFC 9110, 9.2.1); other GETs
    must not be cached. `is_slow` says that an answer may be of any length, or may wait for the disk. One that
    `is_status` is about this moment and asked again and again: it has no tag and no line in the access log. `option`
    names what must be on for the call to be answered.
    """

    method: str
    path: str  # <name> stands for the decimal digits of a path parameter
    handler: Callable[..., Any]
    takes: tuple[Parameter, ...]
    gives: type
    text: TextFormat
    summary: str
    text_handler: Callable[..., Any] | None = None
    refuses: tuple[type[Refusal], ...] = ()
    other_paths: tuple[str, ...] = ()
    other_methods: tuple[str, ...] = ()
    is_safe: bool = True
    is_slow: bool = False
    is_status: bool = False
    option: str = ""  # such as "http.get_posts"

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def methods(self) -> tuple[str, ...]:
        """All methods that are answered."""
        head = ("HEAD",) if self.method == "GET" and self.is_safe else ()
        return (self.method, *head, *self.other_methods)


CALLS = (
    Call(
        "GET",
        "/",
        root.greet,
        takes=(),
        gives=str,
        text=formats.GREETING,
        summary="A greeting.",
    ),
    Call(
        "GET",
        "/health",
        monitoring.health,
        takes=(),
        gives=ServiceStatus,
        text=formats.HEALTH,
        is_status=True,
        summary="Whether the process answers.",
    ),
    Call(
        "GET",
        "/ready",
        monitoring.ready,
        takes=(),
        gives=ServiceStatus,
        text=formats.READY,
        refuses=(NotReady,),
        is_slow=True,
        is_status=True,
        summary="Whether the database can be read and takes writes; writes nothing itself.",
    ),
    Call(
        "GET",
        "/metrics",
        monitoring.metrics,
        takes=(),
        gives=str,
        text=formats.METRICS,
        is_slow=True,
        is_status=True,
        option="metrics.public",
        refuses=(MetricsNotPublic,),
        summary="Metrics for Prometheus, where `[metrics] public` is on.",
    ),
    Call(
        "GET",
        "/<userid>/login",
        sessions.log_in,
        takes=(USER,),
        gives=Session,
        text=formats.KEY,
        other_paths=("/<userid>", "/<userid>/#"),
        other_methods=("POST",),  # for clients that cache whatever they GET
        is_safe=False,
        summary="Logs a user in: the key is good for ten minutes.",
    ),
    Call(
        "GET",
        "/<userid>/scores",
        boards.user_scores,
        takes=(USER,),
        gives=UserScores,
        text=formats.LEVEL_SCORES,
        text_handler=boards.bests,
        is_slow=True,
        summary="A user's best on every level.",
    ),
    Call(
        "POST",
        "/<levelid>/score",
        scores.post_and_rank,
        takes=(LEVEL, SCORE, SESSION_KEY),
        gives=PostResult,
        text=formats.NOTHING,
        text_handler=scores.post,
        is_safe=False,
        summary="Posts the score in the body; only the user's best on the level counts.",
    ),
    Call(
        "GET",
        "/<levelid>/score/<score>",
        scores.post_and_rank,
        takes=(LEVEL, SCORE_IN_PATH, SESSION_KEY),
        gives=PostResult,
        text=formats.NOTHING,
        text_handler=scores.post,
        is_safe=False,
        option="http.get_posts",
        summary="The same for engines that know only GET, where `[http] get_posts` is on.",
    ),
    Call(
        "GET",
        "/<levelid>/highscorelist",
        boards.high_scores,
        takes=(LEVEL, LIMIT, AFTER, USERS, FORMAT),
        gives=Board,
        text=formats.USER_SCORES,
        text_handler=boards.high_scores_as_text,
        summary="The best fifteen, highest first; or the next page; or some users only.",
    ),
    Call(
        "GET",
        "/<levelid>/rank/<userid>",
        boards.rank,
        takes=(LEVEL, USER),
        gives=Standing,
        text=formats.RANK,
        refuses=(NoScore,),
        summary="Where a user stands: one plus the players with a higher score.",
    ),
    Call(
        "GET",
        "/<levelid>/around/<userid>",
        boards.around,
        takes=(LEVEL, USER, NEIGHBOUR_COUNT, FORMAT),
        gives=Board,
        text=formats.USER_SCORES,
        refuses=(NoScore,),
        summary="A user with the neighbours above and below.",
    ),
)
