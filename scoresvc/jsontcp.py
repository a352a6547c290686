"""Sockets for the JSON-over-TCP protocol, in front of any WSGI application.

The workers accept connections, each for itself, and do with them what can be done at
once: a client whose frame is there is answered by the thread that accepted it. Whoever
must be waited for goes to the watcher, one thread with a selector, and comes back to the
workers when the socket is ready or the time is over. So a slow client never holds a
thread, and a slow call of the application holds only its own.
"""

from __future__ import annotations

import io
import logging
import os
import selectors
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from scoresvc import frames

if TYPE_CHECKING:
    from types import TracebackType

    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

SURPLUS_MAX = 500  # connections over the limit that are told so; more are closed without a word
PRESENT_MAX = 2  # workers at the sockets; measured: 8 are a third slower, 1 hands over at every request
BACKLOG = 1024  # connections that wait to be accepted
RECEIVE_BYTES = 65536  # taken from a socket at once
ACCEPT_PAUSE = 0.1  # seconds, when the system has no descriptor or memory for one more connection
SWEEP_INTERVAL = 0.1  # seconds from one look at the deadlines to the next
DRAIN_SECONDS = 1.0  # for which input is still taken behind an answer
DRAIN_BYTES_MAX = 4 * 1024 * 1024  # of such input
JOIN_SECONDS = 0.2  # for threads that have nothing left to do

log = logging.getLogger(__name__)


class Limits(NamedTuple):
    """What one client may take, and how many there may be."""

    frame_bytes_max: int = 65536  # the NUL not counted
    timeout: float = 10  # seconds for the whole request to come, and as many for the answer to go
    connections_max: int = 500


class Gateway:
    """Answers the JSON requests that come in at a bound socket with what a WSGI application says.

    Forked processes may share the socket, each with a gateway of its own. Up to `threads`
    calls of the application run at a time.
    """

    def __init__(self, application: WSGIApplication, listener: socket.socket, limits: Limits, threads: int) -> None:
        self._application = application
        self._environ = _server_environ(listener)
        self._listener = listener
        self._limits = limits
        self._clients: set[Client] = set()
        self._surplus: set[Client] = set()  # came when there were too many; they only get their 503
        self._ready = Mailbox()
        self._watcher = Watcher(self._ready)
        self._work_or_listener = _make_selector(self._ready, listener)
        self._work_alone = _make_selector(self._ready)
        self._entrance = threading.Lock()
        self._crew = Crew(threads)
        self._stopping = False
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._work, name=f"jsontcp-{n}", daemon=True) for n in range(threads)]

    def start(self) -> None:
        """Starts the threads and returns."""
        self._listener.setblocking(False)
        self._listener.listen(BACKLOG)
        self._watcher.start()
        for thread in self._threads:
            thread.start()

    def stop(self, grace: float) -> None:
        """Accepts no more, answers the frames that are wholly there, closes everything, the listener too.

        Takes at most `grace` seconds and a few tenths. A thread that the application holds even
        then is left behind.
        """
        self._stopping = True
        for client in tuple(self._clients):
            if client.step == self._read:
                client.deadline = 0
        if not self._clients:
            self._done.set()
        self._done.wait(grace)
        self._end_threads()
        for client in (*self._clients, *self._surplus):
            client.close()
        self._listener.close()
        self._work_or_listener.close()
        self._work_alone.close()
        self._watcher.close()
        self._ready.close()

    def _end_threads(self) -> None:
        self._done.set()
        for _ in self._threads:
            self._ready.put(None)
        self._crew.dismiss()
        until = time.monotonic() + JOIN_SECONDS
        for thread in self._threads:
            thread.join(max(0, until - time.monotonic()))
        self._watcher.stop()

    def _work(self) -> None:
        """What each worker does until the end."""
        while not self._done.is_set():
            self._crew.rest()
            client = self._find_work()
            if client:
                self._go_on(client)

    def _find_work(self) -> Client | None:
        """Returns a client that can go on, or None after waiting for one."""
        with self._entrance:  # one at a time, so that connections are admitted in the order in which they came
            client = self._ready.take() or self._accept()
            if client is None:
                (self._work_alone if self._stopping else self._work_or_listener).select()
        return client

    def _go_on(self, client: Client) -> None:
        try:
            client.step(client)
        except OSError:  # the client is gone
            self._close(client)

    def _accept(self) -> Client | None:
        if self._stopping:
            return None
        try:
            connection, address = self._listener.accept()
        except BlockingIOError:  # nobody is there, or another thread or process was faster
            return None
        except OSError as error:
            log.warning("cannot accept a connection: %s", error.strerror)
            self._done.wait(ACCEPT_PAUSE)
            return None
        client = Client(connection, address, self._limits, self._read)
        self._admit(client)
        return client

    def _admit(self, client: Client) -> None:
        self._clients.add(client)
        if len(self._clients) > self._limits.connections_max:
            self._surplus.add(client)
            self._clients.discard(client)
            client.step = self._turn_away

    def _turn_away(self, client: Client) -> None:
        if len(self._surplus) > SURPLUS_MAX:
            self._close(client)
        else:
            self._refuse(client, 503)

    def _read(self, client: Client) -> None:
        try:
            frame = client.receive()
        except frames.FrameTooLong as refusal:
            self._refuse(client, refusal.code)
            return
        if frame is not None:
            self._respond(client, self._answer(frame, client.address))
        elif self._stopping:
            self._close(client)
        elif client.is_late():
            self._refuse(client, 408)
        else:
            self._watcher.watch(client, selectors.EVENT_READ)

    def _answer(self, frame: bytes, address: tuple[Any, ...]) -> bytes:
        """Returns the response to a frame; whatever the application does, there is one."""
        try:
            request = frames.parse_request(frame)
        except frames.Refusal as refusal:
            return frames.refuse(refusal.code).to_bytes()
        try:
            environ = self._environ | _request_environ(request, address)
            with self._crew:
                return Answer().gather(self._application, environ).to_bytes()
        except BaseException:  # SystemExit, too: no request may end a thread
            log.exception("the application failed at a %s request", request.method)
            return frames.refuse(500).to_bytes()

    def _refuse(self, client: Client, code: int) -> None:
        client.may_send_more = True
        self._respond(client, frames.refuse(code).to_bytes())

    def _respond(self, client: Client, response: bytes) -> None:
        client.unsent = memoryview(response)
        client.begin(self._send, self._limits.timeout)

    def _send(self, client: Client) -> None:
        if client.send():
            self._finish(client)
        else:
            self._wait(client, selectors.EVENT_WRITE)

    def _finish(self, client: Client) -> None:
        """Closes the connection; while input may come, later, for closing a socket with unread input resets it."""
        if client.has_ended():
            self._close(client)
        else:
            client.socket.shutdown(socket.SHUT_WR)
            client.begin(self._drain, DRAIN_SECONDS)

    def _drain(self, client: Client) -> None:
        if client.drain():
            self._close(client)
        else:
            self._wait(client, selectors.EVENT_READ)

    def _wait(self, client: Client, event: int) -> None:
        if client.is_late():
            self._close(client)
        else:
            self._watcher.watch(client, event)

    def _close(self, client: Client) -> None:
        self._clients.discard(client)  # first: who sees the end of one connection may begin another
        self._surplus.discard(client)
        client.close()
        if self._stopping and not self._clients:
            self._done.set()


