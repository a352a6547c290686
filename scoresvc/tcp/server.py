"""The server of JSON over TCP.

Theory of operation. The workers, `threads` of them, do all the work on connections. One at a time, the holder of
`_poll_lock`, looks for a connection to go on with: first among those that are ready again, then at the listener.
With the lock released, it runs the connection's next step; the call of the application is part of one. No step waits
for a socket: where that is not ready, the step passes the connection to the watcher, a thread with a selector, and
returns. The watcher puts it into the queue `_ready` when the socket is ready or the deadline has passed, and a worker
runs the same step again. A client whose whole frame is there when it is accepted never meets the watcher.

- A slow client never holds a thread, and a slow call of the application holds only its own.
- A connection belongs to one thread at a time: to a worker, or to the watcher. This is why it has no lock. If a step
  touched its connection after passing it on, two threads would work on one socket.
- Every frame gets exactly one response, whatever the application raises.
- Input after the frame does not cost the client its response. Closing a socket with unread input resets the connection,
  and the client may lose what it has not read yet. So the server shuts down its own side first and drains the other.
- Connections are admitted in the order in which they came, since only the holder of the lock accepts. Without it, a
  connection over the limit could be admitted in place of one that came before it.
- `stop` runs in a thread of its caller. It lets the watcher return the connections that are still being read, by
  setting their deadlines to the past; the last connection to close sets `done`, which ends the workers.
"""

from __future__ import annotations

import logging
import selectors
import socket
import threading
import time

from scoresvc.config import Config
from scoresvc.tcp import frames
from scoresvc.tcp.connection import Connection, ConnectionLimits
from scoresvc.tcp.frames import Address, Answer
from scoresvc.tcp.polling import PollLimiter, SelectableQueue, Watcher, make_selector

REJECTED_MAX = 500  # connections over the limit that get a response; more are closed without one
BACKLOG = 1024  # connections that wait to be accepted
ACCEPT_PAUSE = 0.1  # seconds, when the system has no descriptor or memory for one more connection
DRAIN_TIMEOUT = 1.0  # seconds for which input is still read after a response
JOIN_TIMEOUT = 0.2  # seconds for threads that have nothing left to do

log = logging.getLogger("scoresvc.tcp")


def make_server(answer: Answer, listener: socket.socket, config: Config) -> TcpServer:
    limits = ConnectionLimits(config.tcp.frame_bytes_max, config.tcp.timeout, config.tcp.connections_max)
    return TcpServer(answer, listener, limits, config.server.threads)


class TcpServer:
    """Answers the requests that come in at a bound socket, up to `threads` at a time.

    Forked processes may share the socket, each with a server of its own.
    """

    def __init__(self, answer: Answer, listener: socket.socket, limits: ConnectionLimits, threads: int) -> None:
        self._listener = listener
        self._ready = SelectableQueue()
        self._watcher = Watcher(self._ready)
        self._limiter = PollLimiter(threads)
        self._handler = ConnectionHandler(answer, limits, self._watcher, self._limiter)
        self._ready_or_listener = make_selector(self._ready, listener)
        self._ready_only = make_selector(self._ready)
        self._poll_lock = threading.Lock()
        self._workers = [
            threading.Thread(target=self._work, name=f"scoresvc-tcp-{number}", daemon=True) for number in range(threads)
        ]

    def start(self) -> None:
        """Starts the threads and returns."""
        self._listener.setblocking(False)
        self._listener.listen(BACKLOG)
        self._watcher.start()
        for worker in self._workers:
            worker.start()

    def stop(self, grace: float) -> None:
        """Accepts no more, answers the frames that have arrived whole, closes everything, the listener too.

        Takes at most `grace` seconds and a few tenths. A thread whose call of the application
        does not return by then is abandoned.
        """
        self._handler.start_stopping()
        self._handler.done.wait(grace)
        self._end_threads()
        self._handler.close_all()
        self._listener.close()
        self._ready_or_listener.close()
        self._ready_only.close()
        self._watcher.close()
        self._ready.close()

    def _end_threads(self) -> None:
        self._handler.done.set()
        for _ in self._workers:
            self._ready.put(None)
        self._limiter.release_all()
        until = time.monotonic() + JOIN_TIMEOUT
        for worker in self._workers:
            worker.join(max(0, until - time.monotonic()))
        self._watcher.stop()

    def _work(self) -> None:
        """What each worker runs until the end."""
        while not self._handler.done.is_set():
            self._limiter.wait_until_needed()
            connection = self._poll()
            if connection:
                self._handler.run_step(connection)

    def _poll(self) -> Connection | None:
        """Returns a connection to go on with, or None after waiting for one."""
        with self._poll_lock:
            connection = self._ready.get() or self._accept()
            if connection is None:
                (self._ready_only if self._handler.stopping else self._ready_or_listener).select()
        return connection

    def _accept(self) -> Connection | None:
        if self._handler.stopping:
            return None
        try:
            accepted, address = self._listener.accept()
        except BlockingIOError:  # nobody is there, or another thread or process was faster
            return None
        except OSError as error:
            log.warning("cannot accept a connection: %s", error.strerror)
            self._handler.done.wait(ACCEPT_PAUSE)
            return None
        return self._handler.admit(accepted, address)


