"""The table of the calls that describe the whole table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

from scoresvc.api import formats
from scoresvc.api.call import Call
from scoresvc.api.openapi import make_document
from scoresvc.api.openapi_parameters import Described
from scoresvc.pages.docs import DocsPage
from scoresvc.storage import Store

DOCUMENT_SUMMARY = "This table as OpenAPI 3.1, with all that a call takes, answers and refuses."
PAGE_SUMMARY = "The same as a page."


def make_openapi_calls(table: Callable[[], Sequence[Call]]) -> tuple[Call, ...]:
    """Returns the calls; `table` is asked for at the first one, for they are in it themselves."""

    @cache
    def describe() -> Described:
        return make_document(table())

    def document(store: Store) -> Described:
        return describe()

    def docs(store: Store) -> DocsPage:
        return DocsPage(describe())

    return (
        Call("GET", "/openapi.json", document, takes=(), gives=dict, text=formats.OPENAPI, summary=DOCUMENT_SUMMARY),
        Call(
            "GET", "/docs", docs, takes=(), gives=DocsPage, text=formats.DOCS_PAGE, summary=PAGE_SUMMARY, is_slow=True
        ),
    )
