"""Clients that send slowly, read slowly or hang up."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from scoresvc.tcp.frames import FrameRequest, FrameResponse, make_response
from tests.tcp.client import (
    HELLO,
    HELLO_RESPONSE,
    TIMEOUT,
    Address,
    ask,
    connect,
    error_response,
    read_all,
    reset,
    send,
    wait_until_served,
)
from tests.tcp.conftest import Serve, hello, open_files


def test_a_frame_may_come_byte_by_byte(serve: Serve) -> None:
    with connect(serve(hello)) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in HELLO:
            client.sendall(bytes([byte]))

        assert read_all(client) == HELLO_RESPONSE


def test_many_frames_may_come_in_halves(serve: Serve) -> None:
    address = serve(hello, threads=2)
    with ExitStack() as stack:
        clients = [stack.enter_context(connect(address)) for _ in range(50)]
        for half in (HELLO[:15], HELLO[15:]):
            for client in clients:
                client.sendall(half)

        assert [read_all(client) for client in clients] == [HELLO_RESPONSE] * 50


def test_a_slow_client_gets_a_408_at_the_deadline_while_others_are_served(serve: Serve) -> None:
    address = serve(hello, threads=1, timeout=0.5)
    others, response, started = [], b"", time.monotonic()
    with connect(address) as slow:
        slow.settimeout(0.02)
        while not response and time.monotonic() < started + TIMEOUT:
            slow.sendall(b" ")
            others.append(send(address, HELLO))
            try:
                response = slow.recv(65536)
            except TimeoutError:
                continue

    assert response == error_response(408, "Request Timeout")
    assert time.monotonic() - started >= 0.5
    assert others == [HELLO_RESPONSE] * len(others)
    assert len(others) > 5


def test_a_client_that_never_reads_is_closed_at_the_deadline_while_others_are_served(serve: Serve) -> None:
    def answer(request: FrameRequest, address: Address) -> FrameResponse:
        body = b"x" * 20_000_000 if request.path == "/big" else b"Hello, World!"
        return make_response("200 OK", "text/plain", body)

    address = serve(answer, threads=1, timeout=0.3, connections_max=2)
    with connect(address) as unread:
        unread.sendall(HELLO.replace(b'"/"', b'"/big"'))
        assert send(address, HELLO) == HELLO_RESPONSE
        with connect(address) as idle:
            assert send(address, HELLO) == error_response(503, "Service Unavailable")
            assert read_all(idle) == error_response(408, "Request Timeout")
        with connect(address):
            wait_until_served(address)


def test_a_big_response_arrives_whole(serve: Serve) -> None:
    def answer(request: FrameRequest, address: Address) -> FrameResponse:
        return make_response("200 OK", "text/plain", b"x" * 10_000_000)

    assert ask(serve(answer))["data"] == "x" * 10_000_000


def test_a_response_has_the_whole_timeout_for_itself_however_long_the_call_took(serve: Serve) -> None:
    def answer(request: FrameRequest, address: Address) -> FrameResponse:
        threading.Event().wait(0.3)
        return make_response("200 OK", "text/plain", b"x" * 10_000_000)

    assert ask(serve(answer, timeout=0.25))["data"] == "x" * 10_000_000


@pytest.mark.parametrize("length", [1, 65536, 3_000_000])
def test_the_response_arrives_though_input_after_the_frame_is_left(serve: Serve, length: int) -> None:
    address = serve(hello)

    responses = [send(address, HELLO + b"x" * length) for _ in range(20)]

    assert responses == [HELLO_RESPONSE] * 20


def test_a_client_that_goes_on_sending_after_its_frame_is_not_reset(serve: Serve) -> None:
    with connect(serve(hello)) as client:
        client.sendall(HELLO + b"x")
        response = read_all(client)
        for _ in range(3):
            client.sendall(b"x" * 1000)

    assert response == HELLO_RESPONSE


@pytest.mark.parametrize("sent", [b"", HELLO[:10], HELLO, HELLO + b"x" * 1000])
@pytest.mark.parametrize("leave", [reset, socket.socket.close])
def test_a_client_that_hangs_up_leaves_nothing_behind(
    serve: Serve, sent: bytes, leave: Callable[[socket.socket], None]
) -> None:
    address = serve(hello, threads=1, connections_max=50)

    for _ in range(100):
        client = connect(address)
        client.sendall(sent)
        leave(client)

    wait_until_served(address)
    assert [send(address, HELLO) for _ in range(5)] == [HELLO_RESPONSE] * 5


def test_a_client_that_ends_its_side_is_answered(serve: Serve) -> None:
    with connect(serve(hello)) as client:
        client.sendall(HELLO)
        client.shutdown(socket.SHUT_WR)

        assert read_all(client) == HELLO_RESPONSE


def test_beside_a_thousand_idle_connections_others_are_served(serve: Serve) -> None:
    address = serve(hello, connections_max=2000)
    with open_files(4096), ExitStack() as stack:
        for _ in range(1000):
            stack.enter_context(connect(address))

        responses = [send(address, HELLO) for _ in range(20)]

    assert responses == [HELLO_RESPONSE] * 20