class ConnectionHandler:
    """Takes connections from the first byte to the close: reads, answers, sends, drains. No step waits for a socket."""

    def __init__(self, answer: Answer, limits: ConnectionLimits, watcher: Watcher, limiter: PollLimiter) -> None:
        self._answer = answer
        self._limits = limits
        self._watcher = watcher
        self._limiter = limiter
        self._open: set[Connection] = set()
        self._over_limit: set[Connection] = set()  # accepted when too many were open; they only get a 503
        self.stopping = False
        self.done = threading.Event()  # when it is stopping and no connection is open

    def admit(self, accepted: socket.socket, address: Address) -> Connection:
        """Returns the new connection, whose first step is to be run."""
        connection = Connection(accepted, address, self._limits, self._read)
        self._open.add(connection)
        if len(self._open) > self._limits.connections_max:
            self._over_limit.add(connection)
            self._open.discard(connection)
            connection.step = self._reject
        return connection

    def run_step(self, connection: Connection) -> None:
        try:
            connection.step(connection)
        except OSError:  # the client is gone
            self._close(connection)

    def start_stopping(self) -> None:
        """Has connections closed whose frame is not there when their turn comes next."""
        self.stopping = True
        for connection in tuple(self._open):
            if connection.step == self._read:
                connection.deadline = 0
        if not self._open:
            self.done.set()

    def close_all(self) -> None:
        for connection in (*self._open, *self._over_limit):
            connection.close()

    def _reject(self, connection: Connection) -> None:
        if len(self._over_limit) > REJECTED_MAX:
            self._close(connection)
        else:
            self._respond_with_error(connection, 503)

    def _read(self, connection: Connection) -> None:
        try:
            frame = connection.receive()
        except frames.FrameTooLong as error:
            self._respond_with_error(connection, error.code)
            return
        if frame is not None:
            self._respond(connection, self._make_response(frame, connection.address))
        elif self.stopping:
            self._close(connection)
        elif connection.is_late():
            self._respond_with_error(connection, 408)
        else:
            self._watcher.watch(connection, selectors.EVENT_READ)

    def _make_response(self, frame: bytes, address: Address) -> bytes:
        try:
            request = frames.parse_request(frame)
        except frames.FrameError as error:
            return frames.make_error_response(error.code).to_bytes()
        try:
            with self._limiter:
                return self._answer(request, address).to_bytes()
        except BaseException:  # SystemExit, too: no request may end a thread
            log.exception("the application failed at a %s request", request.method)
            return frames.make_error_response(500).to_bytes()

    def _respond_with_error(self, connection: Connection, code: int) -> None:
        connection.may_send_more = True
        self._respond(connection, frames.make_error_response(code).to_bytes())

    def _respond(self, connection: Connection, response: bytes) -> None:
        connection.unsent = memoryview(response)
        connection.start(self._send, self._limits.timeout)

    def _send(self, connection: Connection) -> None:
        if connection.send():
            self._finish(connection)
        else:
            self._wait(connection, selectors.EVENT_WRITE)

    def _finish(self, connection: Connection) -> None:
        if connection.has_input_ended():
            self._close(connection)
        else:
            connection.socket.shutdown(socket.SHUT_WR)
            connection.start(self._drain, DRAIN_TIMEOUT)

    def _drain(self, connection: Connection) -> None:
        if connection.drain():
            self._close(connection)
        else:
            self._wait(connection, selectors.EVENT_READ)

    def _wait(self, connection: Connection, event: int) -> None:
        if connection.is_late():
            self._close(connection)
        else:
            self._watcher.watch(connection, event)

    def _close(self, connection: Connection) -> None:
        self._open.discard(connection)  # first: whoever sees the end of one connection may open another
        self._over_limit.discard(connection)
        connection.close()
        if self.stopping and not self._open:
            self.done.set()
