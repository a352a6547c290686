"""A TCP proxy that fails when it is told to."""

from __future__ import annotations

import random
import socket
import threading
from contextlib import suppress
from types import TracebackType

CHUNK = 65536  # bytes


class Proxy:
    """Stands before a port of this machine while the `with` block runs."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._sockets: set[socket.socket] = set()
        self._is_silent = False
        self._cut_before = b""
        self._cut_instead = b""
        self._share = 0.0
        self._random = random.Random()
        self.cuts = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Ends all connections."""
        for each in list(self._sockets):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def cut_before_request(self, text: bytes) -> None:
        """Ends, once, the connection of a client that sends this text, which does not get to the server."""
        self._cut_before = text

    def cut_instead_of_answer(self, text: bytes) -> None:
        """Ends, once, the connection of a server that answers with this text, which does not get to the client."""
        self._cut_instead = text

    def lose(self, share: float, seed: int) -> None:
        """Ends the connection instead of passing on, at random, a share of what either side sends."""
        self._share = share
        self._random = random.Random(seed)

    def be_silent(self) -> None:
        """Swallows whatever is sent from now on, on new connections, too."""
        self._is_silent = True

    def speak(self) -> None:
        """Is as before; what had lost bytes is cut."""
        self._is_silent = False
        self.cut()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            try:
                server = socket.create_connection(("127.0.0.1", self._target), 5)
            except OSError:
                return
            server.settimeout(None)
            with server:
                self._sockets |= {client, server}
                answers = threading.Thread(target=self._answer, args=(server, client), daemon=True)
                answers.start()
                self._ask(client, server)
                answers.join()
                self._sockets -= {client, server}

    def _ask(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while chunk := client.recv(CHUNK):
                if self._random.random() < self._share:
                    self._end(client, server)
                    return
                if self._cut_before and self._cut_before in chunk:
                    chunk, self._cut_before = chunk[: chunk.index(self._cut_before)], b""
                    server.sendall(chunk)
                    self._end(client, server)
                    return
                if not self._is_silent:
                    server.sendall(chunk)
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while chunk := server.recv(CHUNK):
                if self._random.random() < self._share:
                    self._end(client, server)
                    return
                if self._cut_instead and self._cut_instead in chunk:
                    self._cut_instead = b""
                    self._end(client, server)
                    return
                if not self._is_silent:
                    client.sendall(chunk)
        with suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)

    def _end(self, *sockets: socket.socket) -> None:
        self.cuts += 1
        for each in sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Proxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
