"""A real proxy with the example's configuration, on a free port, in a folder of its own."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from scoresvc.examples import read_example

START_WAIT = 10.0  # seconds

NGINX_CONF = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/main.error.log;
events {{ worker_connections {connections}; }}
http {{
    access_log {folder}/main.access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/scoresvc.conf;
}}
"""


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port: int = listener.getsockname()[1]
        return port


def replaced(text: str, old: str, new: str) -> str:
    assert old in text, f"the example does not have: {old}"
    return text.replace(old, new)


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]  # names in lower case
    body: str


def parse_answer(raw: bytes) -> Answer:
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return Answer(int(first.split()[1]), headers, body.decode())


class Proxy:
    """A program that listens on `port`; ends with the `with` block."""

    def __init__(self, folder: Path, port: int, command: Sequence[str]) -> None:
        self.folder = folder
        self.port = port
        environ = {**os.environ, "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "HOME": str(folder)}
        with (folder / "printed.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environ)
        self._wait_until_accepting()

    def _wait_until_accepting(self) -> None:
        until = time.monotonic() + START_WAIT
        while time.monotonic() < until and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.01)
            else:
                return
        self._end()
        raise AssertionError(f"the proxy did not start: {self.logs}")

    @property
    def logs(self) -> str:
        """All that the proxy wrote in its folder, into whichever log."""
        return "".join(path.read_text() for path in sorted(self.folder.glob("*.log")))

    def logs_with(self, text: str, count: int = 1) -> str:
        """The logs as soon as they have this so many times; a line is written after its answer is sent."""
        until = time.monotonic() + START_WAIT
        while self.logs.count(text) < count:
            assert time.monotonic() < until, f"not logged: {text}"
            time.sleep(0.01)
        return self.logs

    def call(self, method: str, path: str, body: str | None = None, headers: dict[str, str] | None = None) -> Answer:
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=15)) as connection:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            named = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, named, response.read().decode())

    def send(self, raw: bytes, *, shut_down: bool = False) -> Answer:
        """What comes back to these bytes, until the connection is closed."""
        with closing(socket.create_connection(("127.0.0.1", self.port), 15)) as connection:
            connection.sendall(raw)
            if shut_down:
                connection.shutdown(socket.SHUT_WR)
            return parse_answer(b"".join(iter(lambda: connection.recv(65536), b"")))

    def _end(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(15)

    def __enter__(self) -> Proxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end()


def write_nginx(folder: Path, port: int, upstream: int, connections: int = 512) -> Path:
    """Writes the example, with two games of one service, where it takes no privileges; returns the main file."""
    text = read_example("nginx")
    text = re.sub(r"# (upstream snake|location /snake/)", r"\1", text)
    text = replaced(text, "listen 80;", f"listen 127.0.0.1:{port};")
    text = replaced(text, "    listen [::]:80;\n", "")
    text = replaced(text, "127.0.0.1:8080", f"127.0.0.1:{upstream}")
    text = replaced(text, "127.0.0.1:8081", f"127.0.0.1:{upstream}")
    text = replaced(text, "/var/log/nginx/", f"{folder}/")
    folder.mkdir(exist_ok=True)
    (folder / "scoresvc.conf").write_text(text)
    (folder / "nginx.conf").write_text(NGINX_CONF.format(folder=folder, connections=connections))
    return folder / "nginx.conf"


def start_nginx(folder: Path, upstream: int, connections: int = 512) -> Proxy:
    port = free_port()
    main = write_nginx(folder, port, upstream, connections)
    return Proxy(folder, port, ("nginx", "-c", str(main), "-p", str(folder), "-e", f"{folder}/start.log"))


def write_caddyfile(folder: Path, port: int, upstream: int) -> Path:
    """Writes the example, with two games of one service, without TLS; returns the file."""
    text = read_example("caddy")
    text = re.sub(r"# (handle_path /snake/\*) { (.*) }", r"\1 {\n\2\n}", text)
    text = replaced(text, "scores.example.com", f"http://127.0.0.1:{port}")
    text = replaced(text, ":80, :443", f":{port}")
    text = replaced(text, "127.0.0.1:8080", f"127.0.0.1:{upstream}")
    text = replaced(text, "127.0.0.1:8081", f"127.0.0.1:{upstream}")
    text = replaced(text, "/var/log/caddy/", f"{folder}/")
    text = replaced(text, "\n{\n", "\n{\n\tadmin off\n")
    folder.mkdir(exist_ok=True)
    (folder / "Caddyfile").write_text(text)
    return folder / "Caddyfile"


def start_caddy(folder: Path, upstream: int) -> Proxy:
    port = free_port()
    path = write_caddyfile(folder, port, upstream)
    return Proxy(folder, port, ("caddy", "run", "--adapter", "caddyfile", "--config", str(path)))
