from __future__ import annotations

import logging
import socket
import sys
import threading
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any
from wsgiref.validate import validator

import pytest

from scoresvc.tcp import gateway
from scoresvc.tcp.connection import ConnectionLimits
from scoresvc.tcp.server import TcpServer
from tests.tcp.client import HELLO, HELLO_RESPONSE, Address, ask, connect, error_response, read_all, send
from tests.tcp.conftest import Serve

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


def hello(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"Hello, World!"]


def echo(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
    start_response("200 OK", [("Content-Type", environ["CONTENT_TYPE"] or "text/plain")])
    return [environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))]


@pytest.fixture(scope="module")
def echo_address() -> Iterator[Address]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = TcpServer(gateway.make_answer(validator(echo), listener), listener, ConnectionLimits(), 2)
    server.start()
    yield listener.getsockname()
    server.stop(grace=2)


class TestCallingTheApplication:
    def test_a_request_is_answered_byte_for_byte(self, serve_application: Serve) -> None:
        assert send(serve_application(hello), HELLO) == HELLO_RESPONSE

    @pytest.mark.parametrize("data", ["text", 'é "€" 🎮', 1500, 0, [], {}, [1, {"a": None}], True, False, "\0", 1e300])
    def test_data_makes_the_round_trip_unchanged(self, echo_address: Address, data: object) -> None:
        assert ask(echo_address, data=data) == {"code": 200, "message": "OK", "data": data}

    @pytest.mark.parametrize("data", [None, ""])
    def test_an_empty_body_is_null(self, echo_address: Address, data: str | None) -> None:
        assert ask(echo_address, data=data) == {"code": 200, "message": "OK", "data": None}

    def test_the_environ_has_the_whole_request(self, serve_application: Serve) -> None:
        seen: WSGIEnvironment = {}

        def application(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
            seen.update(environ)
            return hello(environ, start_response)

        address = serve_application(application)
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
    def test_the_call_is_valid_by_pep_3333(self, serve_application: Serve, method: str) -> None:
        address = serve_application(validator(hello))

        assert ask(address, method, "/a?b", headers={"Accept": "text/plain"}, data=[1])["code"] == 200

    def test_the_body_may_be_written(self, serve_application: Serve) -> None:
        def application(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
            write = start_response("200 OK", [("Content-Type", "text/plain")])
            write(b"Hello, ")
            return [b"World", b"!"]

        assert send(serve_application(application), HELLO) == HELLO_RESPONSE

    def test_the_application_may_be_a_generator(self, serve_application: Serve) -> None:
        def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
            start_response("200 OK", [])
            yield b""
            yield b"Hello, World!"

        assert send(serve_application(application), HELLO) == HELLO_RESPONSE

    @pytest.mark.parametrize(("chunks", "code"), [([b"a"], 200), ([b"a", None], 500)])
    def test_the_body_is_closed_whether_it_fails_or_not(
        self, serve_application: Serve, chunks: list[bytes | None], code: int
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

    def test_an_error_may_replace_a_response_that_has_not_started(self, serve_application: Serve) -> None:
        def application(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
            start_response("200 OK", [("Content-Type", "application/json")])
            try:
                raise ValueError
            except ValueError:
                start_response("503 X", [], sys.exc_info())
            return [b"later"]

        assert ask(serve_application(application)) == {"code": 503, "message": "Service Unavailable", "data": "later"}

    def test_an_error_may_not_replace_a_response_that_has_started(
        self, serve_application: Serve, caplog: pytest.LogCaptureFixture
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
    def test_a_listener_may_have_an_ipv6_address(self, serve_application: Serve) -> None:
        def application(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
            start_response("200 OK", [])
            return [environ["REMOTE_ADDR"].encode()]

        assert ask(serve_application(application, host="::1"))["data"] == "::1"


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
            (claims_json, "JSONDecodeError"),
        ],
    )
    def test_a_failure_is_a_500_with_its_traceback_in_the_log(
        self, serve_application: Serve, application: Any, reason: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        response = send(serve_application(application), HELLO)

        assert response == error_response(500, "Internal Server Error")
        [record] = caplog.records
        assert (record.name, record.levelname) == ("scoresvc.tcp", "ERROR")
        assert "Traceback" in caplog.text
        assert reason in caplog.text

    @pytest.mark.parametrize("application", [raises, exits])
    def test_a_failure_ends_no_thread(self, serve_application: Serve, application: Any) -> None:
        address = serve_application(application, threads=2)

        assert [ask(address)["code"] for _ in range(8)] == [500] * 8

    @pytest.mark.parametrize(("application", "code"), [(hello, 200), (raises, 500), (claims_json, 500)])
    def test_the_log_has_nothing_that_a_client_sent(
        self, serve_application: Serve, application: Any, code: int, caplog: pytest.LogCaptureFixture
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
