"""Sites of other origins with a board in a frame."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any


@contextmanager
def serve_site(document: str, headers: Mapping[str, str] | None = None) -> Iterator[str]:
    """Serves one document at every path; returns its address, on a host other than the service's."""

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(document.encode())

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    with HTTPServer(("localhost", 0), Site) as site:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        yield f"http://localhost:{site.server_port}/"
        site.shutdown()
