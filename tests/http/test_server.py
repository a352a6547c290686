"""How many connections an HTTP server holds, and how it shuts down."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

import pytest

from scoresvc.net.connections import Connections, Timeouts, network_of
from tests.http.applications import DecidedApi
from tests.http.conftest import make_loop
from tests.http.serving import RunningServer
from tests.http.test_protocol import get, post, wait_until


def serve(loop_name: str, api: DecidedApi, **options: object) -> RunningServer:
    return RunningServer(api, lambda: make_loop(loop_name), **options)  # type: ignore[arg-type]


def test_one_connection_too_many_gets_503_and_the_next_is_served_when_one_has_left(loop_name: str) -> None:
    with serve(loop_name, DecidedApi(), connections_max=2) as server, server.connect() as second:
        with server.connect() as first:
            for client in (first, second):
                client.send(get("/now"))
                assert client.read().status == 200
            with server.connect() as third:
                (rejected,) = third.read_all()
        server.wait_for_connections(1)

        (accepted,) = server.ask(get("/now", "Connection: close\r\n"))

    assert (rejected.status, rejected.headers["retry-after"], rejected.headers["connection"]) == (503, "1", "close")
    assert accepted.status == 200


def test_one_address_has_so_many_connections_at_once(loop_name: str) -> None:
    with serve(loop_name, DecidedApi(), connections_per_address=1) as server:
        with server.connect() as first, server.connect() as second:
            (rejected,) = second.read_all()
            first.send(get("/now"))
            served = first.read()
        server.wait_for_connections(0)

        (served_again,) = server.ask(get("/now", "Connection: close\r\n"))

    assert [response.status for response in (rejected, served, served_again)] == [503, 200, 200]


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("::ffff:127.0.0.1", "127.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", "20010db800010002"),
        ("2001:db8:1:2::9", "20010db800010002"),
        ("fe80::1%eth0", "fe80000000000000"),
        ("", ""),
    ],
)
def test_an_ipv6_network_counts_as_one_address(address: str, network: str) -> None:
    assert network_of(address) == network


def test_many_rejected_connections_are_not_kept(loop_name: str) -> None:
    with serve(loop_name, DecidedApi(), connections_max=0) as server:
        with ExitStack() as clients:
            for _ in range(300):
                clients.enter_context(server.connect())
            server.wait_for_connections(128)
        server.wait_for_connections(0)


def test_a_bug_at_a_deadline_costs_its_connection_alone(caplog: pytest.LogCaptureFixture) -> None:
    async def sweep() -> None:
        connections = Connections(Timeouts(), connections_max=2, per_network_max=0)
        for connection in (bad, good):
            connections.add(connection)
        connections.sweep(now=1.0)

    bad, good = Expiring(fails=True), Expiring(fails=False)
    asyncio.run(sweep())

    assert [(each.is_expired, each.is_aborted) for each in (bad, good)] == [(False, True), (True, False)]
    assert [record.getMessage() for record in caplog.records] == ["a connection failed at its deadline"]


class Expiring:
    """A connection whose time is over."""

    deadline = 1.0
    address = ""

    def __init__(self, fails: bool) -> None:
        self._fails = fails
        self.is_expired = self.is_aborted = False

    def expire(self) -> None:
        if self._fails:
            raise ZeroDivisionError
        self.is_expired = True

    def shut_down(self) -> None: ...

    def abort(self) -> None:
        self.is_aborted = True


def test_a_shutdown_closes_idle_connections_and_answers_the_others(loop_name: str) -> None:
    api = DecidedApi()
    with (
        serve(loop_name, api) as server,
        server.connect() as silent,
        server.connect() as idle,
        server.connect() as waiting,
        server.connect() as half,
    ):
        idle.send(get("/now"))
        idle.read()
        half.send(post("/now", "1500")[:-4])
        waiting.send(get("/later"))
        wait_until(lambda: bool(api.waiting))
        server.wait_for_connections(4)
        server.begin_shutdown(grace=10)
        assert (silent.read_all(), idle.read_all()) == ([], [])
        half.send(b"1500")
        api.finish()
        responses = half.read_all() + waiting.read_all()
        for client in (silent, idle, waiting, half):
            client.socket.close()
        server.join()

    assert [(response.body, response.headers["connection"]) for response in responses] == [
        (b"/now", "close"),
        (b"done", "close"),
    ]


def test_a_shutdown_ends_what_is_not_answered_in_its_grace(loop_name: str) -> None:
    api = DecidedApi()
    with serve(loop_name, api) as server, server.connect() as client:
        client.send(get("/later"))
        wait_until(lambda: bool(api.waiting))
        server.begin_shutdown(grace=0.05)
        server.join()
        api.finish()

        assert client.socket.recv(1) == b""
