from __future__ import annotations

import json
import logging
import os
import resource
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any
from wsgiref.validate import validator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoresvc import jsontcp
from scoresvc.jsontcp import PRESENT_MAX, Gateway, Limits

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

Address = tuple[Any, ...]
Serve = Callable[..., Address]

PATIENCE = 5  # seconds until a test gives up; less than the default deadline
HELLO = b'{"method": "GET", "path": "/"}\0'
HELLO_ANSWER = b'{"code": 200, "message": "OK", "data": "Hello, World!"}'


def hello(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"Hello, World!"]


def echo(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
    start_response("200 OK", [("Content-Type", environ["CONTENT_TYPE"] or "text/plain")])
    return [environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))]


def refusal(code: int, message: str) -> bytes:
    return json.dumps({"code": code, "message": message, "data": None}).encode()


def connect(address: Address) -> socket.socket:
    return socket.create_connection(address[:2], timeout=PATIENCE)


def read_all(client: socket.socket) -> bytes:
    return b"".join(iter(lambda: client.recv(65536), b""))


def send(address: Address, octets: bytes) -> bytes:
    """Returns what comes back until the connection ends."""
    with connect(address) as client:
        client.sendall(octets)
        return read_all(client)


def ask(address: Address, method: str = "GET", path: str = "/", **members: Any) -> dict[str, Any]:
    answer = send(address, json.dumps({"method": method, "path": path} | members).encode() + b"\0")
    response: dict[str, Any] = json.loads(answer)
    return response


def wait_until_served(address: Address) -> None:
    until = time.monotonic() + PATIENCE
    while send(address, HELLO) != HELLO_ANSWER:
        assert time.monotonic() < until


def reset(client: socket.socket) -> None:
    """Closes the connection the hard way, as a client that dies."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


@contextmanager
def open_files(limit: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts gateways on free ports; returns their addresses."""
    gateways = []

    def start(application: WSGIApplication, host: str = "127.0.0.1", threads: int = 4, **limits: Any) -> Address:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, 0), family=family)
        gateways.append(Gateway(application, listener, Limits(**limits), threads))
        gateways[-1].start()
        address: Address = listener.getsockname()
        return address

    yield start
    for gateway in gateways:
        gateway.stop(grace=2)


@pytest.fixture(scope="module")
def echo_address() -> Iterator[Address]:
    listener = socket.create_server(("127.0.0.1", 0))
    gateway = Gateway(validator(echo), listener, Limits(), 2)
    gateway.start()
    yield listener.getsockname()
    gateway.stop(grace=2)


