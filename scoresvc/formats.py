"""How the values of the calls are written, as plain text or as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from functools import lru_cache

from scoresvc.board import LevelScore, Standing
from scoresvc.errors import Refusal
from scoresvc.store import Board, Post, Session, UserStandings

BOARDS_KEPT = 1024  # whose JSON is remembered
BOARD_LENGTH_KEPT = 15  # the longest of them

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def write_text(text: str) -> str:
    return text


def write_nothing(value: None) -> str:
    return ""


def write_key(session: Session) -> str:
    return session.key


def write_session_json(session: Session) -> str:
    expires_at = _time(int(session.expires_at * 1_000_000))
    return json.dumps({"user": session.user_id, "sessionkey": session.key, "expires_at": expires_at})


def write_post_json(post: Post) -> str:
    return json.dumps(post._asdict())


def write_list(scores: Board | str) -> str:
    return scores if isinstance(scores, str) else write_board(scores)


def write_board(board: Board) -> str:
    return ",".join([f"{entry.user_id}={entry.score}" for entry in board.entries])


def write_board_json(board: Board) -> str:
    return _dump_and_keep(board) if len(board.entries) <= BOARD_LENGTH_KEPT else _dump(board)


def _dump(board: Board) -> str:
    entries = [
        {"rank": rank, "user": user_id, "score": score, "reached_at": _time(reached_at)}
        for rank, user_id, score, reached_at in board.entries
    ]
    return json.dumps({"level": board.level_id, "players": board.players, "entries": entries, "next": board.next})


_dump_and_keep = lru_cache(BOARDS_KEPT)(_dump)


def write_rank(standing: Standing) -> str:
    return str(standing.rank)


def write_standing_json(standing: Standing) -> str:
    """The percentile is the share of the players, in percent, whose score is not higher."""
    percentile = round(100 * (standing.players - standing.rank + 1) / standing.players, 1)
    return json.dumps(
        {
            "level": standing.level_id,
            "user": standing.user_id,
            "score": standing.score,
            "rank": standing.rank,
            "players": standing.players,
            "percentile": percentile,
            "reached_at": _time(standing.reached_at),
        }
    )


def write_level_scores(scores: Sequence[LevelScore]) -> str:
    return ",".join([f"{each.level_id}={each.score}" for each in scores])


def write_standings_json(of_user: UserStandings) -> str:
    scores = [
        {"level": each.level_id, "score": each.score, "rank": each.rank, "players": each.players}
        for each in of_user.standings
    ]
    return json.dumps({"user": of_user.user_id, "scores": scores})


def write_refusal_json(refusal: Refusal) -> str:
    return json.dumps({"error": {"code": refusal.code, "message": str(refusal)}})


def _time(microseconds: int) -> str:
    """Writes Unix microseconds in ISO 8601: UTC, with milliseconds and `Z`."""
    moment = _EPOCH + timedelta(microseconds=microseconds)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
