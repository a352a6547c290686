"""How an option is declared, with the kinds of value that it may have."""

from __future__ import annotations

import configparser
import re
from dataclasses import field
from ipaddress import ip_network
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from scoresvc.rate_limits import Rate

RATE_MAX = 1_000_000


class OptionKind(Protocol):
    """A kind of value: `read` raises ValueError that says what would be right, `describe` says it for the manual."""

    def read(self, text: str) -> Any: ...

    def describe(self) -> str: ...


class Whole(NamedTuple):
    """A whole number from `low` to `high`, of `unit`."""

    low: int
    high: int
    unit: str = ""

    def read(self, text: str) -> int:
        if not re.fullmatch("[0-9]{1,10}", text) or not self.low <= int(text) <= self.high:
            raise ValueError(f"must be a whole number from {self.low} to {self.high}")
        return int(text)

    def describe(self) -> str:
        return f"{self.low} to {self.high} {self.unit}".rstrip()


class OneOf(NamedTuple):
    words: tuple[str, ...]

    def read(self, text: str) -> str:
        if text not in self.words:
            raise ValueError(f"must be one of: {', '.join(self.words)}")
        return text

    def describe(self) -> str:
        return f"One of: {', '.join(self.words)}"


class YesNo:
    def read(self, text: str) -> bool:
        if text.lower() not in configparser.RawConfigParser.BOOLEAN_STATES:
            raise ValueError("must be yes or no")
        return configparser.RawConfigParser.BOOLEAN_STATES[text.lower()]

    def describe(self) -> str:
        return "yes or no"


class Origins:
    def read(self, text: str) -> tuple[str, ...]:
        origins = tuple(text.replace(",", " ").split())
        if not all(re.fullmatch(r"\*|null|[a-z][a-z0-9+.-]*://[^\s/?#]+", origin) for origin in origins):
            raise ValueError("must be *, or origins such as https://example.com, or nothing")
        return origins

    def describe(self) -> str:
        return "Origins such as https://example.com with blanks between them, or *, or nothing"


class Frames:
    """The sources of `frame-ancestors`: CSP Level 3, 6.4.2."""

    def read(self, text: str) -> tuple[str, ...]:
        sources = tuple(text.replace(",", " ").split())
        if not all(re.fullmatch(r"\*|self|https?://(\*\.)?[a-zA-Z0-9.-]+(:[0-9]+|:\*)?", each) for each in sources):
            raise ValueError("must be *, or self and origins such as https://example.com, or nothing")
        return sources

    def describe(self) -> str:
        return "Self and origins such as https://*.example.com with blanks between them, or *, or nothing"


class Networks:
    def read(self, text: str) -> tuple[str, ...]:
        networks = tuple(text.replace(",", " ").split())
        try:
            for network in networks:
                ip_network(network)
        except ValueError:
            raise ValueError("must be addresses or networks such as 127.0.0.1 or 10.0.0.0/8, or nothing") from None
        return networks

    def describe(self) -> str:
        return "Addresses or networks such as 10.0.0.0/8 with blanks between them, or nothing"


class RateKind:
    def read(self, text: str) -> Rate:
        if text == "0":
            return Rate(0, 0)
        count, _, seconds = text.partition("/")
        try:
            return Rate(Whole(1, RATE_MAX).read(count), Whole(1, RATE_MAX).read(seconds))
        except ValueError:
            raise ValueError(f"must be count/seconds, each from 1 to {RATE_MAX}, such as 20/60, or 0") from None

    def describe(self) -> str:
        return "Count/seconds, such as 20/60: so many at once, then at that pace; 0: any number"


class Host:
    def read(self, text: str) -> str:
        if not text or re.search(r"[\s\0/]", text):
            raise ValueError("must be a host name or an address")
        return text

    def describe(self) -> str:
        return "A host name or an address"


HOST = r"(\[[^\]@/\s]*\]|[^@:/?,\[\]\s]*)(:\d*)?"  # of an address, with its port


class PostgresUrl:
    """An address as libpq takes it; only its password is nobody's business.

    Where `@`, `:` or `/` of a password stand as they are, libpq takes pieces of it for a host, a port or a database,
    and names them in its errors. So such an address is refused here.
    """

    def read(self, text: str) -> str:
        if text and not re.fullmatch(rf"postgres(ql)?://([^@/\s]*@)?{HOST}(,{HOST})*(/[^@\s]*)?(\?[^@\s]*)?", text):
            raise ValueError(
                "must be postgresql://user:password@host:port/database, with %40, %3A and %2F for @, : and / in the"
                " password, or nothing"
            )
        return text

    def describe(self) -> str:
        return "An address such as postgresql://user:password@host:port/database, or nothing"


class File:
    def read(self, text: str) -> Path:
        if "\0" in text or not Path(text).name:
            raise ValueError("must be the path of a file")
        return Path(text)

    def describe(self) -> str:
        return "The path of a file"


class FileOrNone:
    def read(self, text: str) -> Path | None:
        return File().read(text) if text else None

    def describe(self) -> str:
        return "The path of a file, or nothing"


class FolderOrNone(FileOrNone):
    def describe(self) -> str:
        return "The path of a folder, or nothing"


class Option(NamedTuple):
    """How an option is declared; its name and its default are those of the field."""

    kind: OptionKind
    meaning: str
    flags: tuple[str, ...] = ()  # of the command line

    @property
    def is_switch(self) -> bool:
        """Whether its flag takes no value: it says yes."""
        return isinstance(self.kind, YesNo)

    @property
    def is_secret(self) -> bool:
        return isinstance(self.kind, PostgresUrl)


def option(default: Any, kind: OptionKind, meaning: str, *flags: str) -> Any:
    """Declares a field of a dataclass as an option."""
    declared = Option(kind, meaning, flags)
    return field(default=default, repr=not declared.is_secret, metadata={"option": declared})