class TestCallingTheApplication:
    def test_a_request_is_answered_byte_for_byte(self, serve: Serve) -> None:
        assert send(serve(hello), HELLO) == HELLO_ANSWER

    @pytest.mark.parametrize("data", ["text", 'é "€" 🎮', 1500, 0, [], {}, [1, {"a": None}], True, False, "\0", 1e300])
    def test_data_travels_there_and_back_unchanged(self, echo_address: Address, data: object) -> None:
        assert ask(echo_address, data=data) == {"code": 200, "message": "OK", "data": data}

    @pytest.mark.parametrize("data", [None, ""])
    def test_an_empty_body_is_null(self, echo_address: Address, data: str | None) -> None:
        assert ask(echo_address, data=data) == {"code": 200, "message": "OK", "data": None}

    def test_the_environ_tells_the_whole_request(self, serve: Serve) -> None:
        seen: WSGIEnvironment = {}

        def remember(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
            seen.update(environ)
            return hello(environ, start_response)

        address = serve(remember)
        with connect(address) as client:
            own = client.getsockname()
            client.sendall(
                b'{"method": "PUT", "path": "/%C3%A9?a=%20", "data": "x", "headers": {"X-Some-Thing": "y"}}\0'
            )
            read_all(client)

        assert seen.pop("wsgi.input").read() == b"x"
        assert seen == {
            "REQUEST_METHOD": "PUT",
            "SCRIPT_NAME": "",
            "PATH_INFO": "/Ã©",
            "QUERY_STRING": "a=%20",
            "CONTENT_TYPE": "text/plain; charset=utf-8",
            "CONTENT_LENGTH": "1",
            "HTTP_X_SOME_THING": "y",
            "REMOTE_ADDR": own[0],
            "REMOTE_PORT": str(own[1]),
            "SERVER_NAME": address[0],
            "SERVER_PORT": str(address[1]),
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
        }

    @pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
    def test_the_call_is_a_valid_one(self, serve: Serve, method: str) -> None:
        address = serve(validator(hello))

        assert ask(address, method, "/a?b", headers={"Accept": "text/plain"}, data=[1])["code"] == 200

    def test_the_body_may_be_written(self, serve: Serve) -> None:
        def application(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
            write = start_response("200 OK", [])
            write(b"Hello, ")
            return [b"World", b"!"]

        assert send(serve(application), HELLO) == HELLO_ANSWER

    def test_the_application_may_be_a_generator(self, serve: Serve) -> None:
        def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
            start_response("200 OK", [])
            yield b""
            yield b"Hello, World!"

        assert send(serve(application), HELLO) == HELLO_ANSWER

    @pytest.mark.parametrize("chunks", [[b"a"], [b"a", None]])
    def test_the_body_is_closed_whether_it_fails_or_not(self, serve: Serve, chunks: list[bytes | None]) -> None:
        closed = threading.Event()

        class Body:
            def __iter__(self) -> Iterator[bytes]:
                return (chunk[:] for chunk in chunks)  # type: ignore[index]

            def close(self) -> None:
                closed.set()

        def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            start_response("200 OK", [])
            return Body()

        ask(serve(application))

        assert closed.is_set()

    def test_an_error_may_replace_a_response_that_has_not_begun(self, serve: Serve) -> None:
        def application(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
            start_response("200 OK", [("Content-Type", "application/json")])
            try:
                raise ValueError
            except ValueError:
                start_response("503 X", [], sys.exc_info())
            return [b"later"]

        assert ask(serve(application)) == {"code": 503, "message": "Service Unavailable", "data": "later"}

    def test_an_error_may_not_replace_a_response_that_has_begun(
        self, serve: Serve, caplog: pytest.LogCaptureFixture
    ) -> None:
        def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
            start_response("200 OK", [])
            yield b"begun"
            try:
                raise LookupError
            except LookupError:
                start_response("503 X", [], sys.exc_info())

        assert send(serve(application), HELLO) == refusal(500, "Internal Server Error")
        assert "LookupError" in caplog.text


def raises(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
    raise LookupError("mistake")


def exits(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
    sys.exit("mistake")


def raises_late(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    start_response("200 OK", [])
    yield b"begun"
    raise LookupError("mistake")


def says_nothing(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
    return []


def starts_twice(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
    start_response("200 OK", [])
    start_response("200 OK", [])
    return []


def says_text(environ: WSGIEnvironment, start_response: StartResponse) -> list[str]:
    start_response("200 OK", [])
    return ["text"]


def has_no_code(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
    start_response("OK", [])
    return []


def lies(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
    start_response("200 OK", [("content-type", "application/json")])
    return [b"<html>"]


class TestFailingApplications:
    @pytest.mark.parametrize(
        ("application", "reason"),
        [
            (raises, "LookupError: mistake"),
            (exits, "SystemExit: mistake"),
            (raises_late, "LookupError: mistake"),
            (says_nothing, "start_response was not called"),
            (starts_twice, "start_response was called twice"),
            (says_text, "TypeError"),
            (has_no_code, "ValueError"),
            (lies, "JSONDecodeError"),
        ],
    )
    def test_a_failure_is_a_500_with_its_traceback_in_the_log(
        self, serve: Serve, application: Any, reason: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        answer = send(serve(application), HELLO)

        assert answer == refusal(500, "Internal Server Error")
        [record] = caplog.records
        assert (record.name, record.levelname) == ("scoresvc.jsontcp", "ERROR")
        assert "Traceback" in caplog.text
        assert reason in caplog.text

    @pytest.mark.parametrize("application", [raises, exits])
    def test_a_failure_ends_no_thread(self, serve: Serve, application: Any) -> None:
        address = serve(application, threads=2)

        assert [ask(address)["code"] for _ in range(8)] == [500] * 8

    @pytest.mark.parametrize("application", [hello, raises, lies])
    def test_a_log_tells_nothing_that_a_client_sent(
        self, serve: Serve, application: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)

        ask(serve(application), path="/SECRET?k=SECRET", headers={"Authorization": "SECRET"}, data={"SECRET": 1})

        assert "SECRET" not in caplog.text

    def test_quick_calls_stay_with_few_threads(self, serve: Serve) -> None:
        callers = set()

        def application(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
            callers.add(threading.current_thread())
            return hello(environ, start_response)

        address = serve(application, threads=8)
        for _ in range(50):
            send(address, HELLO)

        assert len(callers) <= PRESENT_MAX

    def test_a_blocked_call_stops_nobody(self, serve: Serve) -> None:
        release, entered = threading.Event(), threading.Semaphore(0)

        def application(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
            if environ["PATH_INFO"] == "/blocked":
                entered.release()
                release.wait(PATIENCE)
            return hello(environ, start_response)

        address = serve(application, threads=4)
        blocked = HELLO.replace(b'"/"', b'"/blocked"')
        with ExitStack() as stack:
            clients = [stack.enter_context(connect(address)) for _ in range(3)]
            for client in clients:
                client.sendall(blocked)
                assert entered.acquire(timeout=PATIENCE)
            others = [send(address, HELLO) for _ in range(5)]
            release.set()

            assert others == [HELLO_ANSWER] * 5
            assert [read_all(client) for client in clients] == [HELLO_ANSWER] * 3


class TestRefusing:
    @pytest.mark.parametrize("frame", [b"\0", b"hello\0", b"\xff\0", b"[" * 60_000 + b"\0"])
    def test_no_json_is_a_422(self, echo_address: Address, frame: bytes) -> None:
        assert send(echo_address, frame) == refusal(422, "Unprocessable Entity")

    def test_another_json_is_a_400(self, echo_address: Address) -> None:
        assert send(echo_address, b"[]\0") == refusal(400, "Bad Request")

    def test_a_frame_as_long_as_the_limit_is_answered(self, serve: Serve) -> None:
        address = serve(hello, frame_bytes_max=200)

        assert send(address, HELLO[:-1].ljust(200) + b"\0") == HELLO_ANSWER

    @pytest.mark.parametrize("length", [201, 3_000_000])
    def test_a_frame_over_the_limit_is_a_413_that_arrives(self, serve: Serve, length: int) -> None:
        address = serve(hello, frame_bytes_max=200)

        answers = {send(address, b"x" * length) for _ in range(20)}

        assert answers == {refusal(413, "Request Entity Too Large")}

    def test_a_client_that_says_nothing_is_told_so_at_the_deadline(self, serve: Serve) -> None:
        began = time.monotonic()

        answer = send(serve(hello, timeout=0.2), b"")

        assert answer == refusal(408, "Request Timeout")
        assert 0.2 <= time.monotonic() - began < 1

    def test_a_connection_too_many_is_a_503_until_another_ends(self, serve: Serve) -> None:
        address = serve(hello, connections_max=2)
        with connect(address) as first, connect(address) as second:
            refused = {send(address, HELLO) for _ in range(20)}
            first.sendall(HELLO)
            answer = read_all(first)
            admitted = send(address, HELLO)
            second.sendall(HELLO)

            assert refused == {refusal(503, "Service Unavailable")}
            assert (answer, admitted, read_all(second)) == (HELLO_ANSWER, HELLO_ANSWER, HELLO_ANSWER)

    def test_far_too_many_connections_are_not_even_answered(
        self, serve: Serve, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(jsontcp, "SURPLUS_MAX", 2)
        address = serve(hello, connections_max=2)
        with connect(address), connect(address), connect(address) as first, connect(address) as second:
            answers = [read_all(first), read_all(second)]
            with connect(address) as third:
                answers.append(read_all(third))

        assert answers == [refusal(503, "Service Unavailable")] * 2 + [b""]

    @settings(max_examples=50, deadline=None)
    @given(st.binary())
    def test_any_bytes_get_an_answer(self, echo_address: Address, octets: bytes) -> None:
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


class TestSlowClients:
    def test_a_frame_may_come_byte_by_byte(self, serve: Serve) -> None:
        with connect(serve(hello)) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in HELLO:
                client.sendall(bytes([byte]))

            assert read_all(client) == HELLO_ANSWER

    def test_many_frames_may_come_in_halves(self, serve: Serve) -> None:
        address = serve(hello, threads=2)
        with ExitStack() as stack:
            clients = [stack.enter_context(connect(address)) for _ in range(50)]
            for half in (HELLO[:15], HELLO[15:]):
                for client in clients:
                    client.sendall(half)

            assert [read_all(client) for client in clients] == [HELLO_ANSWER] * 50

    def test_a_client_that_drips_is_cut_at_the_deadline_while_others_are_served(self, serve: Serve) -> None:
        address = serve(hello, threads=1, timeout=0.5)
        others, answer, began = [], b"", time.monotonic()
        with connect(address) as dripping:
            dripping.settimeout(0.02)
            while not answer:
                dripping.sendall(b" ")
                others.append(send(address, HELLO))
                try:
                    answer = dripping.recv(65536)
                except TimeoutError:
                    continue

        assert answer == refusal(408, "Request Timeout")
        assert 0.5 <= time.monotonic() - began < 1.5
        assert others == [HELLO_ANSWER] * len(others)
        assert len(others) > 5

    def test_a_client_that_never_reads_is_dropped_at_the_deadline_while_others_are_served(self, serve: Serve) -> None:
        def application(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
            big = environ["PATH_INFO"] == "/big"
            start_response("200 OK", [])
            return [b"x" * 20_000_000] if big else [b"Hello, World!"]

        address = serve(application, threads=1, timeout=0.3, connections_max=2)
        with connect(address) as deaf:
            deaf.sendall(HELLO.replace(b'"/"', b'"/big"'))
            assert send(address, HELLO) == HELLO_ANSWER
            with connect(address) as idle:
                assert send(address, HELLO) == refusal(503, "Service Unavailable")
                assert read_all(idle) == refusal(408, "Request Timeout")
            with connect(address):
                wait_until_served(address)

    def test_a_big_answer_arrives_whole(self, serve: Serve) -> None:
        def application(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
            start_response("200 OK", [])
            return [b"x" * 10_000_000]

        assert ask(serve(application))["data"] == "x" * 10_000_000

    @pytest.mark.parametrize("behind", [1, 65536, 3_000_000])
    def test_the_answer_arrives_though_input_is_left(self, serve: Serve, behind: int) -> None:
        address = serve(hello)

        answers = [send(address, HELLO + b"x" * behind) for _ in range(20)]

        assert answers == [HELLO_ANSWER] * 20

    def test_a_client_that_goes_on_behind_its_request_is_not_reset(self, serve: Serve) -> None:
        with connect(serve(hello)) as client:
            client.sendall(HELLO + b"x")
            answer = read_all(client)
            for _ in range(3):
                client.sendall(b"x" * 1000)

        assert answer == HELLO_ANSWER

    @pytest.mark.parametrize("sent", [b"", HELLO[:10], HELLO, HELLO + b"x" * 1000])
    @pytest.mark.parametrize("leave", [reset, socket.socket.close])
    def test_a_client_that_hangs_up_costs_nothing_else(
        self, serve: Serve, sent: bytes, leave: Callable[[socket.socket], None]
    ) -> None:
        address = serve(hello, threads=1, connections_max=50)

        for _ in range(100):
            client = connect(address)
            client.sendall(sent)
            leave(client)

        wait_until_served(address)

    def test_a_client_that_ends_its_side_is_answered(self, serve: Serve) -> None:
        with connect(serve(hello)) as client:
            client.sendall(HELLO)
            client.shutdown(socket.SHUT_WR)

            assert read_all(client) == HELLO_ANSWER

    def test_a_thousand_idle_connections_delay_nobody(self, serve: Serve) -> None:
        address = serve(hello, connections_max=2000)
        with open_files(4096), ExitStack() as stack:
            for _ in range(1000):
                stack.enter_context(connect(address))
            began = time.monotonic()

            answers = [send(address, HELLO) for _ in range(20)]

            assert answers == [HELLO_ANSWER] * 20
            assert time.monotonic() - began < 1


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
            client.settimeout(PATIENCE)

            assert read_all(client) == HELLO_ANSWER
        assert 1 <= len(caplog.messages) <= 5
        assert caplog.messages[0].startswith("cannot accept a connection: ")

    def test_gateways_may_share_a_listener(self) -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        gateways = [Gateway(hello, each, Limits(), 4) for each in (listener, listener.dup())]
        for gateway in gateways:
            gateway.start()

        answers = [send(listener.getsockname(), HELLO) for _ in range(100)]
        address = listener.getsockname()
        gateways[0].stop(grace=2)
        later = [send(address, HELLO) for _ in range(20)]
        gateways[1].stop(grace=2)

        assert answers + later == [HELLO_ANSWER] * 120

    @pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
    def test_a_listener_may_speak_ipv6(self, serve: Serve) -> None:
        def tell_address(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
            start_response("200 OK", [])
            return [environ["REMOTE_ADDR"].encode()]

        assert ask(serve(tell_address, host="::1"))["data"] == "::1"


class Blocking:
    """An application that, once called, waits for its release."""

    def __init__(self) -> None:
        self.called = threading.Event()
        self.release = threading.Event()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        self.called.set()
        self.release.wait(PATIENCE)
        return hello(environ, start_response)


class TestStopping:
    def test_what_is_in_hand_is_answered_and_no_more_is_accepted(self) -> None:
        application, listener = Blocking(), socket.create_server(("127.0.0.1", 0))
        address = listener.getsockname()
        gateway = Gateway(application, listener, Limits(), 2)
        gateway.start()
        with connect(address) as idle, connect(address) as busy:
            busy.sendall(HELLO)
            application.called.wait(PATIENCE)
            stopping = threading.Thread(target=gateway.stop, args=(PATIENCE,))
            stopping.start()
            idle.settimeout(PATIENCE / 2)
            assert read_all(idle) == b""
            application.release.set()
            stopping.join()

            assert read_all(busy) == HELLO_ANSWER
        with pytest.raises(ConnectionRefusedError):
            connect(address)

    def test_who_comes_meanwhile_is_not_answered_and_costs_nothing(self) -> None:
        calls = {"/first": Blocking(), "/second": Blocking()}
        listener = socket.create_server(("127.0.0.1", 0))
        address = listener.getsockname()
        gateway = Gateway(lambda environ, start: calls[environ["PATH_INFO"]](environ, start), listener, Limits(), 3)
        gateway.start()
        with connect(address) as idle, connect(address) as first, connect(address) as second:
            first.sendall(HELLO.replace(b'"/"', b'"/first"'))
            second.sendall(HELLO.replace(b'"/"', b'"/second"'))
            assert all(call.called.wait(PATIENCE) for call in calls.values())
            stopping = threading.Thread(target=gateway.stop, args=(PATIENCE,))
            stopping.start()
            read_all(idle)
            with connect(address) as late:
                late.sendall(HELLO)
                calls["/first"].release.set()
                read_all(first)
                late.settimeout(0.2)
                spent = time.process_time()
                with pytest.raises(TimeoutError):
                    late.recv(1)
                spent = time.process_time() - spent
                calls["/second"].release.set()
                stopping.join()

        assert spent < 0.1

    def test_an_idle_gateway_stops_at_once_with_its_threads_and_files(self) -> None:
        threads, files = set(threading.enumerate()), os.listdir("/dev/fd")
        listener = socket.create_server(("127.0.0.1", 0))
        gateway = Gateway(hello, listener, Limits(), 8)
        gateway.start()
        send(listener.getsockname(), HELLO)
        began = time.monotonic()

        gateway.stop(grace=PATIENCE)

        assert time.monotonic() - began < 1
        assert set(threading.enumerate()) == threads
        assert len(os.listdir("/dev/fd")) == len(files)

    def test_an_application_that_hangs_is_left_behind_after_the_grace(self) -> None:
        threads = set(threading.enumerate())
        application, listener = Blocking(), socket.create_server(("127.0.0.1", 0))
        gateway = Gateway(application, listener, Limits(), 2)
        gateway.start()
        with connect(listener.getsockname()) as client:
            client.sendall(HELLO)
            application.called.wait(PATIENCE)
            began = time.monotonic()
            gateway.stop(grace=0.1)
            took = time.monotonic() - began
            application.release.set()

            assert took < 1
            assert read_all(client) == b""
        for thread in set(threading.enumerate()) - threads:
            thread.join(PATIENCE)
