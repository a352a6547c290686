"""nginx with the example's configuration, in front of the running service."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.deployment.proxies import Answer, Proxy, free_port, start_nginx, write_nginx
from tests.deployment.raw_clients import assert_one_line, assert_raw_clients_are_served
from tests.running import Server

pytestmark = pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")

FLOOD = 260  # calls, more than the burst that is let through


@pytest.fixture
def nginx(server: Server, tmp_path: Path) -> Iterator[Proxy]:
    with start_nginx(tmp_path / "nginx", server.port) as proxy:
        yield proxy


def test_nginx_takes_the_configuration(tmp_path: Path) -> None:
    main = write_nginx(tmp_path / "nginx", free_port(), free_port())

    result = subprocess.run(
        ["nginx", "-t", "-c", main, "-p", tmp_path, "-e", "stderr"], capture_output=True, text=True, timeout=20
    )

    assert result.returncode == 0, result.stderr
    assert "warn" not in result.stderr


def test_clients_of_all_kinds_get_through(nginx: Proxy, key: str) -> None:
    assert_raw_clients_are_served(nginx, key)


def test_a_client_of_http_1_0_needs_no_host(nginx: Proxy, key: str) -> None:
    head = f"POST /2/score HTTP/1.0\r\nAuthorization: Bearer {key}\r\nContent-Length: 4\r\n\r\n"

    assert nginx.send(head.encode() + b"1500").status == 200
    assert nginx.send(b"GET /2/highscorelist HTTP/1.0\r\n\r\n").body == "4711=1500"


def test_a_body_that_breaks_off_is_no_score(nginx: Proxy, key: str) -> None:
    head = f"POST /2/score?sessionkey={key} HTTP/1.1\r\nHost: localhost\r\n"

    for rest in ("Content-Length: 4\r\n\r\n15", "Transfer-Encoding: chunked\r\n\r\n2\r\n15\r\n"):
        with closing(socket.create_connection(("127.0.0.1", nginx.port), 15)) as connection:
            connection.sendall((head + rest).encode())
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(1000) == b""

    assert nginx.call("GET", "/2/highscorelist").body == ""


def test_a_flood_of_posts_is_limited_and_reads_go_on(nginx: Proxy, key: str) -> None:
    answers = [nginx.call("POST", "/2/score", "1500", {"Authorization": f"Bearer {key}"}) for _ in range(FLOOD)]
    reads = [nginx.call("GET", "/2/highscorelist") for _ in range(FLOOD)]

    statuses = Counter(each.status for each in answers)
    assert statuses.keys() == {200, 429}
    assert 200 <= statuses[200] < FLOOD
    assert_refused_for_a_second(answers[-1], 429)
    assert {each.status for each in reads} == {200}
    assert nginx.call("GET", "/4711/login").status == 200


@pytest.mark.parametrize("path", ["/4711/login", "/snake/4711/", "/4711", "/4711/%23"])
def test_a_flood_of_logins_is_limited(path: str, nginx: Proxy) -> None:
    answers = [nginx.call("GET", path) for _ in range(FLOOD)]

    assert {each.status for each in answers} == {200, 429}
    assert nginx.call("POST", "/2/score", "1500").status == 401


@pytest.mark.parametrize("path", ["/2/rank/4711", "/snake/2/around/4711", "/4711/scores", "/admin/levels/2/score"])
def test_what_is_neither_post_nor_login_is_not_limited(path: str, nginx: Proxy) -> None:
    method = "POST" if path.startswith("/admin") else "GET"

    statuses = {nginx.call(method, path).status for _ in range(FLOOD)}

    assert 429 not in statuses


def test_a_service_that_is_down_is_a_503_in_one_line(nginx: Proxy, server: Server) -> None:
    server.terminate()

    assert_refused_for_a_second(nginx.call("GET", "/2/highscorelist"), 503)


def assert_refused_for_a_second(answer: Answer, status: int) -> None:
    assert_one_line(answer, status)
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["access-control-expose-headers"].lower() == "retry-after"


@pytest.mark.parametrize(
    ("request_line", "status"),
    [("GET /2/score HTTP/1.1", 400), ("G\1T /2/score HTTP/1.1", 400), (f"GET /{'2' * 20_000} HTTP/1.1", 414)],
)
def test_what_nginx_refuses_by_itself_is_one_line(request_line: str, status: int, nginx: Proxy) -> None:
    answer = nginx.send(f"{request_line}\r\nA: b\r\n\r\n".encode(), shut_down=True)

    assert_one_line(answer, status)


def test_a_list_of_a_thousand_users_gets_through(nginx: Proxy) -> None:
    users = ",".join(str(2**31 - 1 - number) for number in range(1000))

    assert nginx.call("GET", f"/2/highscorelist?users={users}").status == 200


def test_the_client_cannot_choose_its_forwarded_address(tmp_path: Path) -> None:
    head = "GET /2/highscorelist HTTP/1.1\r\nHost: a.example\r\nX-Forwarded-For: 8.8.8.8\r\n\r\n"
    with ExitStack() as stack:
        upstream = stack.enter_context(closing(socket.create_server(("127.0.0.1", 0))))
        nginx = stack.enter_context(start_nginx(tmp_path / "nginx", upstream.getsockname()[1]))
        client = stack.enter_context(closing(socket.create_connection(("127.0.0.1", nginx.port), 15)))
        client.sendall(head.encode())
        forwarded = stack.enter_context(closing(upstream.accept()[0])).recv(65536).decode()

    assert "X-Forwarded-For: 127.0.0.1\r\n" in forwarded
    assert "Host: a.example\r\n" in forwarded
    assert "X-Forwarded-Proto: http\r\n" in forwarded
    assert "8.8.8.8" not in forwarded
    assert "Connection:" not in forwarded


class TestNoSessionKeyIsLogged:
    """In whichever log, whatever goes wrong, also where a client puts it into the query."""

    def test_where_all_goes_well(self, nginx: Proxy, key: str) -> None:
        nginx.call("POST", f"/2/score?sessionkey={key}", "1500", {"Referer": f"http://game.example/?sessionkey={key}"})
        nginx.call("POST", "/2/score", "1500", {"Authorization": f"Bearer {key}"})

        assert key not in nginx.logs_with("POST /2/score 200", count=2)

    def test_where_it_is_in_the_path(self, nginx: Proxy, key: str) -> None:
        for path in (f"/2/score%3Fsessionkey={key}", f"/2/{key}", f"/snake/2/score&sessionkey={key}"):
            nginx.call("POST", path, "1500")

        assert key not in nginx.logs_with("POST * 404", count=3)

    def test_where_a_limit_is_hit(self, nginx: Proxy, key: str) -> None:
        for _ in range(FLOOD):
            nginx.call("POST", f"/2/score?sessionkey={key}", "1500")

        assert key not in nginx.logs_with("POST /2/score 429")

    def test_where_the_body_is_too_large(self, nginx: Proxy, key: str) -> None:
        nginx.call("POST", f"/2/score?sessionkey={key}", "1" * 20_000)

        assert key not in nginx.logs_with("POST /2/score 413")

    def test_where_the_service_is_down(self, nginx: Proxy, server: Server, key: str) -> None:
        server.terminate()
        nginx.call("POST", f"/2/score?sessionkey={key}", "1500")

        assert key not in nginx.logs_with("POST /2/score 503")

    def test_where_the_request_cannot_be_read(self, nginx: Proxy, key: str) -> None:
        query = f"/2/score?sessionkey={key}"
        nginx.send(f"POST {query} HTTP/1.1\r\n\r\n".encode(), shut_down=True)
        nginx.send(f"POST {query} HTTP/7.1\r\nHost: a\r\n\r\n".encode(), shut_down=True)
        nginx.send(f"POST {query}{key * 1000} HTTP/1.1\r\n\r\n".encode(), shut_down=True)

        assert key not in nginx.logs_with(" 414 ")

    def test_where_there_are_no_connections_left(self, server: Server, key: str, tmp_path: Path) -> None:
        head = (
            f"POST /2/score?sessionkey={key} HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
        )
        with start_nginx(tmp_path / "nginx", server.port, connections=10) as nginx, ExitStack() as clients:
            for _ in range(8):  # of 10, of which nginx needs two itself
                client = clients.enter_context(closing(socket.create_connection(("127.0.0.1", nginx.port), 15)))
                client.sendall(head.encode())
                assert b" 100 " in client.recv(1000)
            client.sendall(b"1500")

            assert key not in nginx.logs_with(" 503 ")
