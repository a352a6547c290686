"""Who may call what an operator calls.

Theory of operation: a call says with its TokenParameter which right it takes; which levels it touches follows from
the numbers in its path. So `authorize` decides for all of them, before anything else of the request is read. What is
not of one level, such as a user, a login or the audit log, takes a token for all levels. To undo what changed settings
takes the right to set them. While the database has no token, whatever is under /admin is refused as a path that does
not exist.
"""

from __future__ import annotations

from collections.abc import Mapping

from scoresvc.actions import Token
from scoresvc.api.parameters import read_bearer
from scoresvc.errors import NotAllowed, TokenNeeded
from scoresvc.storage import Store
from scoresvc.tokens import allows_level, allows_right


def is_admin(path: str) -> bool:
    """Returns whether a path is an operator's, known or not."""
    return path.startswith(("/admin", "//")) and path.lstrip("/").partition("/")[0] == "admin"


def authorize(store: Store, right: str, numbers: Mapping[str, int], headers: Mapping[str, str]) -> Token:
    """Returns the token of a request whose path has `numbers`. Raises TokenNeeded, NotAllowed."""
    text = read_bearer(headers)
    token = store.admin.token_of(text) if text else None
    if token is None:
        raise TokenNeeded
    right, level_id = _find_object(store, right, numbers)
    if not (allows_right(token, right) and allows_level(token, level_id)):
        raise NotAllowed(right)
    return token


def _find_object(store: Store, right: str, numbers: Mapping[str, int]) -> tuple[str, int | None]:
    """Returns the right that a call takes, and the one level that it touches; None where there is none, or more."""
    if "submission_id" in numbers:
        return right, store.admin.level_of_submission(numbers["submission_id"])
    if "action_id" in numbers:
        record = store.admin.action(numbers["action_id"])
        if record is None:
            return right, None
        return "settings" if "settings" in record.after else right, record.level_id
    return right, numbers.get("level_id")
