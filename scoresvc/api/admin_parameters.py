"""What an operator may send: the token, and the parameters of the calls under /admin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from scoresvc.api.admin_kinds import EXTERNAL_TEXT, MOMENT, REASON, ROW_NUMBER, SEARCH_TEXT, STATE
from scoresvc.api.kinds import NAME, UINT31, YES_NO, Kind, Refusals
from scoresvc.api.page_parameters import HeaderParameter
from scoresvc.api.parameters import (
    BODY_REFUSALS,
    PathParameter,
    PlayerParameter,
    QueryParameter,
)
from scoresvc.api.sent import Sent, read_once
from scoresvc.errors import BadSetting, NotAllowed, RepeatedParameter, TokenNeeded
from scoresvc.levels import KINDS, read_settings


@dataclass(frozen=True)
class TokenParameter:
    """The token of an operator, with the right that the call takes; see `authorization`.

    Where a call `is_recorded` the handler gets the token's name as `actor`.
    """

    right: str
    is_recorded: bool = False

    name: ClassVar[str] = "Authorization"
    argument: ClassVar[str] = "actor"
    query_names: ClassVar[tuple[str, ...]] = ()
    refuses: ClassVar[Refusals] = (TokenNeeded, NotAllowed)

    @property
    def meaning(self) -> str:
        return f"a token with the right {self.right}"


@dataclass(frozen=True)
class FieldParameter:
    """A parameter in the query or in the body; `default` where it is not sent, unless it `is_needed`."""

    name: str
    kind: Kind
    meaning: str
    default: Any = None
    is_needed: bool = False

    @property
    def argument(self) -> str:
        return self.name

    @property
    def query_names(self) -> tuple[str, ...]:
        return (self.name,)

    @property
    def refuses(self) -> Refusals:
        return (*self.kind.refuses, RepeatedParameter, *BODY_REFUSALS)

    def read(self, sent: Sent) -> Any:
        text = read_once(self.name, sent.query, sent.read_body())
        if text is None and not self.is_needed:
            return self.default
        return self.kind.read(self.name, text or "")


@dataclass(frozen=True)
class SettingsParameter:
    """The settings of a level, each in the query or in the body."""

    name: str
    meaning: str

    argument: ClassVar[str] = "settings"
    query_names: ClassVar[tuple[str, ...]] = tuple(KINDS)
    refuses: ClassVar[Refusals] = (BadSetting, RepeatedParameter, *BODY_REFUSALS)

    def read(self, sent: Sent) -> dict[str, Any]:
        """Returns what `read_settings` makes of them."""
        query, body = sent.query, sent.read_body()
        texts = {name: read_once(name, query, body) for name in self.query_names}
        return read_settings((name, text) for name, text in texts.items() if text is not None)


Parameter = PlayerParameter | HeaderParameter | TokenParameter | FieldParameter | SettingsParameter

WITH_READ = TokenParameter("read")
WITH_MODERATE = TokenParameter("moderate", is_recorded=True)
WITH_SETTINGS = TokenParameter("settings", is_recorded=True)
WITH_SERVER = TokenParameter("server")
WITH_METRICS = TokenParameter("metrics")

SUBMISSION = PathParameter("submission", "submission_id", ROW_NUMBER, "the submission")
ACTION = PathParameter("action", "action_id", ROW_NUMBER, "the action")
SUBMISSION_USER = QueryParameter("user", UINT31, "those of one user only")
SUBMISSION_STATE = QueryParameter("state", STATE, "those that are stands, held or removed only")
BAN_REASON = FieldParameter("reason", REASON, "why, for the audit log", "")
BAN_UNTIL = FieldParameter("until", MOMENT, "when it ends, in UTC such as 2026-12-31T23:59:59Z or in Unix seconds")
BAN_HIDE = FieldParameter("hide", YES_NO, "`yes`: the player notices nothing, and counts for nobody else", False)
SETTINGS = SettingsParameter("…", "the settings, such as `order=asc`, in the query, a form or JSON")
REBUILD = FieldParameter("rebuild", YES_NO, "`yes`: a level with scores is ranked again from its submissions", False)
SERVED_USER = FieldParameter("user", UINT31, "the user, in the query, a form or JSON", is_needed=True)
USER_TO_LOG_IN = FieldParameter("user", UINT31, "the user, in the query, a form or JSON")
EXTERNAL = FieldParameter("external", EXTERNAL_TEXT, "or a text of 1 to 128 characters by which you know the user")
SERVED_NAME = FieldParameter("name", NAME, "a name for the user, at the same time")
SEARCHED_NAME = QueryParameter(
    "name", SEARCH_TEXT, "a name; case, accents and look-alikes count for nothing", excludes=("external",)
)
SEARCHED_EXTERNAL = QueryParameter("external", EXTERNAL_TEXT, "or the text by which your server knows the user")
NEW_NAME_OF_USER = FieldParameter("name", NAME, "the name, in the query, a form or JSON", is_needed=True)
