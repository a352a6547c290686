from __future__ import annotations

import json
import os
import resource
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoresvc.api.request import Pending, Request, Response
from scoresvc.net import connections
from scoresvc.net.connections import Timeouts
from tests.http.conftest import LOOPS
from tests.tcp.client import (
    HELLO,
    HELLO_RESPONSE,
    TIMEOUT,
    Address,
    ask,
    connect,
    connect_with_small_buffers,
    error_response,
    make_frame,
    read_all,
    reset,
    send,
)
from tests.tcp.conftest import Serve
from tests.tcp.serving import (
    NEVER,
    PATIENT,
    SHORT,
    EventLoop,
    Later,
    Server,
    completed,
    echo,
    hello,
    listen,
    text,
    wait_until,
)
from tests.tcp.test_frames import json_values

LATER = make_frame("GET", "/later")
LARGE = b"x" * 8_000_000  # bytes, more than the system keeps of what a client does not read
LARGE_RESPONSE = b'{"code": 200, "message": "OK", "data": "' + LARGE + b'"}'
TIMED_OUT = error_response(408, "Request Timeout")
REJECTED = error_response(503, "Service Unavailable")
FAILED = error_response(500, "Internal Server Error")


@contextmanager
def open_files(limit: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(scope="module")
def echo_address(loop: EventLoop) -> Iterator[Address]:
    with Server(loop, echo) as server:
        yield server.address


class TestAnswering:
    def test_a_request_is_answered_byte_for_byte(self, serve: Serve) -> None:
        assert send(serve(hello).address, HELLO) == HELLO_RESPONSE

    def test_the_call_gets_the_request_and_the_address_of_the_client(self, serve: Serve) -> None:
        seen = []

        def call(request: Request) -> Response:
            seen.append(request)
            return hello(request)

        send(serve(call).address, HELLO)

        assert seen == [Request("GET", "/", "", {}, b"", "127.0.0.1")]

    def test_answers_that_come_later_reach_those_who_asked_in_any_order(self, serve: Serve) -> None:
        later = Later()
        address = serve(later).address
        with ExitStack() as stack:
            clients = {f"/{number}": stack.enter_context(connect(address)) for number in range(20)}
            for path, client in clients.items():
                client.sendall(make_frame("GET", path))
            pending = later.take(20)

            for path in reversed(clients):
                pending[path].set_result(text(path.encode()))

            responses = {path: json.loads(read_all(client))["data"] for path, client in clients.items()}
        assert responses == {path: path for path in clients}

    def test_a_call_that_waits_holds_up_no_other(self, serve: Serve) -> None:
        later = Later()
        address = serve(later).address
        with connect(address) as waiting:
            waiting.sendall(LATER)
            (future,) = later.take(1).values()

            others = [send(address, HELLO) for _ in range(5)]

            future.set_result(text(b"Hello, World!"))
            assert (others, read_all(waiting)) == ([HELLO_RESPONSE] * 5, HELLO_RESPONSE)

    def test_a_call_that_fails_late_costs_its_connection_and_no_other(
        self, loop: EventLoop, serve: Serve, caplog: pytest.LogCaptureFixture
    ) -> None:
        later = Later()
        server = serve(later)
        with connect(server.address) as failing, connect(server.address) as other:
            failing.sendall(make_frame("GET", "/failing"))
            other.sendall(make_frame("GET", "/other"))
            pending = later.take(2)

            def finish() -> None:
                pending["/failing"].set_exception(LookupError("mistake"))
                pending["/other"].set_result(text(b"Hello, World!"))

            loop.run(finish)  # both in one turn of the loop

            assert (read_all(failing), read_all(other)) == (b"", HELLO_RESPONSE)
        assert "LookupError: mistake" in caplog.text

    @pytest.mark.parametrize("later", [False, True])
    @pytest.mark.parametrize(
        ("status", "headers", "reason"),
        [
            ("OK", [], "ValueError"),
            ("200 OK", [("Content-Type", "application/json")], "JSONDecodeError"),
            ("200 OK", [("Content-Type", "text/plain; charset=klingon")], "LookupError"),
            ("200 OK", [("Content-Type", None)], "AttributeError"),
            ("200 OK", [("Content-Type",)], "ValueError"),
            ("200 OK", [(None, "text/plain")], "AttributeError"),
        ],
    )
    def test_a_response_without_a_form_in_json_is_a_500_with_its_traceback_in_the_log(
        self,
        serve: Serve,
        status: str,
        headers: list[tuple[str, str]],
        reason: str,
        later: bool,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        def call(request: Request) -> Response | Pending:
            response = Response(status, tuple(headers), b"<html>")
            return completed(response) if later else response

        assert send(serve(call).address, HELLO) == FAILED
        [record] = caplog.records
        assert (record.name, record.levelname) == ("scoresvc.tcp", "ERROR")
        assert "Traceback" in caplog.text
        assert reason in caplog.text


class TestRefusing:
    @pytest.mark.parametrize("frame", [b"\0", b"hello\0", b"\xff\0", b"[" * 60_000 + b"\0"])
    def test_a_frame_that_is_not_json_gets_a_422(self, echo_address: Address, frame: bytes) -> None:
        assert send(echo_address, frame) == error_response(422, "Unprocessable Entity")

    def test_json_that_is_no_request_gets_a_400(self, echo_address: Address) -> None:
        assert send(echo_address, b"[]\0") == error_response(400, "Bad Request")

    def test_a_frame_as_long_as_the_limit_is_answered(self, serve: Serve) -> None:
        server = serve(hello, frame_bytes_max=200)

        assert send(server.address, HELLO[:-1].ljust(200) + b"\0") == HELLO_RESPONSE

    @pytest.mark.parametrize("length", [201, 1_000_000])
    def test_a_frame_over_the_limit_gets_a_413_that_arrives(self, serve: Serve, length: int) -> None:
        server = serve(hello, frame_bytes_max=200)

        with connect_with_small_buffers(server.address) as client:
            client.sendall(b"x" * length)

            assert read_all(client) == error_response(413, "Request Entity Too Large")

    def test_a_client_that_ends_its_side_before_the_nul_gets_a_408_at_once(self, serve: Serve) -> None:
        server = serve(hello, timeouts=PATIENT)
        responses = []

        for sent in (b"", HELLO[:10], HELLO[:-1]):
            with connect(server.address) as client:
                client.sendall(sent)
                client.shutdown(socket.SHUT_WR)
                responses.append(read_all(client))

        assert responses == [TIMED_OUT] * 3
        server.wait_for_connections(0)

    def test_a_connection_over_the_limit_gets_a_503_until_another_ends(self, serve: Serve) -> None:
        server = serve(hello, connections_max=2)
        with connect(server.address) as first, connect(server.address) as second:
            rejected = [send(server.address, HELLO) for _ in range(20)]
            first.sendall(HELLO)
            response = read_all(first)
            first.close()
            server.wait_for_connections(1)
            admitted = send(server.address, HELLO)
            second.sendall(HELLO)

            assert rejected == [REJECTED] * 20
            assert (response, admitted, read_all(second)) == (HELLO_RESPONSE, HELLO_RESPONSE, HELLO_RESPONSE)

    def test_one_address_cannot_take_all_connections(self, serve: Serve) -> None:
        server = serve(hello, connections_per_address=2)
        with connect(server.address, "127.0.0.2") as first, connect(server.address, "127.0.0.2"):
            with connect(server.address, "127.0.0.2") as third:
                rejected = read_all(third)
            others = send(server.address, HELLO)
            first.close()
            server.wait_for_connections(1)
            with connect(server.address, "127.0.0.2") as third:
                third.sendall(HELLO)
                admitted = read_all(third)

        assert (rejected, others, admitted) == (REJECTED, HELLO_RESPONSE, HELLO_RESPONSE)

    def test_of_rejected_connections_few_are_kept(self, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(connections, "REJECTED_MAX", 2)
        server = serve(hello, connections_max=0, timeouts=PATIENT)
        with ExitStack() as stack:
            clients = [stack.enter_context(connect(server.address)) for _ in range(5)]
            responses = [read_all(client) for client in clients]
            server.wait_for_connections(2)
        server.wait_for_connections(0)

        assert responses == [REJECTED] * 5

    @settings(max_examples=50, deadline=None)
    @given(st.binary())
    def test_any_bytes_get_a_response(self, echo_address: Address, octets: bytes) -> None:
        response = send(echo_address, octets + b"\0")

        assert response in (error_response(400, "Bad Request"), error_response(422, "Unprocessable Entity"))

    @settings(max_examples=50, deadline=None)
    @given(json_values)
    def test_any_value_comes_back(self, echo_address: Address, value: object) -> None:
        assert ask(echo_address, data=value)["data"] == (value if value != "" else None)


class TestSlowClients:
    def test_the_timeout_is_the_deadline_of_the_request_and_of_the_answer(self, serve: Serve) -> None:
        assert serve(hello, timeout=3).timeouts == Timeouts(head=3, answer=3)

    def test_a_frame_may_come_byte_by_byte(self, serve: Serve) -> None:
        with connect(serve(hello).address) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in HELLO:
                client.sendall(bytes([byte]))

            assert read_all(client) == HELLO_RESPONSE

    def test_many_frames_may_come_in_halves(self, serve: Serve) -> None:
        address = serve(hello).address
        with ExitStack() as stack:
            clients = [stack.enter_context(connect(address)) for _ in range(50)]
            for half in (HELLO[:15], HELLO[15:]):
                for client in clients:
                    client.sendall(half)

            assert [read_all(client) for client in clients] == [HELLO_RESPONSE] * 50

    def test_bytes_that_come_slowly_win_no_time_and_hold_up_no_other(self, serve: Serve) -> None:
        address = serve(hello, timeouts=SHORT).address
        others, response = [], b""
        with connect(address) as slow:
            slow.settimeout(0.02)
            while not response:
                slow.sendall(b" ")
                others.append(send(address, HELLO))
                assert len(others) < 1000
                with suppress(TimeoutError):
                    response = slow.recv(65536)

        assert response == TIMED_OUT
        assert others == [HELLO_RESPONSE] * len(others)

    def test_a_silent_client_gets_a_408_and_one_that_waits_for_its_answer_does_not(self, serve: Serve) -> None:
        later = Later()
        server = serve(later, timeouts=SHORT)
        with connect(server.address) as waiting:
            waiting.sendall(LATER)
            (future,) = later.take(1).values()

            silent = send(server.address, b"")  # which takes longer than the first one had for its request
            future.set_result(text(b"Hello, World!"))

            assert (silent, read_all(waiting)) == (TIMED_OUT, HELLO_RESPONSE)

    def test_a_client_that_never_reads_is_closed_while_others_are_served(self, serve: Serve) -> None:
        def call(request: Request) -> Response:
            return hello(request) if request.path == "/" else text(LARGE)

        server = serve(call, timeouts=SHORT, connections_max=2)
        with connect(server.address) as unread:
            unread.sendall(make_frame("GET", "/large"))
            assert unread.recv(1, socket.MSG_PEEK) == b"{"
            assert send(server.address, HELLO) == HELLO_RESPONSE
            server.wait_for_connections(0)

    def test_a_client_that_does_not_close_after_its_answer_is_closed(self, serve: Serve) -> None:
        server = serve(hello, timeouts=SHORT)
        with connect(server.address) as client:
            client.sendall(HELLO)

            assert read_all(client) == HELLO_RESPONSE
            server.wait_for_connections(0)

    def test_a_client_that_sends_without_end_is_closed(self, serve: Serve) -> None:
        server = serve(hello, timeouts=PATIENT)
        with connect(server.address) as client:
            client.sendall(HELLO)
            with suppress(ConnectionError):
                for _ in range(1000):
                    client.sendall(b"x" * 100_000)
            server.wait_for_connections(0)

    def test_a_big_response_arrives_whole(self, serve: Serve) -> None:
        with connect_with_small_buffers(serve(lambda request: text(LARGE)).address) as client:
            client.sendall(HELLO)

            assert read_all(client) == LARGE_RESPONSE

    @pytest.mark.parametrize("length", [1, 65536, 1_000_000])
    def test_the_answer_arrives_though_input_after_the_frame_is_left(self, serve: Serve, length: int) -> None:
        with connect_with_small_buffers(serve(hello).address) as client:
            client.sendall(HELLO + b"x" * length)

            assert read_all(client) == HELLO_RESPONSE

    @pytest.mark.parametrize("length", [1, 10_000_000])
    def test_input_after_the_frame_does_not_end_the_wait_for_its_answer(self, serve: Serve, length: int) -> None:
        later = Later()
        with connect(serve(later).address) as client:
            client.settimeout(0.1)
            with suppress(TimeoutError):  # the server need not take all of it
                client.sendall(LATER + b"x" * length)
            client.settimeout(TIMEOUT)
            (future,) = later.take(1).values()
            future.set_result(text(b"Hello, World!"))

            assert read_all(client) == HELLO_RESPONSE

    def test_a_client_that_goes_on_sending_after_its_frame_is_not_reset(self, serve: Serve) -> None:
        with connect(serve(hello).address) as client:
            client.sendall(HELLO + b"x")
            response = read_all(client)
            for _ in range(3):
                client.sendall(b"x" * 1000)

        assert response == HELLO_RESPONSE

    @pytest.mark.parametrize("sent", [b"", HELLO[:10], HELLO, HELLO + b"x" * 1000])
    @pytest.mark.parametrize("leave", [reset, socket.socket.close])
    def test_a_client_that_hangs_up_leaves_nothing_behind(
        self, serve: Serve, sent: bytes, leave: Callable[[socket.socket], None]
    ) -> None:
        server = serve(hello, timeouts=PATIENT)

        for _ in range(50):
            client = connect(server.address)
            client.sendall(sent)
            leave(client)

        server.wait_for_connections(0)
        assert [send(server.address, HELLO) for _ in range(5)] == [HELLO_RESPONSE] * 5

    @pytest.mark.parametrize("leave", [reset, socket.socket.close])
    def test_a_client_that_hangs_up_before_its_answer_is_there_leaves_nothing_behind(
        self, serve: Serve, leave: Callable[[socket.socket], None]
    ) -> None:
        later = Later()
        server = serve(later, timeouts=PATIENT)
        for number in range(20):
            client = connect(server.address)
            client.sendall(make_frame("GET", f"/{number}"))
            leave(client)

        for future in later.take(20).values():
            future.set_result(text(b"Hello, World!"))

        server.wait_for_connections(0)

    @pytest.mark.parametrize("later", [False, True])
    def test_a_client_that_ends_its_side_gets_its_answer_whole(self, serve: Serve, later: bool) -> None:
        calls = Later()
        server = serve(calls if later else lambda request: text(LARGE), timeouts=PATIENT)
        with connect_with_small_buffers(server.address) as client:
            client.sendall(LATER)
            client.shutdown(socket.SHUT_WR)
            if later:
                assert send(server.address, HELLO) == HELLO_RESPONSE  # by now the server knows that the side has ended
                calls.take(1)["/later"].set_result(text(LARGE))

            assert read_all(client) == LARGE_RESPONSE
            server.wait_for_connections(0)

    def test_beside_a_thousand_idle_connections_others_are_served(self, serve: Serve) -> None:
        with open_files(4096), ExitStack() as stack:
            server = serve(hello, connections_max=2000)
            for _ in range(1000):
                stack.enter_context(connect(server.address))
            server.wait_for_connections(1000)

            responses = [send(server.address, HELLO) for _ in range(20)]

        assert responses == [HELLO_RESPONSE] * 20


class CountingListener(socket.socket):
    """Counts how often a connection was asked for."""

    attempts = 0

    def accept(self) -> tuple[socket.socket, Address]:
        self.attempts += 1
        return super().accept()


class TestListening:
    def test_without_a_free_descriptor_connections_wait_and_the_log_says_so_now_and_then(
        self, serve: Serve, caplog: pytest.LogCaptureFixture
    ) -> None:
        listener = CountingListener(fileno=listen().detach())
        server = serve(hello, listener=listener)
        with socket.socket() as client:
            client.settimeout(TIMEOUT)
            lowest_free = os.dup(client.fileno())
            os.close(lowest_free)
            with open_files(lowest_free):
                client.connect(server.address)
                client.sendall(HELLO)
                wait_until(lambda: listener.attempts >= 3)
            attempts = listener.attempts

            assert read_all(client) == HELLO_RESPONSE
        assert set(caplog.messages) == {"cannot accept connections: Too many open files; they wait"}
        assert len(caplog.messages) < attempts


class TestShuttingDown:
    def test_requests_in_flight_are_answered_and_no_more_connections_are_accepted(self, serve: Serve) -> None:
        later = Later()
        server = serve(later)
        with connect(server.address) as idle, connect(server.address) as half, connect(server.address) as busy:
            half.sendall(HELLO[:10])
            busy.sendall(LATER)
            (future,) = later.take(1).values()
            server.wait_for_connections(3)

            ending = server.begin_shutdown(NEVER)

            assert (read_all(idle), read_all(half)) == (b"", b"")
            with pytest.raises(ConnectionRefusedError):
                connect(server.address)
            future.set_result(text(b"Hello, World!"))
            assert read_all(busy) == HELLO_RESPONSE
            busy.close()
            ending.result(TIMEOUT)

    def test_an_idle_server_needs_no_grace(self, serve: Serve) -> None:
        server = serve(hello)
        send(server.address, HELLO)
        with connect(server.address) as idle:
            server.wait_for_connections(1)
            server.shut_down(NEVER)

            assert read_all(idle) == b""

    def test_a_call_that_hangs_is_abandoned_after_the_grace(self, serve: Serve) -> None:
        later = Later()
        server = serve(later)
        with connect(server.address) as client:
            client.sendall(LATER)
            (future,) = later.take(1).values()

            server.shut_down(grace=0.05)
            future.set_result(text(b"Hello, World!"))

            assert read_all(client) == b""

    @pytest.mark.parametrize("name", LOOPS)
    def test_no_thread_and_no_descriptor_is_left(self, name: str) -> None:
        threads, files = set(threading.enumerate()), os.listdir("/dev/fd")

        with EventLoop(name) as loop, Server(loop, hello) as server, connect(server.address) as idle:
            send(server.address, HELLO)
            idle.sendall(HELLO[:10])
            server.wait_for_connections(1)

        assert set(threading.enumerate()) == threads
        assert len(os.listdir("/dev/fd")) == len(files)
