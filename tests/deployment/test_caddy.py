"""Caddy with the example's configuration, in front of the running service."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.deployment.proxies import Proxy, free_port, start_caddy, write_caddyfile
from tests.deployment.raw_clients import assert_one_line, assert_raw_clients_are_served
from tests.running import Server

pytestmark = pytest.mark.skipif(shutil.which("caddy") is None, reason="caddy is not installed")


@pytest.fixture
def caddy(server: Server, tmp_path: Path) -> Iterator[Proxy]:
    with start_caddy(tmp_path / "caddy", server.port) as proxy:
        yield proxy


def test_caddy_takes_the_configuration(tmp_path: Path) -> None:
    path = write_caddyfile(tmp_path / "caddy", free_port(), free_port())

    result = subprocess.run(
        ["caddy", "validate", "--adapter", "caddyfile", "--config", path],
        capture_output=True,
        text=True,
        timeout=20,
        env={**os.environ, "XDG_DATA_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)},
    )

    assert result.returncode == 0, result.stderr
    assert "Valid configuration" in result.stdout + result.stderr


def test_clients_of_all_kinds_get_through(caddy: Proxy, key: str) -> None:
    assert_raw_clients_are_served(caddy, key)


def test_a_body_that_breaks_off_is_no_score(caddy: Proxy, key: str) -> None:
    head = f"POST /2/score?sessionkey={key} HTTP/1.1\r\nHost: 127.0.0.1:{caddy.port}\r\n"

    for rest in ("Content-Length: 4\r\n\r\n15", "Transfer-Encoding: chunked\r\n\r\n2\r\n15\r\n"):
        with closing(socket.create_connection(("127.0.0.1", caddy.port), 15)) as connection:
            connection.sendall((head + rest).encode())
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(1000):
                pass

    assert caddy.call("GET", "/2/highscorelist").body == ""


def test_a_post_to_another_host_is_no_success(caddy: Proxy, key: str) -> None:
    answer = caddy.call("POST", f"/2/score?sessionkey={key}", "1500", {"Host": "other.example"})

    assert (answer.status, answer.body) == (421, "this host is not served here")


def test_a_service_that_is_down_is_a_503_in_one_line(caddy: Proxy, server: Server) -> None:
    server.terminate()

    answer = caddy.call("GET", "/2/highscorelist")

    assert_one_line(answer, 503)
    assert answer.headers["retry-after"] == "1"


class TestNoSessionKeyIsLogged:
    """In whichever log, whatever goes wrong, also where a client puts it into the query."""

    def test_where_all_goes_well(self, caddy: Proxy, key: str) -> None:
        caddy.call("POST", f"/2/score?sessionkey={key}", "1500", {"Referer": f"http://game.example/?sessionkey={key}"})
        caddy.call("POST", "/3/score", "1500", {"Authorization": f"Bearer {key}"})
        caddy.call("GET", "/4711/login")

        assert '"uri":"/2/score*"' in caddy.logs_with("/3/score")
        assert key not in caddy.logs_with("/4711/login")

    def test_where_it_is_in_the_path(self, caddy: Proxy, key: str) -> None:
        for path in (f"/2/score%3Fsessionkey={key}", f"/2/{key}", f"/snake/2/score&sessionkey={key}"):
            caddy.call("POST", path, "1500")

        assert key not in caddy.logs_with('"status":404', count=3)

    def test_where_the_body_is_too_large(self, caddy: Proxy, key: str) -> None:
        caddy.call("POST", f"/2/score?sessionkey={key}", "1" * 20_000)

        assert key not in caddy.logs_with('"status":413')

    def test_where_the_service_is_down(self, caddy: Proxy, server: Server, key: str) -> None:
        server.terminate()
        caddy.call("POST", f"/2/score?sessionkey={key}", "1500")

        assert key not in caddy.logs_with('"status":503')

    def test_where_the_host_is_another(self, caddy: Proxy, key: str) -> None:
        caddy.call("POST", f"/2/score?sessionkey={key}", "1500", {"Host": "other.example"})
        caddy.call("GET", "/3/highscorelist")

        assert key not in caddy.logs_with("/3/highscorelist")
