"""The kinds of value that a parameter may have."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

from scoresvc.errors import (
    BadCount,
    BadCursor,
    BadName,
    BadNumber,
    BadPeriod,
    BadScore,
    BadUsers,
    BadValue,
    NoSuchPeriod,
    Refusal,
)
from scoresvc.levels import PERIOD_KINDS
from scoresvc.limits import COUNT_MAX, META_BYTES_MAX, NAME_BYTES_MAX, NAME_CHARACTERS_MAX, UINT31_MAX
from scoresvc.names import read_name
from scoresvc.pages.boards import THEMES
from scoresvc.periods import PeriodWish, read_wish

_NUMBER = re.compile("[0-9]{1,10}")
_WRAPPED_NUMBER = re.compile(
    r"""\ufeff?[ \t\r\n\x0b\x0c]*(?P<quote>["']?)(?P<number>[0-9]{1,10})(?:\.0+)?(?P=quote)[ \t\r\n\x0b\x0c]*"""
)

_NO_META = re.compile("[\0-\x1f\x7f-\x9f\ud800-\udfff\ufffd]")
_KEY = re.compile("[A-Za-z0-9._-]{1,64}")

Schema = dict[str, Any]  # JSON Schema
Refusals = tuple[type[Refusal], ...]


class Kind(Protocol):
    """A kind of value: how it is read from text, what it refuses, and what it is in JSON Schema."""

    @property
    def refuses(self) -> Refusals: ...

    @property
    def schema(self) -> Schema: ...

    def read(self, name: str, text: str) -> Any: ...


class Uint31:
    """A number from 0 to 2147483647."""

    refuses: ClassVar[Refusals] = (BadNumber,)
    schema: ClassVar[Schema] = {"type": "integer", "minimum": 0, "maximum": UINT31_MAX}

    def read(self, name: str, text: str) -> int:
        if not _NUMBER.fullmatch(text) or (number := int(text)) > UINT31_MAX:
            raise BadNumber(name)
        return number


class Score(Uint31):
    """A score as clients write it: perhaps with blanks around it, in quotes, with a fraction of zero."""

    def read(self, name: str, text: str) -> int:
        if not _NUMBER.fullmatch(text):
            text = _unwrap(name, text)
        if (number := int(text)) > UINT31_MAX:
            raise BadScore(name)
        return number


def _unwrap(name: str, text: str) -> str:
    """Returns the digits alone. Raises BadScore."""
    wrapped = _WRAPPED_NUMBER.fullmatch(text)
    if wrapped is None:
        raise BadScore(name)
    return wrapped["number"]


class Count:
    """A number of entries, 1 to 1000."""

    refuses: ClassVar[Refusals] = (BadCount,)
    schema: ClassVar[Schema] = {"type": "integer", "minimum": 1, "maximum": COUNT_MAX}

    def read(self, name: str, text: str) -> int:
        if not _NUMBER.fullmatch(text) or not 1 <= int(text) <= COUNT_MAX:
            raise BadCount(name)
        return int(text)


class UserList:
    """Users with commas between them, at most 1000; blanks and commas without a number are ignored."""

    refuses: ClassVar[Refusals] = (BadUsers,)
    schema: ClassVar[Schema] = {"type": "array", "items": Uint31.schema, "maxItems": COUNT_MAX}

    def read(self, name: str, text: str) -> list[int]:
        texts = [each for each in map(str.strip, text.split(",")) if each]
        if len(texts) > COUNT_MAX:
            raise BadUsers(name)
        try:
            return [UINT31.read(name, each) for each in texts]
        except BadNumber:
            raise BadUsers(name) from None


class Name:
    """A name of a user; the rules are those of names.py."""

    refuses: ClassVar[Refusals] = (BadName,)
    schema: ClassVar[Schema] = {"type": "string", "minLength": 1, "maxLength": NAME_CHARACTERS_MAX}

    def read(self, name: str, text: str) -> str:
        try:
            return read_name(text, NAME_CHARACTERS_MAX, NAME_BYTES_MAX)
        except ValueError as error:
            raise BadName(str(error)) from None


class Meta:
    """What a game sends with a score, and gets back with it."""

    refuses: ClassVar[Refusals] = (BadValue,)
    schema: ClassVar[Schema] = {"type": "string", "maxLength": META_BYTES_MAX}

    def read(self, name: str, text: str) -> str:
        if _NO_META.search(text) or len(text.encode()) > META_BYTES_MAX:
            raise BadValue(name, f"must be at most {META_BYTES_MAX} bytes of UTF-8 without control characters")
        return text


class IdempotencyKey:
    """A key that a client chooses for each post, to send it again safely."""

    refuses: ClassVar[Refusals] = (BadValue,)
    schema: ClassVar[Schema] = {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"}

    def read(self, name: str, text: str) -> str:
        if not _KEY.fullmatch(text):
            raise BadValue(name, "must be 1 to 64 of the characters A-Z a-z 0-9 . _ -")
        return text


class Cursor:
    """The `next` of an earlier answer; only the storage, which signed it, can tell whether it is one."""

    refuses: ClassVar[Refusals] = (BadCursor,)
    schema: ClassVar[Schema] = {"type": "string", "maxLength": 99}

    def read(self, name: str, text: str) -> str:
        return text


class PeriodName:
    """A period, by name or counted back from now; only the storage knows the level's zone and what it keeps."""

    refuses: ClassVar[Refusals] = (BadPeriod, NoSuchPeriod)
    schema: ClassVar[Schema] = {"type": "string"}

    def read(self, name: str, text: str) -> PeriodWish:
        return read_wish(text)


class Word:
    """One of some words; the call may refuse what one of them stands for with `refuses`."""

    def __init__(self, words: Sequence[str], *refuses: type[Refusal]) -> None:
        self.refuses: Refusals = (BadValue, *refuses)
        self.schema: Schema = {"type": "string", "enum": list(words)}
        self._words = words

    def read(self, name: str, text: str) -> str:
        if text not in self._words:
            raise BadValue(name, f"must be one of: {', '.join(self._words)}")
        return text


class YesOrNo:
    """Nothing is no."""

    refuses: ClassVar[Refusals] = (BadValue,)
    schema: ClassVar[Schema] = {"type": "string", "enum": ["yes", "no"]}

    def read(self, name: str, text: str) -> bool:
        if text not in _WORDS:
            raise BadValue(name, "must be yes or no")
        return _WORDS[text]


_WORDS: dict[str, bool] = {"yes": True, "no": False, "": False}

META = Meta()
IDEMPOTENCY_KEY = IdempotencyKey()
NAME = Name()
UINT31 = Uint31()
SCORE = Score()
COUNT = Count()
USER_LIST = UserList()
CURSOR = Cursor()
PERIOD_NAME = PeriodName()
PERIOD_KIND = Word(PERIOD_KINDS, NoSuchPeriod)
THEME = Word(THEMES)
YES_NO = YesOrNo()
