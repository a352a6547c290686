"""HTTP by waitress, beside JSON over TCP in one process.

Theory of operation. The main thread runs waitress's loop: it reads requests, hands them to waitress's threads, which
call the application and mostly send the response themselves, and writes what they could not send. The loop itself is
ours, because waitress's two own ones fail above descriptor 1023 or when a client hangs up, and know no deadline for a
request that arrives byte by byte. JSON over TCP has threads of its own and meets HTTP only in the application.

- A stop signal sets a flag and wakes the loop, nothing else: a handler may interrupt the loop anywhere.
- At the end both servers use the same grace at the same time, then waitress's connections are closed as they are.
- `_poll_once` and `_wants_to_write` rely on attributes of waitress's channels that it does not document.
"""

from __future__ import annotations

import queue
import select
import socket
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from waitress import wasyncore
from waitress.server import create_server

from scoresvc.api.dispatch import Api
from scoresvc.config import Config
from scoresvc.http.wsgi import Application
from scoresvc.limits import HEADER_BYTES_MAX, REQUEST_TIMEOUT, SHUTDOWN_GRACE
from scoresvc.serve.signals import call_at_stop_signal
from scoresvc.tcp import service
from scoresvc.tcp.frames import Answer
from scoresvc.tcp.server import make_server

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

SWEEP_INTERVAL = 1.0  # seconds between two checks of the deadlines
SHUTDOWN_POLL_INTERVAL = 0.02  # seconds
SENT_BY_THREAD_BYTES_MAX = 65536  # a response up to this length is sent by the thread that makes it

# A score has ten digits: nothing larger or slower than this is a call of ours.
WAITRESS_LIMITS: dict[str, Any] = {
    "max_request_body_size": 2**20,  # bytes; up to here the application itself says that 1 KiB is enough
    "max_request_header_size": HEADER_BYTES_MAX,
    "connection_limit": 2000,
    "channel_timeout": 60,  # seconds that an idle connection is kept
    "cleanup_interval": 5,  # seconds
    "inbuf_overflow": 65536,  # bytes of a body; a longer one waits in a file
    "ident": None,
}


def serve_http_and_tcp(
    api: Api,
    http: socket.socket,
    tcp: socket.socket | None,
    config: Config,
    announce: Callable[[], None],
) -> None:
    """Serves on both sockets until SIGTERM or SIGINT, then finishes the requests in flight.

    `announce` is called when the signals are handled and requests are answered.
    """
    http_server = HttpServer(Application(api), http, config.server.threads)
    call_at_stop_signal(http_server.stop)
    tcp_servers = [make_server(service.make_answer(api), tcp, config)] if tcp else []
    for tcp_server in tcp_servers:
        tcp_server.start()
    announce()
    http_server.serve()
    finishing = [threading.Thread(target=tcp_server.stop, args=(SHUTDOWN_GRACE,)) for tcp_server in tcp_servers]
    for thread in finishing:
        thread.start()
    http_server.finish()
    for thread in finishing:
        thread.join()


def serve_tcp(answer: Answer, tcp: socket.socket, config: Config, announce: Callable[[], None]) -> None:
    """Serves JSON over TCP alone until SIGTERM or SIGINT, then finishes the requests in flight."""
    stopped: queue.SimpleQueue[None] = queue.SimpleQueue()  # put() is reentrant, as a signal handler needs it
    call_at_stop_signal(lambda: stopped.put(None))
    server = make_server(answer, tcp, config)
    server.start()
    announce()
    stopped.get()
    server.stop(SHUTDOWN_GRACE)


class HttpServer:
    """waitress on a listening socket, in a loop that keeps deadlines and shuts down in order."""

    def __init__(self, application: WSGIApplication, listener: socket.socket, threads: int) -> None:
        self._connections: dict[int, Any] = {}
        self._server: Any = create_server(
            application, map=self._connections, sockets=[listener], threads=threads, **WAITRESS_LIMITS
        )
        self._incomplete: dict[Any, float] = {}  # when each request that is arriving was first seen
        self._sweep_at = 0.0
        self._stopping = False

    def serve(self) -> None:
        """Serves until `stop`."""
        while not self._stopping:
            self._poll_once(SWEEP_INTERVAL)
            self._close_slow_connections()

    def finish(self) -> None:
        """Accepts no more and finishes the requests in flight, in at most SHUTDOWN_GRACE seconds."""
        wasyncore.dispatcher.close(self._server)
        until = time.monotonic() + SHUTDOWN_GRACE
        while self._server.active_channels and time.monotonic() < until:
            self._poll_once(SHUTDOWN_POLL_INTERVAL)
            self._close_idle_connections()
        self._server.task_dispatcher.shutdown(timeout=max(0.0, until - time.monotonic()))
        wasyncore.close_all(self._connections)

    def stop(self) -> None:
        """Ends `serve`; may be called in a signal handler."""
        if not self._stopping:
            self._stopping = True
            self._server.pull_trigger()

    def _poll_once(self, timeout: float) -> None:
        poller = select.poll()
        for descriptor, channel in list(self._connections.items()):
            reads = select.POLLIN if channel.readable() else 0
            writes = select.POLLOUT if _wants_to_write(channel) else 0
            if reads or writes:
                poller.register(descriptor, reads | writes)
        for descriptor, events in poller.poll(timeout * 1000):
            if events & ~select.POLLOUT and descriptor in self._connections:
                wasyncore.read(self._connections[descriptor])
            if events & ~select.POLLIN and descriptor in self._connections:
                wasyncore.write(self._connections[descriptor])

    def _close_slow_connections(self) -> None:
        """Closes the connections whose request takes longer than REQUEST_TIMEOUT to arrive whole."""
        now = time.monotonic()
        if now < self._sweep_at:
            return
        self._sweep_at = now + SWEEP_INTERVAL
        arriving = [channel for channel in self._server.active_channels.values() if channel.request]
        self._incomplete = {channel.request: self._incomplete.get(channel.request, now) for channel in arriving}
        for channel in arriving:
            if now - self._incomplete[channel.request] > REQUEST_TIMEOUT:
                channel.handle_close()

    def _close_idle_connections(self) -> None:
        for channel in list(self._server.active_channels.values()):
            if not (channel.request or channel.requests or channel.total_outbufs_len):
                channel.handle_close()


def _wants_to_write(channel: Any) -> bool:
    """Leaves a short response to the thread that makes it, which is sending it just now.

    waitress would try, too, and find the lock taken, again and again, while that thread waits
    for the interpreter's lock to go on.
    """
    if channel.accepting or not channel.writable():
        return False
    return not getattr(channel, "requests", None) or channel.total_outbufs_len > SENT_BY_THREAD_BYTES_MAX
