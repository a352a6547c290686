"""What a client may send to the calls for people who look at boards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from scoresvc.api import kinds
from scoresvc.api.kinds import COUNT, UINT31, YES_NO, Refusals
from scoresvc.api.parameters import QueryParameter
from scoresvc.api.sent import Sent
from scoresvc.limits import COUNT_MAX, LEVELS_LISTED


@dataclass(frozen=True)
class HeaderParameter:
    """A field of the header as it is, empty where it is not sent."""

    name: str
    meaning: str

    query_names: ClassVar[tuple[str, ...]] = ()
    refuses: ClassVar[Refusals] = ()

    @property
    def argument(self) -> str:
        return self.name.lower().replace("-", "_")

    def read(self, sent: Sent) -> str:
        return sent.request.headers.get(self.name.lower(), "")


OWN_USER = QueryParameter("user", UINT31, "a user to mark, with the neighbours")
THEME = QueryParameter("theme", kinds.THEME, "`light`, `dark`, or `clear` for overlays; `auto` if left out", "auto")
TITLE = QueryParameter("title", YES_NO, "`no`: without the title", True)
LIVE = QueryParameter("live", YES_NO, "`no`: stays as it is", True)
PAGE_LIMIT = QueryParameter("limit", COUNT, f"levels, 1 to {COUNT_MAX}; {LEVELS_LISTED} if left out", LEVELS_LISTED)
LAST_EVENT_ID = HeaderParameter("Last-Event-ID", "the header `Last-Event-ID`: the last `id` that the client has")
