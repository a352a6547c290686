"""A WSGI application that answers with constants: what a server itself costs.

`python -m tests.benchmarks.bare` serves it as `scoresvc serve` would with the same `config.ini`, but for
several processes on waitress.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from scoresvc import config, serve
from scoresvc.granian import granian


def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    if environ["REQUEST_METHOD"] == "POST":
        environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        body = b""
    else:
        body = b"4711=1500,131=1220"
    start_response("200 OK", [("Content-Type", "text/csv; charset=utf-8"), ("Content-Length", str(len(body)))])
    return [body]


def announce(address: str) -> None:
    print(f"bare serves http://{address}", file=sys.stderr, flush=True)


def main() -> None:
    settings = config.load()
    listener = serve.listen(settings.server.host, settings.server.port)
    address, port = serve.address_of(listener), listener.getsockname()[1]
    if settings.server.server == "granian":
        listener.close()
        server = granian.Granian(
            "bare",
            address=settings.server.host,
            port=port,
            interface=granian.constants.Interfaces.WSGI,
            workers=settings.server.processes,
            blocking_threads=settings.server.threads,
            websockets=False,
            log_enabled=False,
        )
        server.on_startup(lambda: announce(address))
        server.serve(target_loader=lambda: app, wrap_loader=False)
    else:
        announce(address)
        serve.serve_http_and_tcp(app, listener, None, settings)


if __name__ == "__main__":
    main()
