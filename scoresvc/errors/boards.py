"""The refusals of what players ask for and post."""

from __future__ import annotations

from scoresvc.errors.base import Refusal


class Unauthorized(Refusal):
    """The session key is missing, unknown or expired: log in again."""

    status = "401 Unauthorized"
    code = "unauthorized"
    headers = (("WWW-Authenticate", "Bearer"),)

    def __init__(self) -> None:
        super().__init__("a valid session key is needed, in ?sessionkey= or Authorization: Bearer; log in again")


class Banned(Refusal):
    """The user is banned."""

    status = "403 Forbidden"
    code = "banned"

    def __init__(self) -> None:
        super().__init__("this user is banned")


class ServerOnly(Refusal):
    """Only the game's own server may post to the level, or logs users in: `posts`, `[users] logins`."""

    status = "403 Forbidden"
    code = "server_only"

    def __init__(self) -> None:
        super().__init__("only the game's own server posts to this level")


class OutOfBounds(Refusal):
    """The score is below `min` or above `max` of the level."""

    status = "422 Unprocessable Entity"
    code = "out_of_bounds"

    def __init__(self, lowest: int, highest: int) -> None:
        super().__init__(f"a score of this level must be from {lowest} to {highest}")


class TooFast(Refusal):
    """The score is higher than the level's `pace` allows so soon after the login."""

    status = "422 Unprocessable Entity"
    code = "too_fast"

    def __init__(self, seconds: int) -> None:
        super().__init__(f"this score needs {seconds} seconds from the login on")


class KeyReused(Refusal):
    """The user has sent this idempotency key with another level or score."""

    status = "422 Unprocessable Entity"
    code = "key_reused"

    def __init__(self) -> None:
        super().__init__("this idempotency key came with another level or score before; take a new one for each post")


class NoScore(Refusal):
    """The user has no score on the level, so no rank either."""

    status = "404 Not Found"
    code = "no_score"

    def __init__(self) -> None:
        super().__init__("this user has no score on this level yet")


class BadPeriod(Refusal):
    """`period` is no period, has no such date, is in the future or before 1970."""

    status = "400 Bad Request"
    code = "bad_period"

    def __init__(self) -> None:
        super().__init__(
            "period must be all, day, week, month, one of these before now such as day-1, or a name such as 2026-11-25,"
            " 2026-W48 or 2026-11, from 1970 to now"
        )


class NoSuchPeriod(Refusal):
    """The level does not keep periods of this kind."""

    status = "404 Not Found"
    code = "no_such_period"

    def __init__(self, kind: str) -> None:
        super().__init__(f"this level has no boards by {kind}; its settings say which it has")


class BadSetting(Refusal):
    """A setting of a level has no such name or value."""

    status = "400 Bad Request"
    code = "bad_setting"

    def __init__(self, name: str, advice: str) -> None:
        super().__init__(f"{name} {advice}")


class HasScores(Refusal):
    """`order` or `keep` of a level with scores is to be changed without `rebuild=yes`."""

    status = "409 Conflict"
    code = "has_scores"

    def __init__(self) -> None:
        super().__init__(
            "the level has scores; with rebuild=yes they are ranked again, from the submissions that are kept"
        )
