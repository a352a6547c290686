"""The socket by which commands of the shell reach the process that writes: `<database>.control`, for its user alone."""

from __future__ import annotations

import os
import select
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from scoresvc.errors import Unavailable
from scoresvc.storage.sqlite.messages import MessageStream, WriteRequest
from scoresvc.storage.sqlite.transactions import Change, log
from scoresvc.storage.write import Write

R = TypeVar("R")
T = TypeVar("T")
U = TypeVar("U")

ADDRESS_BYTES_MAX = 100  # macOS takes 103, Linux 107
BACKLOG = 16


class ControlSocket:
    """Listens beside the database at `path`, in place of what an earlier process left there.

    A service does its work without it: where it cannot be made, the log says why, and `listener` is None.
    """

    def __init__(self, path: Path) -> None:
        self._path = control_path(path)
        self.listener: socket.socket | None = None
        self._made: os.stat_result | None = None
        try:
            self._listen()
        except OSError as error:
            log.warning("commands of the shell cannot reach this service: %s: %s", self._path, error)

    def _listen(self) -> None:
        with suppress(FileNotFoundError):
            self._path.unlink()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener, _address_of(self._path) as address:
            os.fchmod(listener.fileno(), stat.S_IRUSR | stat.S_IWUSR)  # Linux gives this mode to the file
            listener.bind(address)
            self._path.chmod(stat.S_IRUSR | stat.S_IWUSR)
            listener.listen(BACKLOG)
            listener.setblocking(False)
            self._made = self._path.stat()
            self.listener = listener.dup()

    def accept(self) -> MessageStream | None:
        """Returns a new connection; None where it has gone again."""
        try:
            connection, _ = self.listener.accept()  # type: ignore[union-attr]
        except OSError:
            return None
        connection.setblocking(False)
        return MessageStream(connection)

    def close(self) -> None:
        """Removes the file, too, unless another process has replaced it."""
        if self.listener is None:
            return
        self.listener.close()
        self.listener = None
        with suppress(OSError):
            if self._made and os.path.samestat(self._made, self._path.stat()):
                self._path.unlink()


class ControlClient:
    """The writer of a running service as a command of the shell uses it, which waits for each answer."""

    def __init__(self, connection: socket.socket) -> None:
        self._stream = MessageStream(connection)

    def begin(self, change: Change[R, T], row: R, convert: Callable[[T], U]) -> Write[U]:
        """See `Begin`; the write is done."""
        write = Write(change, row, convert)
        try:
            self._stream.send(WriteRequest(1, {change.name: [row]}))
            _, outputs, failures = self._receive()
        except OSError:
            raise Unavailable from None
        (write.output,) = outputs[change.name]
        if failures:
            ((_, _, is_fault),) = failures
            write.fail(Unavailable() if is_fault else RuntimeError("the service failed; its log says why"))
        else:
            write.finish()
        return write

    def _receive(self) -> list[Any]:
        while not self._stream.has_ended:
            select.select([self._stream.socket], [], [])
            for reply in self._stream.receive():
                return reply
        raise ConnectionResetError

    def close(self) -> None:
        self._stream.close()


def connect(path: Path) -> ControlClient | None:
    """Returns a connection with the process that writes to the database at `path`, None where there is none."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _address_of(control_path(path)) as address:
            connection.connect(address)
    except OSError:
        connection.close()
        return None
    connection.setblocking(False)
    return ControlClient(connection)


def control_path(path: Path) -> Path:
    """Returns where the socket of a database is."""
    return path.with_name(f"{path.name}.control")


@contextmanager
def _address_of(path: Path) -> Iterator[str]:
    """Lends an address for a path that may be longer than an address can be; Linux alone has one for those."""
    if len(os.fsencode(path)) <= ADDRESS_BYTES_MAX:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
