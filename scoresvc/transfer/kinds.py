"""How the values of columns are read and written.

`read` takes what a cell of CSV says, never an empty one, and raises ValueError with what it must be; `write` returns
what JSON has, and CSV the same as text.
"""

from __future__ import annotations

import re
from typing import Any, Protocol

import msgspec

from scoresvc.actions import STATES
from scoresvc.errors import BadPeriod
from scoresvc.limits import INT64_MAX, META_BYTES_MAX, NAME_BYTES_MAX, NAME_CHARACTERS_MAX, UINT31_MAX
from scoresvc.names import read_name
from scoresvc.periods import ALL, name_of, read_wish
from scoresvc.times import format_exact_time, read_time

_NUMBER = re.compile(r"([0-9]{1,19})(\.0{1,9})?")


class ColumnKind(Protocol):
    def read(self, text: str) -> Any: ...

    def write(self, value: Any) -> Any: ...


class NumberColumn:
    """A whole number; a fraction of zero is none."""

    def __init__(self, largest: int = UINT31_MAX) -> None:
        self._largest = largest

    def read(self, text: str) -> int:
        match = _NUMBER.fullmatch(text)
        if match is None or int(match[1]) > self._largest:
            raise ValueError(f"must be a whole number from 0 to {self._largest}")
        return int(match[1])

    def write(self, value: int) -> int:
        return value


class TimeColumn:
    def read(self, text: str) -> int:
        try:
            return read_time(text)
        except ValueError:
            raise ValueError("must be a time such as 2026-12-31T23:59:59.123456Z, or in Unix time") from None

    def write(self, value: int) -> str:
        return format_exact_time(value)


class PeriodColumn:
    """All time, or a day, a week or a month by its name."""

    def read(self, text: str) -> int:
        try:
            wish = read_wish(text)
        except BadPeriod:
            wish = None
        if wish is None or (wish.number is None and wish.kind != "all"):
            raise ValueError("must be all, or a period by its name such as 2026-11-25, 2026-W48 or 2026-11")
        return ALL if wish.number is None else wish.number

    def write(self, value: int) -> str:
        return name_of(value)


class TextColumn:
    """Any text; at most so many bytes of UTF-8."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max

    def read(self, text: str) -> str:
        if len(text.encode()) > self._bytes_max or "\0" in text:
            raise ValueError(f"must be at most {self._bytes_max} bytes of UTF-8")
        return text

    def write(self, value: str) -> str:
        return value


class NameColumn:
    """A name that players see, by the rules of names.py."""

    def read(self, text: str) -> str:
        return read_name(text, NAME_CHARACTERS_MAX, NAME_BYTES_MAX)

    def write(self, value: str) -> str:
        return value


class StateColumn:
    """One of some words; it is stored as its place among them."""

    def __init__(self, words: tuple[str, ...]) -> None:
        self._words = words

    def read(self, text: str) -> int:
        if text not in self._words:
            raise ValueError(f"must be one of {', '.join(self._words)}")
        return self._words.index(text)

    def write(self, value: int) -> str:
        return self._words[value]


class WordColumn:
    """One of some words, which is stored as it is."""

    def __init__(self, *words: str) -> None:
        self._words = words

    def read(self, text: str) -> str:
        if text not in self._words:
            raise ValueError(f"must be one of {', '.join(self._words)}, or nothing")
        return text

    def write(self, value: str) -> str:
        return value


class HashColumn:
    """A SHA-256, in hexadecimal digits."""

    def read(self, text: str) -> bytes:
        if not re.fullmatch("[0-9a-f]{64}", text):
            raise ValueError("must be 64 hexadecimal digits, those of a SHA-256")
        return bytes.fromhex(text)

    def write(self, value: bytes) -> str:
        return value.hex()


class JsonColumn:
    def read(self, text: str) -> dict[str, Any]:
        try:
            return msgspec.json.decode(text, type=dict[str, Any])
        except (msgspec.MsgspecError, RecursionError, ValueError):
            raise ValueError("must be a JSON object") from None

    def write(self, value: dict[str, Any]) -> dict[str, Any]:
        return value


UINT31 = NumberColumn()
ROW_NUMBER = NumberColumn(INT64_MAX)
TIME = TimeColumn()
PERIOD = PeriodColumn()
NAME = NameColumn()
META = TextColumn(META_BYTES_MAX)
LINE = TextColumn(1024)
STATE = StateColumn(STATES)
BANNED = WordColumn("yes", "hidden")
HASH = HashColumn()
JSON_OBJECT = JsonColumn()
