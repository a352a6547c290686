"""What a row of the tables of calls says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from scoresvc.api.admin_parameters import Parameter, TokenParameter
from scoresvc.api.authorization import is_admin
from scoresvc.api.formats import HTML, TextFormat
from scoresvc.errors import Refusal


class Call(NamedTuple):
    """One call.

    `handler` gets the store and a value for each parameter of `takes`, which are checked in that order; it
    returns a value of the type `gives`, or the write that brings it. JSON has the fields of a Struct, other types
    have no JSON form. `text` writes the value as plain text; where `text_handler` is given, it writes that one's value:
    the same answer for less work. `refuses` are the refusals besides those of the parameters. `other_paths` and
    `other_methods` lead to the same call. A call that `is_safe` may be asked with HEAD (RFC 9110, 9.2.1); other GETs
    must not be cached. `is_slow` says that an answer may be of any length, or may wait for the disk. One that
    `is_status` is about this moment and asked again and again: it has no tag and no line in the access log. The
    handler of one that `is_counted` gets the client besides, to limit it. `option` names what must be on for the call
    to be answered without a token; one of an operator takes a TokenParameter. `page` is the call that answers
    a browser, unless it asks for another format.
    """

    method: str
    path: str  # <name> stands for the decimal digits of a path parameter
    handler: Callable[..., Any]
    takes: tuple[Parameter, ...]
    gives: type
    text: TextFormat
    summary: str
    text_handler: Callable[..., Any] | None = None
    refuses: tuple[type[Refusal], ...] = ()
    other_paths: tuple[str, ...] = ()
    other_methods: tuple[str, ...] = ()
    is_safe: bool = True
    is_slow: bool = False
    is_status: bool = False
    is_counted: bool = False
    page: Call | None = None
    option: str = ""  # such as "http.get_posts"

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def has_etag(self) -> bool:
        """Whether the answer has a tag, so that a client that has it already gets 304 (RFC 9110, 13.1.2)."""
        return self.method == "GET" and self.is_safe and not self.is_status and not is_admin(self.path)

    @property
    def is_page(self) -> bool:
        return self.text.content_type == HTML

    @property
    def token(self) -> TokenParameter | None:
        return next((each for each in self.takes if isinstance(each, TokenParameter)), None)

    @property
    def methods(self) -> tuple[str, ...]:
        """All methods that are answered."""
        head = ("HEAD",) if self.method == "GET" and self.is_safe else ()
        return (self.method, *head, *self.other_methods)
