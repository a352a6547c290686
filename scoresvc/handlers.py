"""One function per call: reads the request, asks the store, returns a plain value."""

from __future__ import annotations

from scoresvc.errors import Unauthorized
from scoresvc.request import Request
from scoresvc.store import Store, UserScore


def greet(store: Store, request: Request) -> str:
    return "Hello, World!"


def log_in(store: Store, request: Request) -> str:
    user_id = request.path_uint31("userid")
    request.parameters()
    return store.log_in(user_id)


def post_score(store: Store, request: Request) -> None:
    level_id = request.path_uint31("levelid")
    score = request.body_uint31("score")
    user_id = store.session_user(request.session_key())
    if user_id is None:
        raise Unauthorized
    store.post_score(level_id, user_id, score)


def list_high_scores(store: Store, request: Request) -> tuple[UserScore, ...]:
    level_id = request.path_uint31("levelid")
    request.parameters()
    return store.high_scores(level_id)
