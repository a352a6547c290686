"""Writes the page that shows the OpenAPI document to people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from scoresvc.pages.boards import ASSETS, Look
from scoresvc.pages.documents import write_document


class DocsPage(NamedTuple):
    document: dict[str, Any]


class DocsCall(NamedTuple):
    """A call with what OpenAPI says of it."""

    method: str
    path: str
    operation: dict[str, Any]


class DocsSection(NamedTuple):
    """The calls of a tag."""

    name: str
    meaning: str
    calls: list[DocsCall]


def write_docs(page: DocsPage) -> str:
    sections = [each for each in _sections(page.document) if each.calls]
    return write_document("docs.html", ASSETS, look=Look(), info=page.document["info"], sections=sections)


def _sections(document: dict[str, Any]) -> Iterator[DocsSection]:
    calls = [
        DocsCall(method.upper(), path, operation)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]
    for tag in document["tags"]:
        of_tag = [each for each in calls if tag["name"] in each.operation["tags"]]
        yield DocsSection(tag["name"], tag["description"], of_tag)
