from __future__ import annotations

import logging
import socket
import sys
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any
from wsgiref.validate import validator

import pytest

from scoresvc.api.request import Request, Response
from scoresvc.tcp.gateway import Gateway
from tests.tcp.client import (
    HELLO,
    HELLO_RESPONSE,
    TIMEOUT,
    Address,
    ask,
    connect,
    error_response,
    make_frame,
    read_all,
    send,
)
from tests.tcp.conftest import Serve, ServeApplication
from tests.tcp.serving import NEVER, EventLoop, Server, listen, wait_until

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


def hello(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"Hello, World!"]


def echo(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
    start_response("200 OK", [("Content-Type", environ["CONTENT_TYPE"] or "text/plain")])
    return [environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))]


@pytest.fixture(scope="module")
def echo_address(loop: EventLoop) -> Iterator[Address]:
    listener = listen()
    gateway = Gateway(validator(echo), listener, 2)
    with Server(loop, gateway.call, listener) as server:
        yield server.address
    gateway.close()


class Blocked:
    """An application whose calls wait until they are released; the root does not wait."""

    def __init__(self) -> None:
        self._called = threading.Semaphore(0)
        self.release = threading.Event()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        if environ["PATH_INFO"] != "/":
            self._called.release()
            self.release.wait(TIMEOUT)
        return hello(environ, start_response)

    def has_been_called(self) -> bool:
        """Returns whether there is one more call, for which it waits."""
        return self._called.acquire(timeout=TIMEOUT)


