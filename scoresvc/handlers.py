"""One function per call: reads the request, asks the store, returns a plain value or the write that brings it."""

from __future__ import annotations

from collections.abc import Sequence

from scoresvc.board import LevelScore, Standing
from scoresvc.errors import ContraryParameters, NoScore, Unauthorized
from scoresvc.request import Request
from scoresvc.store import Board, Post, Session, Store, UserStandings
from scoresvc.writer import Write


def greet(store: Store, request: Request) -> str:
    return "Hello, World!"


def log_in(store: Store, request: Request) -> Write[Session]:
    user_id = request.path_uint31("userid")
    request.parameters()
    return store.log_in(user_id)


def post_score(store: Store, request: Request) -> Write[None]:
    return store.post_score(*_read_post(store, request))


def post_score_and_rank(store: Store, request: Request) -> Write[Post]:
    return store.post_score_and_rank(*_read_post(store, request))


def list_high_scores(store: Store, request: Request) -> Board | str:
    level_id = request.path_uint31("levelid")
    return show_board(store, request) if request.parameters() else store.high_scores(level_id)


def show_board(store: Store, request: Request) -> Board:
    level_id = request.path_uint31("levelid")
    parameters = request.parameters()
    if "users" not in parameters:
        return store.page(level_id, request.count("limit"), parameters.get("after"))
    if len(parameters) > 1:
        raise ContraryParameters
    return store.board_of_users(level_id, request.users())


def show_around(store: Store, request: Request) -> Board:
    level_id, user_id = request.path_uint31("levelid"), request.path_uint31("userid")
    board = store.board_around(level_id, user_id, request.count("count"))
    if board is None:
        raise NoScore
    return board


def show_rank(store: Store, request: Request) -> Standing:
    level_id, user_id = request.path_uint31("levelid"), request.path_uint31("userid")
    request.parameters()
    standing = store.standing_of(level_id, user_id)
    if standing is None:
        raise NoScore
    return standing


def list_scores(store: Store, request: Request) -> Sequence[LevelScore]:
    user_id = request.path_uint31("userid")
    request.parameters()
    return store.scores_of(user_id)


def show_scores(store: Store, request: Request) -> UserStandings:
    user_id = request.path_uint31("userid")
    request.parameters()
    return store.standings_of(user_id)


def _read_post(store: Store, request: Request) -> tuple[int, int, int]:
    level_id = request.path_uint31("levelid")
    score = request.body_uint31("score")
    user_id = store.session_user(request.session_key())
    if user_id is None:
        raise Unauthorized
    return level_id, user_id, score