class Client:
    """One connection, and what comes next on it: `step`, which never waits. Its methods raise OSError."""

    __slots__ = ("_drained", "_frame", "address", "deadline", "event", "may_send_more", "socket", "step", "unsent")

    def __init__(
        self, connection: socket.socket, address: tuple[Any, ...], limits: Limits, step: Callable[[Client], None]
    ) -> None:
        connection.setblocking(False)
        self.socket = connection
        self.address = address  # host and port come first
        self.step = step
        self.deadline = time.monotonic() + limits.timeout
        self.event = selectors.EVENT_READ
        self.unsent = memoryview(b"")
        self.may_send_more = False
        self._frame = frames.FrameReader(limits.frame_bytes_max)
        self._drained = 0

    def begin(self, step: Callable[[Client], None], seconds: float) -> None:
        """Takes the first step of what may last `seconds` in all."""
        self.step = step
        self.deadline = time.monotonic() + seconds
        step(self)

    def is_late(self) -> bool:
        return time.monotonic() >= self.deadline

    def receive(self) -> bytes | None:
        """Returns the frame without its NUL, or None while more of it must come. Raises frames.FrameTooLong."""
        frame = None
        while frame is None:
            try:
                segment = self.socket.recv(RECEIVE_BYTES)
            except BlockingIOError:
                return None
            if not segment:
                raise ConnectionAbortedError
            frame = self._frame.feed(segment)
        self.may_send_more = self._frame.overrun
        return frame

    def send(self) -> bool:
        """Sends what can be sent now. Returns whether all is sent."""
        try:
            while self.unsent:
                self.unsent = self.unsent[self.socket.send(self.unsent) :]
        except BlockingIOError:
            return False
        return True

    def has_ended(self) -> bool:
        """Returns whether no unread input is there, and none is on its way as far as one can tell."""
        try:
            return not self.socket.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return not self.may_send_more

    def drain(self) -> bool:
        """Takes the input that is there. Returns whether it was the last, or enough."""
        try:
            while self._drained < DRAIN_BYTES_MAX:
                taken = len(self.socket.recv(RECEIVE_BYTES))
                if not taken:
                    break
                self._drained += taken
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        self.socket.close()


