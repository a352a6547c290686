"""Clients that repeat a call on a running server, with the time of each answer."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable
from contextlib import closing
from types import TracebackType
from typing import NamedTuple

from tests.running import START_WAIT, Server, call

Request = tuple[str, str, str | None]  # method, path, body


class Answer(NamedTuple):
    began: float  # of time.monotonic, in seconds
    seconds: float
    status: int

    @property
    def ended(self) -> float:
        return self.began + self.seconds


class Clients:
    """Threads that each make the calls of `next_request(number)`, number from 0, while the `with` block runs."""

    def __init__(self, server: Server, count: int, next_request: Callable[[int], Request], pause: float = 0.0) -> None:
        self._server = server
        self._next_request = next_request
        self._pause = pause  # seconds between an answer and the next call
        self._told_to_stop = threading.Event()
        self._answered = threading.Condition()
        self.answers: list[Answer] = []
        self.cut_off: list[Exception] = []
        self._threads = [threading.Thread(target=self._run, args=(first, count)) for first in range(count)]

    def _run(self, number: int, step: int) -> None:
        with closing(self._server.connect()) as connection:
            while not self._told_to_stop.is_set():
                began = time.monotonic()
                try:
                    status, _ = call(connection, *self._next_request(number))
                except (OSError, http.client.HTTPException) as error:
                    self.cut_off.append(error)
                    return
                with self._answered:
                    self.answers.append(Answer(began, time.monotonic() - began, status))
                    self._answered.notify_all()
                number += step
                self._told_to_stop.wait(self._pause)

    def wait_for(self, status: int, since: float = 0.0) -> Answer:
        """Returns the first answer with this status to a call that began at or after `since`, when there is one."""
        with self._answered:
            found = self._answered.wait_for(lambda: self._first(status, since), START_WAIT)
        assert found, f"no {status}"
        return found

    def _first(self, status: int, since: float) -> Answer | None:
        return next((answer for answer in self.answers if answer.status == status and answer.began >= since), None)

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._told_to_stop.set()
        for thread in self._threads:
            thread.join(START_WAIT)


def percentile(answers: list[Answer], share: float) -> float:
    """Returns the seconds within which so large a share of the answers came."""
    return sorted(answer.seconds for answer in answers)[min(int(len(answers) * share), len(answers) - 1)]


def longest(answers: list[Answer]) -> float:
    return max(answer.seconds for answer in answers)
