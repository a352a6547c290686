"""What an HTTP connection promises beside the answers to single requests."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator

import pytest

from scoresvc.net.calling import Completions
from tests.http.applications import DecidedApi
from tests.http.conftest import make_loop
from tests.http.serving import WAIT, RunningServer


def get(path: str, fields: str = "") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n".encode()


def post(path: str, body: str, fields: str = "") -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n{fields}\r\n{body}".encode()


@pytest.fixture
def decided(loop_name: str) -> Iterator[tuple[DecidedApi, RunningServer]]:
    api = DecidedApi()
    with RunningServer(api, lambda: make_loop(loop_name)) as server:  # type: ignore[arg-type]
        yield api, server
        api.release.set()


Decided = tuple[DecidedApi, RunningServer]


def wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(int(WAIT / 0.002)):
        if condition():
            return
        threading.Event().wait(0.002)
    raise AssertionError("it never came true")


def test_answers_are_in_order_although_the_first_comes_later(decided: Decided) -> None:
    api, server = decided

    with server.connect() as client:
        client.send(get("/later") + get("/now"))
        wait_until(lambda: bool(api.waiting))
        api.finish()

        assert [client.read().body, client.read().body] == [b"done", b"/now"]


def test_a_request_is_not_looked_at_before_the_one_in_front_is_answered(decided: Decided) -> None:
    api, server = decided

    with server.connect() as client, server.connect() as other:
        client.send(get("/later") + get("/later") * 400)
        wait_until(lambda: bool(api.waiting))
        other.send(get("/now"))
        other.read()

        assert len(api.waiting) == 1
        for _ in range(401):
            wait_until(lambda: bool(api.waiting))
            api.finish()
            assert client.read().body == b"done"


def test_a_pipelined_read_sees_the_post_before_it(server: RunningServer) -> None:
    (login,) = server.ask(b"GET /31/login HTTP/1.0\r\n\r\n")
    key = login.body.decode()

    with server.connect() as client:
        client.send(post(f"/31/score?sessionkey={key}", "7") + get("/31/highscorelist"))

        assert [client.read().body, client.read().body] == [b"", b"31=7"]


def test_answers_that_finish_together_wake_the_loop_once() -> None:
    class Loop:
        def __init__(self) -> None:
            self.calls: list[Callable[[], None]] = []

        def call_soon_threadsafe(self, callback: Callable[[], None]) -> None:
            self.calls.append(callback)

    class Receiver:
        def __init__(self) -> None:
            self.received: list[object] = []

        def receive(self, pending: object) -> None:
            self.received.append(pending)

    loop, receiver = Loop(), Receiver()
    completions = Completions(loop)  # type: ignore[arg-type]

    for number in range(256):
        completions.add(receiver, number)  # type: ignore[arg-type]
    (deliver,) = loop.calls
    deliver()
    completions.add(receiver, 256)  # type: ignore[arg-type]

    assert receiver.received == list(range(256))
    assert len(loop.calls) == 2


def test_a_client_that_leaves_before_its_answer_harms_nobody(
    decided: Decided, caplog: pytest.LogCaptureFixture
) -> None:
    api, server = decided
    with server.connect() as client:
        client.send(get("/later"))
        wait_until(lambda: bool(api.waiting))

    api.finish()

    server.wait_for_connections(0)
    assert server.ask(get("/now", "Connection: close\r\n"))[0].status == 200
    assert not caplog.records


def test_a_half_closed_client_is_answered(decided: Decided) -> None:
    api, server = decided

    with server.connect() as client:
        client.send(get("/later") + get("/now"))
        client.end()
        wait_until(lambda: bool(api.waiting))
        api.finish()

        assert [response.body for response in client.read_all()] == [b"done", b"/now"]


@pytest.mark.parametrize("part", [b"GET /now HT", b"GET /now HTTP/1.1\r\nHost: a\r\n", post("/now", "1500")[:-1]])
def test_what_a_half_closed_client_did_not_finish_is_refused(decided: Decided, part: bytes) -> None:
    _, server = decided

    with server.connect() as client:
        client.send(part)
        client.end()

        (response,) = client.read_all()

    assert response.status == 400
    assert response.body


def test_a_half_closed_client_without_a_request_gets_nothing(decided: Decided) -> None:
    _, server = decided

    with server.connect() as client:
        client.end()

        assert client.read_all() == []


def test_a_body_that_broke_off_is_never_a_score(server: RunningServer) -> None:
    (login,) = server.ask(b"GET /32/login HTTP/1.0\r\n\r\n")
    target = f"/32/score?sessionkey={login.body.decode()}"
    chunked = f"POST {target} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n1500\r\n".encode()

    statuses = []
    for part in (post(target, "1500")[:-2], chunked):
        with server.connect() as client:
            client.send(part)
            client.end()
            statuses += [response.status for response in client.read_all()]

    assert statuses == [400, 400]
    assert server.ask(get("/32/highscorelist", "Connection: close\r\n"))[0].body == b""


def test_100_comes_before_the_body(decided: Decided) -> None:
    _, server = decided

    with server.connect() as client:
        client.send(post("/now", "1500", "Expect: 100-continue\r\n")[:-4])
        asked = client.read()
        client.send(b"1500")

        assert (asked.status, client.read().status) == (100, 200)


def test_413_comes_before_the_body(decided: Decided) -> None:
    _, server = decided

    with server.connect() as client:
        client.send(b"POST /now HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")

        (response,) = client.read_all()

    assert response.status == 413
    assert response.headers["connection"] == "close"


def test_the_answer_arrives_although_input_is_left_unread(decided: Decided) -> None:
    _, server = decided

    for _ in range(20):
        with server.connect() as client:
            client.send(b"POST /now HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n" + b"x" * 60000)

            assert [response.status for response in client.read_all()] == [413]


def test_what_nobody_reads_is_answered_before_its_body(decided: Decided) -> None:
    _, server = decided

    with server.connect() as client:
        client.send(post("/nothing", "1500")[:-4])
        first = client.read()
        client.send(b"1500" + get("/now"))

        assert [first.body, client.read().body] == [b"/nothing", b"/now"]


def test_a_large_answer_arrives_whole_and_in_order(decided: Decided) -> None:
    _, server = decided

    with server.connect() as client:
        client.send(get("/now") + get("/large") + get("/large") + get("/end", "Connection: close\r\n"))

        lengths = [len(response.body) for response in client.read_all()]

    assert lengths == [4, 8_000_000, 8_000_000, 4]


def test_a_long_call_runs_in_a_thread_and_holds_up_nobody(decided: Decided) -> None:
    api, server = decided

    with server.connect() as client, server.connect() as other:
        client.send(get("/thread"))
        assert api.in_thread.wait(WAIT)
        other.send(get("/now"))
        assert other.read().body == b"/now"
        api.release.set()

        assert client.read().body == b"from a thread"


def test_a_bug_costs_its_connection_alone_and_is_logged_once(
    decided: Decided, caplog: pytest.LogCaptureFixture
) -> None:
    _, server = decided

    with server.connect() as client, server.connect() as other:
        client.send(get("/bug"))
        assert client.read_all() == []
        other.send(get("/now"))

        assert other.read().body == b"/now"
    assert [record.getMessage() for record in caplog.records] == ["a connection failed"]
    assert "ZeroDivisionError" in caplog.text


def test_head_has_the_length_of_get_and_no_body(server: RunningServer) -> None:
    with server.connect() as client:
        client.send(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" + get("/"))
        head, whole = client.read(is_head=True), client.read()

    assert head.headers == whole.headers
    assert (head.body, len(whole.body)) == (b"", int(head.headers["content-length"]))


def test_a_response_tells_the_time_and_nothing_about_the_server(server: RunningServer) -> None:
    (response,) = server.ask(get("/", "Connection: close\r\n"))

    assert response.headers["date"].endswith(" GMT")
    assert "server" not in response.headers


def test_a_refusal_is_one_sentence_and_a_line_in_the_access_log(
    server: RunningServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "scoresvc.access")

    (response,) = server.ask(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")

    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.body.decode() == "the request must have one Host header: a host name or address, and perhaps a port"
    assert [record.getMessage() for record in caplog.records] == ["127.0.0.1 0 bad_host 400 0.0"]


def test_http_1_0_is_told_whether_its_connection_stays(decided: Decided) -> None:
    _, server = decided

    with server.connect() as client:
        client.send(b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /b HTTP/1.0\r\n\r\n")

        assert [response.headers["connection"] for response in client.read_all()] == ["keep-alive", "close"]