class Watcher:
    """Waits for clients in a thread of its own; returns each when its socket is ready or its deadline is over."""

    def __init__(self, ready: Mailbox) -> None:
        self._ready = ready
        self._arrivals = Mailbox()
        self._selector = _make_selector(self._arrivals)
        self._sweep_at = 0.0
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="jsontcp-watcher", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def watch(self, client: Client, event: int) -> None:
        client.event = event
        self._arrivals.put(client)

    def stop(self) -> None:
        self._stopping = True
        self._arrivals.put(None)
        self._thread.join()

    def close(self) -> None:
        self._selector.close()
        self._arrivals.close()

    def _run(self) -> None:
        while not self._stopping:
            for key, _ in self._selector.select(SWEEP_INTERVAL if self._count() else None):
                if key.data:
                    self._give_back(key.data)
                elif client := self._arrivals.take():
                    self._selector.register(client.socket, client.event, client)
            self._sweep()

    def _count(self) -> int:
        return len(self._selector.get_map()) - 1

    def _give_back(self, client: Client) -> None:
        self._selector.unregister(client.socket)
        self._ready.put(client)

    def _sweep(self) -> None:
        now = time.monotonic()
        if now < self._sweep_at:
            return
        self._sweep_at = now + SWEEP_INTERVAL
        for key in tuple(self._selector.get_map().values()):
            if key.data and key.data.deadline <= now:
                self._give_back(key.data)


class Mailbox:
    """A queue that a selector can wait for: while items lie in it, as many bytes lie in its pipe."""

    def __init__(self) -> None:
        self._items: deque[Client | None] = deque()
        readable, writable = os.pipe()
        os.set_blocking(readable, False)
        self._readable = io.FileIO(readable, "rb")
        self._writable = io.FileIO(writable, "wb")

    def fileno(self) -> int:
        return self._readable.fileno()

    def put(self, item: Client | None) -> None:
        """Adds an item; None only wakes whoever waits."""
        self._items.append(item)
        self._writable.write(b"\0")

    def take(self) -> Client | None:
        if self._items and self._readable.read(1):
            return self._items.popleft()
        return None

    def close(self) -> None:
        self._readable.close()
        self._writable.close()


class Crew:
    """Lets workers rest while enough are at the sockets: more would only fight for Python's global lock.

    `with crew` stands around a call of the application. Who is in there does not count as present, and the
    last to go in calls another; so a quick application costs no change of threads, and a slow one stops nobody.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._enough = PRESENT_MAX
        self._present = workers
        self._resting = 0
        self._lock = threading.Lock()
        self._calls = threading.Semaphore(0)

    def __enter__(self) -> None:
        with self._lock:
            self._present -= 1
            if self._present == 0 and self._resting:
                self._call_one()

    def __exit__(self, *exc_info: object) -> None:
        with self._lock:
            self._present += 1

    def rest(self) -> None:
        """Returns when this worker is needed, mostly at once."""
        with self._lock:
            if self._present <= self._enough:
                return
            self._present -= 1
            self._resting += 1
        self._calls.acquire()

    def dismiss(self) -> None:
        """Calls all that rest; nobody will again."""
        with self._lock:
            self._enough = self._workers
            while self._resting:
                self._call_one()

    def _call_one(self) -> None:
        self._resting -= 1
        self._present += 1
        self._calls.release()


class Answer:
    """What an application says, gathered in the ways that PEP 3333 lets it come."""

    def __init__(self) -> None:
        self._status = ""
        self._headers: list[tuple[str, str]] = []
        self._body: list[bytes] = []

    def start(
        self,
        status: str,
        headers: list[tuple[str, str]],
        exc_info: tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None] | None = None,
    ) -> Callable[[bytes], object]:
        """Is the application's `start_response`."""
        if exc_info and exc_info[1] and any(self._body):
            raise exc_info[1]
        if self._status and not exc_info:
            raise RuntimeError("start_response was called twice")
        self._status, self._headers = status, headers
        return self._body.append

    def gather(self, application: WSGIApplication, environ: WSGIEnvironment) -> frames.Response:
        """Returns the response. Raises whatever the application raises, and what its own mistakes raise."""
        chunks = application(environ, self.start)
        try:
            for chunk in chunks:
                self._body.append(chunk)
        finally:
            if hasattr(chunks, "close"):
                chunks.close()
        if not self._status:
            raise RuntimeError("start_response was not called")
        content_type = next((value for name, value in self._headers if name.lower() == "content-type"), "")
        return frames.make_response(self._status, content_type, b"".join(self._body))


def _make_selector(*readable: Mailbox | socket.socket) -> selectors.BaseSelector:
    selector = selectors.DefaultSelector()
    for each in readable:
        selector.register(each, selectors.EVENT_READ)
    return selector


def _server_environ(listener: socket.socket) -> WSGIEnvironment:
    """Returns the part of the environ that is the same for all requests."""
    host, port = listener.getsockname()[:2]
    return {
        "SCRIPT_NAME": "",
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,  # forked processes may share the listener
        "wsgi.run_once": False,
    }


def _request_environ(request: frames.Request, address: tuple[Any, ...]) -> WSGIEnvironment:
    headers = {"HTTP_" + name.upper().replace("-", "_"): value for name, value in request.headers.items()}
    return {
        "REQUEST_METHOD": request.method,
        "PATH_INFO": request.path,
        "QUERY_STRING": request.query,
        "CONTENT_TYPE": headers.pop("HTTP_CONTENT_TYPE", ""),
        "CONTENT_LENGTH": str(len(request.body)),
        "REMOTE_ADDR": address[0],
        "REMOTE_PORT": str(address[1]),
        "wsgi.input": io.BytesIO(request.body),
        **headers,
    }
