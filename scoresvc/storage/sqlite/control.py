"""Answers commands of the shell in a process whose writer is a thread."""

from __future__ import annotations

import selectors
import socket
import threading
from typing import Any

import msgspec

from scoresvc.errors import Unavailable
from scoresvc.storage.sqlite.control_socket import ControlSocket
from scoresvc.storage.sqlite.messages import MessageStream
from scoresvc.storage.sqlite.transactions import Begin, Change
from scoresvc.storage.sqlite.writer_process import Message, as_it_is
from scoresvc.storage.write import Write


class ControlThread:
    """Begins what comes to `control` with `begin`, one message after the other."""

    def __init__(self, control: ControlSocket, begin: Begin, *changes: Change[Any, Any]) -> None:
        self._control = control
        self._begin = begin
        self._changes = {change.name: change for change in changes}
        self._waking, self._woken = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._woken, selectors.EVENT_READ)
        if control.listener:
            self._selector.register(control.listener, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="scoresvc-control", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with self._selector, self._woken:
            while not self._answer_all():
                pass
            for key in self._selector.get_map().values():
                if key.data is not None:
                    key.data.close()

    def _answer_all(self) -> bool:
        """Answers what has come, or waits for something; returns whether it is time to stop."""
        for key, _ in self._selector.select():
            if key.fileobj is self._woken:
                return True
            if key.data is None:
                self._accept()
            else:
                self._answer(key.data)
        return False

    def _accept(self) -> None:
        if stream := self._control.accept():
            self._selector.register(stream.socket, selectors.EVENT_READ, stream)

    def _answer(self, stream: MessageStream) -> None:
        try:
            for number, rows in stream.receive():
                writes = {name: [self._write(self._changes[name], row) for row in each] for name, each in rows.items()}
                Message(stream, number, writes).reply()
        except (OSError, LookupError, TypeError, ValueError, msgspec.MsgspecError):  # it is none of our commands
            stream.has_ended = True
        if stream.has_ended:
            self._selector.unregister(stream.socket)
            stream.close()

    def _write(self, change: Change[Any, Any], row: Any) -> Write[Any]:
        """Returns a write that is done."""
        try:
            write = self._begin(change, row, as_it_is)
        except Unavailable as error:
            write = Write(change, row, as_it_is)
            write.fail(error)
        write.wait()
        return write

    def close(self) -> None:
        """To be called before the writer stops."""
        self._waking.close()
        self._thread.join()
        self._control.close()
