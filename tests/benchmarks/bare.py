"""Servers that answer with constants: what a server itself costs.

`app` is a WSGI application; `python -m tests.benchmarks.bare` is a bare asyncio.Protocol on httptools, with the port,
the processes and the event loop of `scoresvc serve` by the same `config.ini`.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Iterable
from typing import Any

import httptools

from scoresvc import config_file
from scoresvc.serve.listeners import address_of, listen
from scoresvc.serve.processes import ParentPipe

try:
    import uvloop
except ImportError:
    uvloop = None

LIST = b"4711=1500,131=1220"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/csv; charset=utf-8\r\nContent-Length: %d\r\n\r\n"


def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    if environ["REQUEST_METHOD"] == "POST":
        environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    body = b"" if environ["REQUEST_METHOD"] == "POST" else LIST
    start_response("200 OK", [("Content-Type", "text/csv; charset=utf-8"), ("Content-Length", str(len(body)))])
    return [body]


class BareProtocol(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        body = b"" if self._parser.get_method() == b"POST" else LIST
        self._transport.write(HEAD % len(body) + body)


async def serve(listener: socket.socket) -> None:
    server = await asyncio.get_running_loop().create_server(BareProtocol, sock=listener)
    await server.serve_forever()


def main() -> None:
    settings = config_file.load()
    (listener,) = listen(settings.server.host, settings.server.port)
    parent_pipe = ParentPipe()
    for _ in range(settings.server.processes - 1):
        if os.fork() == 0:
            parent_pipe.close()
            parent_pipe.watch()
            break
    else:
        print(f"bare serves http://{address_of(listener)}", file=sys.stderr, flush=True)
    (uvloop or asyncio).new_event_loop().run_until_complete(serve(listener))


if __name__ == "__main__":
    main()
