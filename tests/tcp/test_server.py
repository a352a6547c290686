from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoresvc.tcp import server as server_module
from scoresvc.tcp.connection import ConnectionLimits
from scoresvc.tcp.frames import Answer, FrameRequest, FrameResponse, make_response
from scoresvc.tcp.polling import POLLING_MAX
from scoresvc.tcp.server import TcpServer
from tests.tcp.client import (
    HELLO,
    HELLO_RESPONSE,
    TIMEOUT,
    Address,
    ask,
    connect,
    error_response,
    read_all,
    send,
)
from tests.tcp.conftest import Serve, hello, open_files


def echo(request: FrameRequest, address: Address) -> FrameResponse:
    return make_response("200 OK", request.headers.get("content-type", ""), request.body)


def start_server(answer: Answer, listener: socket.socket, threads: int) -> TcpServer:
    server = TcpServer(answer, listener, ConnectionLimits(), threads)
    server.start()
    return server


@pytest.fixture(scope="module")
def echo_address() -> Iterator[Address]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = start_server(echo, listener, 2)
    yield listener.getsockname()
    server.stop(grace=2)


class Blocking:
    """An answer that, once called, waits for its release."""

    def __init__(self) -> None:
        self.called = threading.Event()
        self.release = threading.Event()
        self.returns = threading.Event()

    def __call__(self, request: FrameRequest, address: Address) -> FrameResponse:
        self.called.set()
        self.release.wait(4 * TIMEOUT)
        self.returns.set()
        return hello(request, address)


class TestAnswering:
    def test_a_request_is_answered_byte_for_byte(self, serve: Serve) -> None:
        assert send(serve(hello), HELLO) == HELLO_RESPONSE

    def test_the_answer_gets_the_request_and_the_address_of_the_client(self, serve: Serve) -> None:
        seen = []

        def answer(request: FrameRequest, address: Address) -> FrameResponse:
            seen.append((request, address))
            return hello(request, address)

        with connect(serve(answer)) as client:
            own = client.getsockname()
            client.sendall(HELLO)
            read_all(client)

        assert seen == [(FrameRequest("GET", "/", "", {}, b""), own)]

    @pytest.mark.parametrize("error", [LookupError("mistake"), SystemExit("mistake")])
    def test_an_error_is_a_500_with_its_traceback_in_the_log(
        self, serve: Serve, error: BaseException, caplog: pytest.LogCaptureFixture
    ) -> None:
        def answer(request: FrameRequest, address: Address) -> FrameResponse:
            raise error

        response = send(serve(answer), HELLO)

        assert response == error_response(500, "Internal Server Error")
        [record] = caplog.records
        assert (record.name, record.levelname) == ("scoresvc.tcp", "ERROR")
        assert "Traceback" in caplog.text
        assert f"{type(error).__name__}: mistake" in caplog.text

    def test_an_error_ends_no_thread(self, serve: Serve) -> None:
        address = serve(lambda request, address: sys.exit("mistake"), threads=2)

        assert [ask(address)["code"] for _ in range(8)] == [500] * 8

    def test_fast_calls_stay_with_few_threads(self, serve: Serve) -> None:
        callers = set()

        def answer(request: FrameRequest, address: Address) -> FrameResponse:
            callers.add(threading.current_thread())
            return hello(request, address)

        address = serve(answer, threads=8)
        responses = [send(address, HELLO) for _ in range(50)]

        assert responses == [HELLO_RESPONSE] * 50
        assert len(callers) <= POLLING_MAX

    def test_a_call_that_blocks_holds_no_other(self, serve: Serve) -> None:
        release, entered = threading.Event(), threading.Semaphore(0)

        def answer(request: FrameRequest, address: Address) -> FrameResponse:
            if request.path == "/blocked":
                entered.release()
                release.wait(4 * TIMEOUT)
            return hello(request, address)

        address = serve(answer, threads=4)
        blocked = HELLO.replace(b'"/"', b'"/blocked"')
        with ExitStack() as stack:
            clients = [stack.enter_context(connect(address)) for _ in range(3)]
            for client in clients:
                client.sendall(blocked)
                assert entered.acquire(timeout=TIMEOUT)
            others = [send(address, HELLO) for _ in range(5)]
            release.set()

            assert others == [HELLO_RESPONSE] * 5
            assert [read_all(client) for client in clients] == [HELLO_RESPONSE] * 3


