"""The writer in a process of its own, for several processes that serve.

Theory of operation: the one thread of this process waits for messages, takes all that have come from all processes,
commits their writes in one transaction, and answers each message when all of its writes are done. In between it
purges what has expired. It ends when the other ends of all sockets are closed and nothing waits; commands of the shell,
which come by a socket of their own, do not keep it. A failed fsync or a database that was moved away ends it with an
error, without another answer: the processes at the other ends see that it has gone.
"""

from __future__ import annotations

import selectors
import time
from collections.abc import Iterable
from typing import Any

import msgspec

from scoresvc.errors import Unavailable
from scoresvc.storage.purging import PURGE_INTERVAL, PURGE_SLICE, Slice
from scoresvc.storage.sqlite.control_socket import ControlSocket
from scoresvc.storage.sqlite.library import sqlite3
from scoresvc.storage.sqlite.messages import MessageStream, WriteReply
from scoresvc.storage.sqlite.rescuing import FilesChanged
from scoresvc.storage.sqlite.transactions import Change, Transactions, log
from scoresvc.storage.sqlite.writer import refuse_late
from scoresvc.storage.write import Write


class Message:
    """A message whose writes are not all done; `stream` is where its reply goes, None for work of our own."""

    __slots__ = ("_number", "_stream", "writes")

    def __init__(self, stream: MessageStream | None, number: int, writes: dict[str, list[Write[Any]]]) -> None:
        self._stream = stream
        self._number = number
        self.writes = writes

    def unfinished(self) -> list[Write[Any]]:
        return [write for writes in self.writes.values() for write in writes if not write.is_done]

    def reply(self) -> None:
        """To be called once all writes are done."""
        if self._stream is None:
            return
        outputs = {name: [write.output for write in writes] for name, writes in self.writes.items()}
        failures = [
            (name, place, isinstance(write.error, Unavailable))
            for name, writes in self.writes.items()
            for place, write in enumerate(writes)
            if write.error is not None
        ]
        try:
            self._stream.send(WriteReply(self._number, outputs, failures))
        except OSError:
            log.warning("a process has gone without waiting for its last answers")


class WriterProcess:
    """Makes `changes` for the writes that come from `streams` and from `control`, and `purges` periodically."""

    def __init__(
        self,
        transactions: Transactions,
        changes: Iterable[Change[Any, Any]],
        purges: Iterable[Change[Slice, int]],
        streams: Iterable[MessageStream],
        control: ControlSocket,
    ) -> None:
        self._transactions = transactions
        self._changes = {change.name: change for change in changes}
        self._purges = tuple(purges)
        self._purge_at = time.monotonic() + PURGE_INTERVAL
        self._messages: list[Message] = []
        self._serving = set(streams)
        self._control = control
        self._selector = selectors.DefaultSelector()
        for stream in self._serving:
            self._selector.register(stream.socket, selectors.EVENT_READ, stream)
        if control.listener:
            self._selector.register(control.listener, selectors.EVENT_READ)

    def run(self) -> int:
        """Returns the exit status of the process: 0 after all others have ended, 1 after a fault."""
        try:
            while self._messages or self._serving:
                self._receive()
                self._start_purge()
                if self._messages:
                    self._commit()
        except (sqlite3.DatabaseError, FilesChanged) as error:
            log.critical("the writer has stopped for good: %s", error)
        except BaseException:
            log.critical("the writer has stopped for good", exc_info=True)
        else:
            return 0
        return 1

    def _receive(self) -> None:
        """Takes the messages that are there; waits for one where nothing else is to be done."""
        timeout = 0.0 if self._messages else max(0.0, self._purge_at - time.monotonic())
        for key, _ in self._selector.select(timeout):
            if key.data is None:
                self._accept()
            else:
                self._receive_from(key.data)

    def _accept(self) -> None:
        if stream := self._control.accept():
            self._selector.register(stream.socket, selectors.EVENT_READ, stream)

    def _receive_from(self, stream: MessageStream) -> None:
        try:
            for number, rows in stream.receive():
                self._messages.append(Message(stream, number, self._make_writes(rows)))
        except OSError:
            stream.has_ended = True
        except (LookupError, TypeError, ValueError, msgspec.MsgspecError):
            if stream in self._serving:
                raise
            stream.has_ended = True  # it is none of our commands
        if stream.has_ended:
            self._selector.unregister(stream.socket)
            if stream in self._serving:
                self._serving.remove(stream)
            else:
                stream.close()

    def _make_writes(self, rows: dict[str, list[Any]]) -> dict[str, list[Write[Any]]]:
        return {name: [Write(self._changes[name], row, as_it_is) for row in each] for name, each in rows.items()}

    def _commit(self) -> None:
        batch = [write for message in self._messages for write in message.unfinished()]
        self._transactions.commit(batch)
        if batch:  # another program holds the database
            refuse_late(batch)
        messages, self._messages = self._messages, []
        for message in messages:
            if message.unfinished():
                self._messages.append(message)
            else:
                message.reply()

    def _start_purge(self) -> None:
        """Adds a slice of each purge when it is time; a full slice is followed by another one at once."""
        now = time.monotonic()
        if now < self._purge_at:
            return
        self._purge_at = now + PURGE_INTERVAL
        for purge in self._purges:
            write = Write(purge, (time.time(), PURGE_SLICE), as_it_is)
            write.add_done_callback(self._continue_purge)
            self._messages.append(Message(None, 0, {purge.name: [write]}))

    def _continue_purge(self, write: Write[Any]) -> None:
        if write.output == PURGE_SLICE:
            self._purge_at = 0.0


def as_it_is(output: Any) -> Any:
    return output
