"""Applications behind the HTTP server whose answers a test decides."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from msgspec.structs import replace

from scoresvc.api.request import Headers, Pending, Request, Response
from scoresvc.errors import Refusal

LARGE = b"x" * 8_000_000  # bytes, more than the buffers of two sockets


def make_response(text: str, status: str = "200 OK") -> Response:
    body = text.encode()
    return Response(status, Headers((("Content-Length", str(len(body))),)), body)


class DecidedApi:
    """Answers with the path, or the refusal of the body.

    `/later` waits until `finish`, `/thread` runs in a thread until `release`, `/large` is LARGE, `/bug` raises.
    """

    reads_wait = True  # in the same threads as all else

    def __init__(self) -> None:
        self.waiting: list[Future[Response]] = []
        self.in_thread = threading.Event()
        self.release = threading.Event()
        self.calls = 0

    def refuse_unread(self, error: Refusal, address: str) -> Response:
        response = make_response(str(error), error.status)
        return replace(response, headers=Headers((*response.headers, *error.headers)))

    def reads_body(self, method: str, path: str) -> bool:
        return method == "POST" and path != "/nothing"

    def begin(self, request: Request) -> DecidedExchange:
        return DecidedExchange(self, request)

    def answer(self, request: Request) -> Response | Pending:
        self.calls += 1
        if isinstance(request.body, Refusal) and request.method == "POST":
            return make_response(str(request.body), request.body.status)
        answers: dict[str, Callable[[], Any]] = {
            "/later": self._answer_later,
            "/thread": self._answer_in_thread,
            "/large": lambda: Response("200 OK", Headers((("Content-Length", str(len(LARGE))),)), LARGE),
            "/bug": lambda: 1 // 0,
        }
        return answers.get(request.path, lambda: make_response(request.path))()  # type: ignore[no-any-return]

    def finish(self) -> None:
        """Ends the longest wait, from another thread than the loop's."""
        self.waiting.pop(0).set_result(make_response("done"))

    def _answer_later(self) -> Future[Response]:
        future: Future[Response] = Future()
        self.waiting.append(future)
        return future

    def _answer_in_thread(self) -> Response:
        self.in_thread.set()
        self.release.wait()
        return make_response("from a thread")


class DecidedExchange:
    """One request of a DecidedApi."""

    takes_cpu = False

    def __init__(self, api: DecidedApi, request: Request) -> None:
        self._api = api
        self._request = request
        self.runs_in_thread = request.path == "/thread"

    def answer(self) -> Response | Pending:
        return self._api.answer(self._request)

    answer_in_loop = answer

    def fail(self, error: Refusal) -> Response:
        return self._api.refuse_unread(error, "")
