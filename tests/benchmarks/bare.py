"""A WSGI application that answers with constants: what a server itself costs.

`python -m tests.benchmarks.bare` serves it as `scoresvc serve` would with the same `config.ini`, but for
several processes on waitress.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from scoresvc import config
from scoresvc.serve.granian import granian
from scoresvc.serve.listeners import address_of, listen
from scoresvc.serve.signals import call_at_stop_signal
from scoresvc.serve.waitress import HttpServer


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
    listener = listen(settings.server.host, settings.server.port)
    address, port = address_of(listener), listener.getsockname()[1]
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
        waitress = HttpServer(app, listener, settings.server.threads)
        call_at_stop_signal(waitress.stop)
        announce(address)
        waitress.serve()
        waitress.finish()


if __name__ == "__main__":
    main()
