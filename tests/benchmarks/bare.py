"""A WSGI application that answers with constants: what a server itself costs.

`python -m tests.benchmarks.bare` serves it as `scoresvc serve` would, on a free port.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from scoresvc import serve
from scoresvc.config import Config


def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    if environ["REQUEST_METHOD"] == "POST":
        environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        body = b""
    else:
        body = b"4711=1500,131=1220"
    start_response("200 OK", [("Content-Type", "text/csv; charset=utf-8"), ("Content-Length", str(len(body)))])
    return [body]


if __name__ == "__main__":
    listener = serve.listen("127.0.0.1", 0)
    print(f"serves http://{serve.address_of(listener)}", file=sys.stderr, flush=True)
    serve.serve_http_and_tcp(app, listener, None, Config())
