"""The writer as a process that serves sees it: writes that gather go to the writer's process as one message.

Theory of operation: everything here runs in the thread of the event loop that it is attached to. `begin` collects
writes until the loop's turn ends; then they leave together, unless a message is in flight: what gathers meanwhile
leaves when its reply is there, which makes batches as large as the disk is slow. A writer that waits for another
program answers late; so after SEND_INTERVAL another message leaves all the same, for the writer to refuse what it
cannot keep. When the writer's process has gone, what is in flight fails with Unavailable, and so does all that comes
later.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from scoresvc.errors import Unavailable
from scoresvc.storage.sqlite.messages import MessageStream, WriteRequest
from scoresvc.storage.sqlite.transactions import FAULT_AGE_MAX, Change
from scoresvc.storage.write import Write, WriterState

R = TypeVar("R")
T = TypeVar("T")
U = TypeVar("U")

WRITES_MAX = 4096  # that wait or are in flight
MESSAGE_ROWS_MAX = 256
MESSAGES_MAX = 8  # in flight
SEND_INTERVAL = 0.05  # seconds after which a message leaves although another one is in flight


class EventLoop(Protocol):
    """What is needed of an asyncio event loop."""

    def call_soon(self, callback: Callable[..., object], *arguments: Any) -> object: ...

    def call_later(self, delay: float, callback: Callable[..., object], *arguments: Any) -> object: ...

    def add_reader(self, fd: int, callback: Callable[..., object], *arguments: Any) -> object: ...

    def remove_reader(self, fd: int) -> object: ...


class RemoteWriter:
    """Begins writes in the process at the other end of `stream`, from the thread of `loop`.

    `note_waiting` is called with the number of unfinished writes.
    """

    def __init__(self, stream: MessageStream, loop: EventLoop, note_waiting: Callable[[int], None]) -> None:
        self._stream = stream
        self._loop = loop
        self._note_waiting = note_waiting
        self._waiting: list[Write[Any]] = []
        self._in_flight: dict[int, dict[str, list[Write[Any]]]] = {}  # by number of the message, by name of the change
        self._count = 0  # of writes that wait or are in flight
        self._number = 0
        self._sent_at = 0.0  # of time.monotonic, when the last message left
        self._is_scheduled = False
        self._is_watching = False
        self._is_closed = False
        self._failed_at = -FAULT_AGE_MAX  # of time.monotonic
        loop.add_reader(stream.socket.fileno(), self._receive)

    def begin(self, change: Change[R, T], row: R, convert: Callable[[T], U]) -> Write[U]:
        """See `Begin`."""
        if self._is_closed or self._count >= WRITES_MAX:
            raise Unavailable
        write = Write(change, row, convert)
        self._waiting.append(write)
        self._count += 1
        self._note_waiting(self._count)
        if self._in_flight:
            self._watch()
        elif not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._send)
        return write

    def state(self) -> WriterState:
        in_flight = next(iter(self._in_flight.values()), {})
        oldest = next((write for writes in (*in_flight.values(), self._waiting) for write in writes), None)
        waited = time.monotonic() - oldest.queued_at if oldest else 0.0
        return WriterState(waited, self._find_fault())

    def _find_fault(self) -> str:
        if self._is_closed:
            return "the writer's process has ended"
        has_failed = time.monotonic() - self._failed_at < FAULT_AGE_MAX
        return "the database takes no writes; the writer's log says why" if has_failed else ""

    def _watch(self) -> None:
        """Looks after a while whether the message in flight is late."""
        if not self._is_watching:
            self._is_watching = True
            self._loop.call_later(SEND_INTERVAL, self._send_if_late)

    def _send_if_late(self) -> None:
        self._is_watching = False
        if self._waiting and time.monotonic() - self._sent_at >= SEND_INTERVAL:
            self._send()
        if self._waiting:
            self._watch()

    def _send(self) -> None:
        self._is_scheduled = False
        if not self._waiting or self._is_closed or len(self._in_flight) >= MESSAGES_MAX:
            return
        batch = self._waiting[:MESSAGE_ROWS_MAX]
        del self._waiting[:MESSAGE_ROWS_MAX]
        writes: dict[str, list[Write[Any]]] = {}
        for write in batch:
            writes.setdefault(write.change.name, []).append(write)
        self._number += 1
        self._sent_at = time.monotonic()
        self._in_flight[self._number] = writes
        rows = {name: [write.row for write in each] for name, each in writes.items()}
        try:
            self._stream.send(WriteRequest(self._number, rows))
        except OSError:
            self.close()

    def _receive(self) -> None:
        try:
            replies = list(self._stream.receive())
        except OSError:
            self.close()
            return
        done = [each for number, outputs, failures in replies for each in self._settle(number, outputs, failures)]
        self._send()
        for write, error in done:
            if error:
                write.fail(error)
            else:
                write.finish()
        if self._stream.has_ended:
            self.close()

    def _settle(
        self, number: int, outputs: dict[str, list[Any]], failures: list[tuple[str, int, bool]]
    ) -> list[tuple[Write[Any], Exception | None]]:
        """Takes a message's writes out of flight; returns each with its error, outputs set."""
        if any(is_fault for *_, is_fault in failures):
            self._failed_at = time.monotonic()
        failed = {(name, place): is_fault for name, place, is_fault in failures}
        settled: list[tuple[Write[Any], Exception | None]] = []
        for name, writes in self._in_flight.pop(number).items():
            for place, (write, output) in enumerate(zip(writes, outputs[name], strict=True)):
                write.output = output
                settled.append((write, _make_error(failed.get((name, place)))))
        self._count -= len(settled)
        self._note_waiting(self._count)
        return settled

    def close(self) -> None:
        """Fails all that waits or is in flight."""
        if self._is_closed:
            return
        self._is_closed = True
        self._loop.remove_reader(self._stream.socket.fileno())
        self._stream.close()
        in_flight = [write for writes in self._in_flight.values() for each in writes.values() for write in each]
        for write in (*in_flight, *self._waiting):
            write.fail(Unavailable())
        self._in_flight.clear()
        self._waiting.clear()


def _make_error(is_fault: bool | None) -> Exception | None:
    if is_fault is None:
        return None
    return Unavailable() if is_fault else RuntimeError("the writer failed; its log says why")
