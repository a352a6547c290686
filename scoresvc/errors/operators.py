"""The refusals of what operators ask for."""

from __future__ import annotations

from scoresvc.errors.base import Refusal


class MetricsNotPublic(Refusal):
    """The metrics are not for everyone."""

    status = "401 Unauthorized"
    code = "metrics_not_public"
    headers = (("WWW-Authenticate", "Bearer"),)

    def __init__(self) -> None:
        super().__init__(
            "the metrics are not public; send a token with the right metrics in Authorization: Bearer, or set"
            " public = yes under [metrics]"
        )


class TokenNeeded(Refusal):
    """A call under /admin without a valid token."""

    status = "401 Unauthorized"
    code = "token_needed"
    headers = (("WWW-Authenticate", "Bearer"),)

    def __init__(self) -> None:
        super().__init__("a valid token is needed, in Authorization: Bearer; scoresvc token add makes one")


class NotAllowed(Refusal):
    """The token lacks the right that the call takes, or is not for all that the call touches."""

    status = "403 Forbidden"
    code = "not_allowed"

    def __init__(self, right: str) -> None:
        super().__init__(
            f"this token does not allow it; it takes the right {right} for the level, or for all levels where the call"
            " is not of one"
        )


class NoSuchToken(Refusal):
    """There is no token of this name."""

    status = "404 Not Found"
    code = "no_such_token"

    def __init__(self) -> None:
        super().__init__("there is no token of this name; scoresvc token list shows them")


class TokenExists(Refusal):
    """There is a token of this name already."""

    status = "409 Conflict"
    code = "token_exists"

    def __init__(self) -> None:
        super().__init__("there is a token of this name already; end it first, or take another name")


class NoSuchSubmission(Refusal):
    """There is no submission of this number."""

    status = "404 Not Found"
    code = "no_such_submission"

    def __init__(self) -> None:
        super().__init__("there is no submission of this number")


class NoSuchAction(Refusal):
    """There is no action of this number."""

    status = "404 Not Found"
    code = "no_such_action"

    def __init__(self) -> None:
        super().__init__("there is no action of this number")


class Superseded(Refusal):
    """A later action changed the same."""

    status = "409 Conflict"
    code = "superseded"

    def __init__(self) -> None:
        super().__init__("a later action has changed the same; undo that one first")


class NotUndoable(Refusal):
    """The action cannot be undone: what it took is gone."""

    status = "410 Gone"
    code = "gone"

    def __init__(self) -> None:
        super().__init__("this action cannot be undone; nothing is kept of what it erased")