class TestRefusing:
    @pytest.mark.parametrize("frame", [b"\0", b"hello\0", b"\xff\0", b"[" * 60_000 + b"\0"])
    def test_a_frame_that_is_not_json_gets_a_422(self, echo_address: Address, frame: bytes) -> None:
        assert send(echo_address, frame) == error_response(422, "Unprocessable Entity")

    def test_json_that_is_no_request_gets_a_400(self, echo_address: Address) -> None:
        assert send(echo_address, b"[]\0") == error_response(400, "Bad Request")

    def test_a_frame_as_long_as_the_limit_is_answered(self, serve: Serve) -> None:
        address = serve(hello, frame_bytes_max=200)

        assert send(address, HELLO[:-1].ljust(200) + b"\0") == HELLO_RESPONSE

    @pytest.mark.parametrize("length", [201, 3_000_000])
    def test_a_frame_over_the_limit_gets_a_413_that_arrives(self, serve: Serve, length: int) -> None:
        address = serve(hello, frame_bytes_max=200)

        responses = {send(address, b"x" * length) for _ in range(20)}

        assert responses == {error_response(413, "Request Entity Too Large")}

    def test_a_silent_client_gets_a_408_at_the_deadline(self, serve: Serve) -> None:
        started = time.monotonic()

        response = send(serve(hello, timeout=0.2), b"")

        assert response == error_response(408, "Request Timeout")
        assert time.monotonic() - started >= 0.2

    def test_a_connection_over_the_limit_gets_a_503_until_another_ends(self, serve: Serve) -> None:
        address = serve(hello, connections_max=2)
        with connect(address) as first, connect(address) as second:
            rejected = {send(address, HELLO) for _ in range(20)}
            first.sendall(HELLO)
            response = read_all(first)
            admitted = send(address, HELLO)
            second.sendall(HELLO)

            assert rejected == {error_response(503, "Service Unavailable")}
            assert (response, admitted, read_all(second)) == (HELLO_RESPONSE, HELLO_RESPONSE, HELLO_RESPONSE)

    def test_connections_far_over_the_limit_are_closed_without_a_response(
        self, serve: Serve, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(server_module, "REJECTED_MAX", 2)
        address = serve(hello, connections_max=2)
        with connect(address), connect(address), connect(address) as first, connect(address) as second:
            responses = [read_all(first), read_all(second)]
            with connect(address) as third:
                responses.append(read_all(third))

        assert responses == [error_response(503, "Service Unavailable")] * 2 + [b""]

    @settings(max_examples=50, deadline=None)
    @given(st.binary())
    def test_any_bytes_get_a_response(self, echo_address: Address, octets: bytes) -> None:
        response = json.loads(send(echo_address, octets + b"\0"))

        assert response in (
            {"code": 400, "message": "Bad Request", "data": None},
            {"code": 422, "message": "Unprocessable Entity", "data": None},
        )

    @settings(max_examples=50, deadline=None)
    @given(
        st.recursive(st.integers() | st.text(), lambda values: st.lists(values) | st.dictionaries(st.text(), values))
    )
    def test_any_value_comes_back(self, echo_address: Address, value: object) -> None:
        assert ask(echo_address, data=value)["data"] == (value if value != "" else None)


class TestListening:
    def test_without_a_free_descriptor_connections_wait(self, serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
        address = serve(hello)
        with socket.socket() as client:
            client.settimeout(0.1)
            lowest_free = os.dup(client.fileno())
            os.close(lowest_free)
            with open_files(lowest_free):
                client.connect(address)
                client.sendall(HELLO)
                with pytest.raises(TimeoutError):
                    client.recv(1)
            client.settimeout(TIMEOUT)

            assert read_all(client) == HELLO_RESPONSE
        assert 1 <= len(caplog.messages) <= 20  # a line for each pause, not for each turn of a loop
        assert caplog.messages[0].startswith("cannot accept a connection: ")

    def test_servers_may_share_a_listener(self) -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        address = listener.getsockname()
        servers = [start_server(hello, each, 4) for each in (listener, listener.dup())]

        of_both = [send(address, HELLO) for _ in range(100)]
        servers[0].stop(grace=2)
        of_one = [send(address, HELLO) for _ in range(20)]
        servers[1].stop(grace=2)

        assert of_both + of_one == [HELLO_RESPONSE] * 120


class TestStopping:
    def test_requests_in_flight_are_answered_and_no_more_connections_are_accepted(self) -> None:
        answer, listener = Blocking(), socket.create_server(("127.0.0.1", 0))
        address = listener.getsockname()
        server = start_server(answer, listener, 2)
        with connect(address) as idle, connect(address) as busy:
            busy.sendall(HELLO)
            answer.called.wait(TIMEOUT)
            stopping = threading.Thread(target=server.stop, args=(TIMEOUT,))
            stopping.start()
            idle.settimeout(TIMEOUT / 2)
            assert read_all(idle) == b""
            answer.release.set()
            stopping.join()

            assert read_all(busy) == HELLO_RESPONSE
        with pytest.raises(ConnectionRefusedError):
            connect(address)

    def test_a_connection_that_comes_during_the_shutdown_is_not_answered_and_costs_nothing(self) -> None:
        calls = {"/first": Blocking(), "/second": Blocking()}
        listener = socket.create_server(("127.0.0.1", 0))
        address = listener.getsockname()
        server = start_server(lambda request, address: calls[request.path](request, address), listener, 3)
        with connect(address) as idle, connect(address) as first, connect(address) as second:
            first.sendall(HELLO.replace(b'"/"', b'"/first"'))
            second.sendall(HELLO.replace(b'"/"', b'"/second"'))
            assert all(call.called.wait(TIMEOUT) for call in calls.values())
            stopping = threading.Thread(target=server.stop, args=(TIMEOUT,))
            stopping.start()
            read_all(idle)
            with connect(address) as late:
                late.sendall(HELLO)
                calls["/first"].release.set()
                read_all(first)
                late.settimeout(0.3)
                cpu_seconds = time.process_time()
                with pytest.raises(TimeoutError):
                    late.recv(1)
                cpu_seconds = time.process_time() - cpu_seconds
                calls["/second"].release.set()
                stopping.join()

        assert cpu_seconds < 0.15  # a loop that spins takes all of the 0.3 seconds

    def test_an_idle_server_stops_without_its_grace_and_leaves_no_thread_or_file(self) -> None:
        threads, files = set(threading.enumerate()), os.listdir("/dev/fd")
        listener = socket.create_server(("127.0.0.1", 0))
        server = start_server(hello, listener, 8)
        send(listener.getsockname(), HELLO)
        started = time.monotonic()

        server.stop(grace=60)

        assert time.monotonic() - started < 10
        assert set(threading.enumerate()) == threads
        assert len(os.listdir("/dev/fd")) == len(files)

    def test_a_call_that_hangs_is_abandoned_after_the_grace(self) -> None:
        threads = set(threading.enumerate())
        answer, listener = Blocking(), socket.create_server(("127.0.0.1", 0))
        server = start_server(answer, listener, 2)
        with connect(listener.getsockname()) as client:
            client.sendall(HELLO)
            answer.called.wait(TIMEOUT)

            server.stop(grace=0.1)
            still_hangs = not answer.returns.is_set()
            answer.release.set()

            assert still_hangs
            assert read_all(client) == b""
        for thread in set(threading.enumerate()) - threads:
            thread.join(TIMEOUT)
