"""The refusals that are about who a user is."""

from __future__ import annotations

from scoresvc.errors.base import Refusal
from scoresvc.errors.boards import ServerOnly


class SecretNeeded(Refusal):
    """The login needs the secret of the user; the same for a wrong secret and, with `logins = claimed`, for no user."""

    status = "401 Unauthorized"
    code = "secret_needed"
    headers = (("WWW-Authenticate", "Bearer"),)

    def __init__(self) -> None:
        super().__init__("the secret of this user is needed, in ?secret= or Authorization: Bearer")


class LoginByServerOnly(ServerOnly):
    """Only the game's own server logs users in."""

    def __init__(self) -> None:
        Refusal.__init__(self, "only the game's own server logs users in")


class Claimed(Refusal):
    """The user has a secret already."""

    status = "409 Conflict"
    code = "claimed"

    def __init__(self) -> None:
        super().__init__("this user has a secret already; an operator can take it away")


class BadName(Refusal):
    """The name breaks a rule; the sentence says which."""

    status = "400 Bad Request"
    code = "bad_name"

    def __init__(self, rule: str) -> None:
        super().__init__(f"the name {rule}")


class NameTaken(Refusal):
    """Another user has a name that looks the same: `unique_names`."""

    status = "409 Conflict"
    code = "name_taken"

    def __init__(self) -> None:
        super().__init__("another user has this name, or one that looks like it; choose another name")
