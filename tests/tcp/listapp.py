"""The demonstration of JSON over TCP: a list of texts as a WSGI application.

Start it with `scoresvc jsontcp tests.tcp.listapp:app`.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

TEXT = "text/plain; charset=utf-8"
JSON = "application/json"

Answer = tuple[str, str, bytes]  # status, content type, body


class ListApp:
    """A list of its own, empty at first."""

    def __init__(self) -> None:
        self._items: list[str] = []
        self._lock = threading.Lock()
        self._routes = {
            ("GET", "/"): self.greet,
            ("GET", "/echo"): self.echo,
            ("GET", "/list"): self.list_items,
            ("POST", "/item"): self.add_item,
            ("PUT", "/item"): self.replace_item,
            ("DELETE", "/item"): self.remove_item,
        }

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        answer = self._routes.get((environ["REQUEST_METHOD"], environ["PATH_INFO"]), self.refuse)
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        status, content_type, body = answer(environ.get("CONTENT_TYPE") or TEXT, body)
        start_response(status, [("Content-Type", content_type)] if content_type else [])
        return [body]

    def greet(self, content_type: str, body: bytes) -> Answer:
        return "200 OK", TEXT, b"Hello, World!"

    def echo(self, content_type: str, body: bytes) -> Answer:
        return "200 OK", content_type, body

    def list_items(self, content_type: str, body: bytes) -> Answer:
        return "200 OK", JSON, json.dumps(self._items).encode()

    def add_item(self, content_type: str, body: bytes) -> Answer:
        self._items.append(body.decode())
        return "201 Created", TEXT, b""

    def replace_item(self, content_type: str, body: bytes) -> Answer:
        old, _, new = body.decode().partition(",")
        with self._lock:
            if old not in self._items:
                return "404 Not Found", TEXT, b""
            self._items[self._items.index(old)] = new
        return "200 OK", TEXT, b""

    def remove_item(self, content_type: str, body: bytes) -> Answer:
        with self._lock:
            if body.decode() not in self._items:
                return "404 Not Found", TEXT, b""
            self._items.remove(body.decode())
        return "204 No Content", "", b""

    def refuse(self, content_type: str, body: bytes) -> Answer:
        return "400 Bad Request", TEXT, b""


app = ListApp()