class TestCallingTheApplication:
    def test_a_request_is_answered_byte_for_byte(self, serve_application: ServeApplication) -> None:
        assert send(serve_application(hello), HELLO) == HELLO_RESPONSE

    @pytest.mark.parametrize("data", ["text", 'é "€" 🎮', 1500, 0, [], {}, [1, {"a": None}], True, False, "\0", 1e300])
    def test_data_makes_the_round_trip_unchanged(self, echo_address: Address, data: object) -> None:
        assert ask(echo_address, data=data) == {"code": 200, "message": "OK", "data": data}

    @pytest.mark.parametrize("data", [None, ""])
    def test_an_empty_body_is_null(self, echo_address: Address, data: str | None) -> None:
        assert ask(echo_address, data=data) == {"code": 200, "message": "OK", "data": None}

    def test_the_environ_has_the_whole_request(self, serve_application: ServeApplication) -> None:
        seen: WSGIEnvironment = {}

        def application(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
            seen.update(environ)
            return hello(environ, start_response)

        address = serve_application(application)
        ask(address, "PUT", "/%C3%A9?a=%20", data="x", headers={"X-Some-Thing": "y"})

        assert seen.pop("wsgi.input").read() == b"x"
        assert seen == {
            "REQUEST_METHOD": "PUT",
            "SCRIPT_NAME": "",
            "PATH_INFO": "/Ã©",
            "QUERY_STRING": "a=%20",
            "CONTENT_TYPE": "text/plain; charset=utf-8",
            "CONTENT_LENGTH": "1",
            "HTTP_X_SOME_THING": "y",
            "REMOTE_ADDR": "127.0.0.1",
            "SERVER_NAME": address[0],
            "SERVER_PORT": str(address[1]),
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }

    @pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
    def test_the_call_is_valid_by_pep_3333(self, serve_application: ServeApplication, method: str) -> None:
        address = serve_application(validator(hello))

        assert ask(address, method, "/a?b", headers={"Accept": "text/plain"}, data=[1])["code"] == 200

    def test_the_body_may_be_written(self, serve_application: ServeApplication) -> None:
        def application(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
            write = start_response("200 OK", [("Content-Type", "text/plain")])
            write(b"Hello, ")
            return [b"World", b"!"]

        assert send(serve_application(application), HELLO) == HELLO_RESPONSE

    def test_the_application_may_be_a_generator(self, serve_application: ServeApplication) -> None:
        def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
            start_response("200 OK", [])
            yield b""
            yield b"Hello, World!"

        assert send(serve_application(application), HELLO) == HELLO_RESPONSE

    @pytest.mark.parametrize(("chunks", "code"), [([b"a"], 200), ([b"a", None], 500)])
    def test_the_body_is_closed_whether_it_fails_or_not(
        self, serve_application: ServeApplication, chunks: list[bytes | None], code: int
    ) -> None:
        closed = threading.Event()

        class Body:
            def __iter__(self) -> Iterator[bytes]:
                return (chunk[:] for chunk in chunks)  # type: ignore[index]

            def close(self) -> None:
                closed.set()

        def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            start_response("200 OK", [])
            return Body()

        response = ask(serve_application(application))

        assert response["code"] == code
        assert closed.is_set()

    def test_an_error_may_replace_a_response_that_has_not_started(self, serve_application: ServeApplication) -> None:
        def application(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
            start_response("200 OK", [("Content-Type", "application/json")])
            try:
                raise ValueError
            except ValueError:
                start_response("503 X", [], sys.exc_info())
            return [b"later"]

        assert ask(serve_application(application)) == {"code": 503, "message": "Service Unavailable", "data": "later"}

    def test_an_error_may_not_replace_a_response_that_has_started(
        self, serve_application: ServeApplication, caplog: pytest.LogCaptureFixture
    ) -> None:
        def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
            start_response("200 OK", [])
            yield b"started"
            try:
                raise LookupError
            except LookupError:
                start_response("503 X", [], sys.exc_info())

        assert send(serve_application(application), HELLO) == error_response(500, "Internal Server Error")
        assert "LookupError" in caplog.text

    @pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
    def test_a_listener_may_have_an_ipv6_address(self, serve_application: ServeApplication) -> None:
        def application(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
            start_response("200 OK", [])
            return [environ["REMOTE_ADDR"].encode()]

        assert ask(serve_application(application, host="::1"))["data"] == "::1"


class TestThreads:
    def test_an_application_that_waits_holds_up_no_other_call(self, serve_application: ServeApplication) -> None:
        application = Blocked()
        address = serve_application(application, threads=3)
        with connect(address) as first, connect(address) as second:
            for client in (first, second):
                client.sendall(make_frame("GET", "/blocked"))
                assert application.has_been_called()

            others = [send(address, HELLO) for _ in range(5)]

            application.release.set()
            assert others == [HELLO_RESPONSE] * 5
            assert [read_all(client) for client in (first, second)] == [HELLO_RESPONSE] * 2

    def test_calls_that_run_or_wait_for_a_thread_are_answered_at_the_shutdown(self, serve: Serve) -> None:
        application, listener = Blocked(), listen()
        gateway, requests = Gateway(application, listener, 1), []

        def call(request: Request) -> Future[Response]:
            requests.append(request)
            return gateway.call(request)

        server = serve(call, listener=listener)
        with connect(server.address) as idle, connect(server.address) as running, connect(server.address) as queued:
            running.sendall(make_frame("GET", "/blocked"))
            assert application.has_been_called()
            queued.sendall(HELLO)
            wait_until(lambda: len(requests) == 2)

            ending = server.begin_shutdown(NEVER)
            assert read_all(idle) == b""  # by now the shutdown has begun
            application.release.set()

            assert [read_all(client) for client in (running, queued)] == [HELLO_RESPONSE] * 2
        ending.result(TIMEOUT)
        gateway.close()


def raises(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
    raise LookupError("mistake")


def exits(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
    sys.exit("mistake")


def raises_late(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    start_response("200 OK", [])
    yield b"started"
    raise LookupError("mistake")


def never_starts(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
    return []


def starts_twice(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
    start_response("200 OK", [])
    start_response("200 OK", [])
    return []


def returns_text(environ: WSGIEnvironment, start_response: StartResponse) -> list[str]:
    start_response("200 OK", [])
    return ["text"]


def has_no_code(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
    start_response("OK", [])
    return []


def has_a_header_without_a_value(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
    start_response("200 OK", [("Content-Type",)])  # type: ignore[list-item]
    return [b"text"]


def claims_json(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
    start_response("200 OK", [("content-type", "application/json")])
    return [b"<html>"]


class TestFailingApplications:
    @pytest.mark.parametrize(
        ("application", "reason"),
        [
            (raises, "LookupError: mistake"),
            (exits, "SystemExit: mistake"),
            (raises_late, "LookupError: mistake"),
            (never_starts, "start_response was not called"),
            (starts_twice, "start_response was called twice"),
            (returns_text, "TypeError"),
            (has_no_code, "ValueError"),
            (has_a_header_without_a_value, "ValueError"),
            (claims_json, "JSONDecodeError"),
        ],
    )
    def test_a_failure_is_a_500_with_its_traceback_in_the_log(
        self, serve_application: ServeApplication, application: Any, reason: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        response = send(serve_application(application), HELLO)

        assert response == error_response(500, "Internal Server Error")
        [record] = caplog.records
        assert (record.name, record.levelname) == ("scoresvc.tcp", "ERROR")
        assert "Traceback" in caplog.text
        assert reason in caplog.text

    @pytest.mark.parametrize("application", [raises, exits])
    def test_a_failure_ends_no_thread(self, serve_application: ServeApplication, application: Any) -> None:
        address = serve_application(application, threads=2)

        assert [ask(address)["code"] for _ in range(8)] == [500] * 8

    @pytest.mark.parametrize(("application", "code"), [(hello, 200), (raises, 500), (claims_json, 500)])
    def test_the_log_has_nothing_that_a_client_sent(
        self, serve_application: ServeApplication, application: Any, code: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)

        response = ask(
            serve_application(application),
            path="/SECRET?k=SECRET",
            headers={"Authorization": "SECRET"},
            data={"SECRET": 1},
        )

        assert response["code"] == code
        assert "SECRET" not in caplog.text
