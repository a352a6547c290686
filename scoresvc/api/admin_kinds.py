"""The kinds of value that the parameters of the operators' calls may have."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import ClassVar

from scoresvc.actions import STATES
from scoresvc.api.kinds import Refusals, Schema, Word
from scoresvc.errors import BadRowNumber, BadValue
from scoresvc.limits import EXTERNAL_CHARACTERS_MAX, INT64_MAX, NAME_CHARACTERS_MAX

REASON_CHARACTERS_MAX = 256

_BROKEN = re.compile("[\0\ud800-\udfff\ufffd]")  # what a client sent in no UTF-8 is U+FFFD, and could be anyone
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.([0-9]{3}|[0-9]{6}))?)?Z?)?")


class RowNumber:
    """The number of a submission or of an action, at most 2**63 - 1."""

    refuses: ClassVar[Refusals] = (BadRowNumber,)
    schema: ClassVar[Schema] = {"type": "integer", "minimum": 0, "maximum": INT64_MAX}

    def read(self, name: str, text: str) -> int:
        if not re.fullmatch("[0-9]{1,19}", text) or (number := int(text)) > INT64_MAX:
            raise BadRowNumber(name)
        return number


class Moment:
    """A time in UTC, as ISO 8601 or as Unix seconds; nothing is None."""

    refuses: ClassVar[Refusals] = (BadValue,)
    schema: ClassVar[Schema] = {"type": "string", "format": "date-time"}

    def read(self, name: str, text: str) -> int | None:
        """Returns Unix microseconds."""
        if re.fullmatch("[0-9]{1,11}", text):
            return int(text) * 1_000_000
        try:
            return _read_moment(text) if text else None
        except ValueError:
            raise BadValue(name, "must be a time in UTC such as 2026-12-31T23:59:59Z, or in Unix seconds") from None


def _read_moment(text: str) -> int:
    if not _MOMENT.fullmatch(text):
        raise ValueError(text)
    moment = datetime.fromisoformat(text.removesuffix("Z")).replace(tzinfo=timezone.utc)
    return (moment - _EPOCH) // timedelta(microseconds=1)


class Reason:
    """A line for people."""

    refuses: ClassVar[Refusals] = (BadValue,)
    schema: ClassVar[Schema] = {"type": "string", "maxLength": REASON_CHARACTERS_MAX}

    def read(self, name: str, text: str) -> str:
        if len(text) > REASON_CHARACTERS_MAX or not text.isprintable():
            raise BadValue(name, f"must be at most {REASON_CHARACTERS_MAX} printable characters")
        return text


class ExternalText:
    """A text by which the game's own server knows a user."""

    refuses: ClassVar[Refusals] = (BadValue,)
    schema: ClassVar[Schema] = {"type": "string", "minLength": 1, "maxLength": EXTERNAL_CHARACTERS_MAX}

    def read(self, name: str, text: str) -> str:
        if not 1 <= len(text) <= EXTERNAL_CHARACTERS_MAX or _BROKEN.search(text):
            raise BadValue(name, f"must be 1 to {EXTERNAL_CHARACTERS_MAX} characters of UTF-8, without NUL")
        return text


class SearchText:
    """A name that is searched for, whether or not anybody may have it."""

    refuses: ClassVar[Refusals] = (BadValue,)
    schema: ClassVar[Schema] = {"type": "string", "minLength": 1, "maxLength": NAME_CHARACTERS_MAX}

    def read(self, name: str, text: str) -> str:
        if not 1 <= len(text) <= NAME_CHARACTERS_MAX or _BROKEN.search(text):
            raise BadValue(name, f"must be 1 to {NAME_CHARACTERS_MAX} characters of UTF-8, without NUL")
        return text


SEARCH_TEXT = SearchText()
ROW_NUMBER = RowNumber()
STATE = Word(STATES)
MOMENT = Moment()
REASON = Reason()
EXTERNAL_TEXT = ExternalText()
