"""`scoresvc health` asks the service by the address in its configuration."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from scoresvc import health
from scoresvc.config import ServerOptions
from scoresvc.errors import StartError
from tests.deployment.proxies import free_port
from tests.serve.commands import assert_refused_in_one_line, run


class StandIn(BaseHTTPRequestHandler):
    """Answers like a service that is healthy at /health, and elsewhere is not."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path in ("/health", "/page") else 503)
        self.end_headers()
        self.wfile.write(b"ok" if self.path == "/health" else b"<html>")

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), StandIn) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_a_service_that_answers_is_healthy(port: int, tmp_path: Path) -> None:
    (tmp_path / "config.ini").write_text(f"[server]\nhost = 0.0.0.0\nport = {port}\n")

    result = run(tmp_path, "health")

    assert (result.returncode, result.stdout, result.stderr) == (0, "ok\n", "")


def test_another_address_can_be_named(port: int, tmp_path: Path) -> None:
    result = run(tmp_path, "health", "--url", f"http://127.0.0.1:{port}/health")

    assert (result.returncode, result.stdout) == (0, "ok\n")


@pytest.mark.parametrize(("path", "status"), [("ready", "503"), ("page", "200")])
def test_another_answer_than_ok_is_not_healthy(path: str, status: str, port: int, tmp_path: Path) -> None:
    result = run(tmp_path, "health", "--url", f"http://127.0.0.1:{port}/{path}")

    assert_refused_in_one_line(result, f":{port}/{path}", f"answered {status}")


def test_a_service_that_does_not_run_is_not_healthy(tmp_path: Path) -> None:
    (tmp_path / "config.ini").write_text(f"[server]\nport = {free_port()}\n")

    assert_refused_in_one_line(run(tmp_path, "health"), "/health does not answer", "refused")


@pytest.mark.parametrize("url", ["https://127.0.0.1/health", "health", "http://:80/", "http://127.0.0.1:port/"])
def test_what_is_no_address_is_refused(url: str, tmp_path: Path) -> None:
    assert_refused_in_one_line(run(tmp_path, "health", "--url", url), url)


def test_a_service_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "TIMEOUT", 0.05)

    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/health"
        with pytest.raises(StartError, match=r"did not answer within 0\.05 s"):
            health.check_health(url)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8080/health"),
        ("0.0.0.0", "http://127.0.0.1:8080/health"),
        ("::", "http://[::1]:8080/health"),
        ("fe80::1", "http://[fe80::1]:8080/health"),
        ("localhost", "http://localhost:8080/health"),
    ],
)
def test_the_address_is_one_that_this_machine_can_reach(host: str, url: str) -> None:
    assert health.own_url(ServerOptions(host=host)) == url


def test_a_port_that_is_chosen_at_the_start_has_to_be_named(tmp_path: Path) -> None:
    (tmp_path / "config.ini").write_text("[server]\nport = 0\n")

    assert_refused_in_one_line(run(tmp_path, "health"), "--url")
