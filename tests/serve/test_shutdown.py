"""How the service ends."""

from __future__ import annotations

import http.client
import signal
import socket
import time
from contextlib import closing
from pathlib import Path

import pytest

from scoresvc.limits import SHUTDOWN_GRACE
from tests.running import Posts, Server, assert_nothing_lost, call
from tests.serve.commands import serve_with_limit

STOPPED_WITHIN = 5  # seconds, under load


def assert_closed_in_order(server: Server) -> None:
    """The last connection to close the database removes its write-ahead log."""
    assert not server.database.with_name(f"{server.database.name}-wal").exists()


def test_at_a_signal_under_load_the_requests_in_flight_are_finished(server: Server) -> None:
    posts = Posts(server, threads=12)
    posts.wait_for(50)

    started = time.monotonic()
    status = server.terminate()
    seconds = time.monotonic() - started
    posts.join()

    assert status == 0
    assert seconds < STOPPED_WITHIN
    assert set(posts.refused) <= {503}  # for a connection that came too late
    assert_closed_in_order(server)
    assert_nothing_lost(server.database, posts)
    assert not [error for error in posts.cut_off if isinstance(error, http.client.IncompleteRead)]


def test_a_request_that_is_arriving_at_the_signal_is_answered(server: Server) -> None:
    with closing(socket.create_connection(("127.0.0.1", server.port), 10)) as client:
        client.sendall(b"GET /2/highscorelist HTTP/1.1\r\nHost: x\r\n")
        assert server.call("GET", "/") == (200, "Hello, World!")  # by now the first one is being read

        server.process.send_signal(signal.SIGTERM)
        client.sendall(b"\r\n")

        assert client.recv(1000).startswith(b"HTTP/1.1 200 OK")
    assert server.process.wait(10) == 0


def test_idle_connections_do_not_delay_the_shutdown(server: Server) -> None:
    with closing(server.connect()) as connection:
        call(connection, "GET", "/")

        started = time.monotonic()
        assert server.terminate() == 0
        assert time.monotonic() - started < SHUTDOWN_GRACE


def test_requests_that_never_arrive_whole_do_not_delay_the_shutdown_beyond_the_grace(
    processes: int, tmp_path: Path
) -> None:
    command = serve_with_limit(processes, "SHUTDOWN_GRACE", 0.5)
    with (
        Server(tmp_path, "--tcp-port", "0", command=command) as server,
        closing(socket.create_connection(("127.0.0.1", server.port))) as without_head,
        closing(socket.create_connection(("127.0.0.1", server.port))) as without_body,
    ):
        without_head.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
        without_body.sendall(b"POST /2/score HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n15")
        assert server.call("GET", "/") == (200, "Hello, World!")  # by now the others are being read

        started = time.monotonic()
        assert server.terminate() == 0

    assert time.monotonic() - started < STOPPED_WITHIN
    assert_closed_in_order(server)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_right_after_the_startup_line_ends_the_service_without_an_error(server: Server, number: int) -> None:
    assert server.terminate(number) == 0
    assert_closed_in_order(server)


def test_a_second_signal_changes_nothing(server: Server) -> None:
    with closing(socket.create_connection(("127.0.0.1", server.port), 10)) as client:
        client.sendall(b"GET / HTTP/1.1\r\n")
        server.call("GET", "/")  # by now the other one is being read
        for _ in range(3):
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.05)

    assert server.process.wait(15) == 0
    assert "Traceback" not in server.log


def test_when_the_database_is_moved_away_the_service_ends_without_a_false_acknowledgement(
    server: Server, tmp_path: Path
) -> None:
    _, key = server.call("GET", "/7/")
    assert server.call("POST", f"/2/score?sessionkey={key}", "1")[0] == 200

    server.database.rename(tmp_path / "away.sqlite3")

    assert server.call("POST", f"/2/score?sessionkey={key}", "2")[0] == 503
    assert server.process.wait(15) == 1


def test_when_the_parent_is_killed_the_other_processes_end(tmp_path: Path) -> None:
    with Server(tmp_path, processes=2) as server:
        server.kill()

        assert stops_listening(server.port)


def stops_listening(port: int) -> bool:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            return True
        time.sleep(0.05)
    return False
