"""Starts the servers with their limits, stops them in order."""

from __future__ import annotations

import os
import queue
import resource
import select
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING, Any

from waitress import wasyncore
from waitress.server import create_server

from scoresvc import config
from scoresvc.errors import StartError
from scoresvc.jsontcp import Gateway, Limits

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

GRACE = 2.5  # seconds for what is in hand when the service is told to stop
REQUEST_WAIT = 10.0  # seconds for a request to arrive whole, however it drips
HEADER_BYTES_MAX = 16384
FILES_MAX = 65536  # open at once; a connection is one
SWEEP_INTERVAL = 1.0  # seconds
ANSWER_BYTES = 65536  # an answer up to this length is sent by the thread that makes it
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)

# A score has ten digits: what is larger or slower than this is no call of ours.
WAITRESS_LIMITS: dict[str, Any] = {
    "max_request_body_size": 2**20,  # bytes; up to here the application itself says that 1 KiB is enough
    "max_request_header_size": HEADER_BYTES_MAX,
    "connection_limit": 2000,
    "channel_timeout": 60,  # seconds that an idle connection is kept
    "cleanup_interval": 5,  # seconds
    "inbuf_overflow": 65536,  # bytes of a body; what is longer waits in a file
    "ident": None,
}


class HttpServer:
    """waitress on a listening socket, in a loop that keeps deadlines and ends in order."""

    def __init__(self, application: WSGIApplication, listener: socket.socket, threads: int) -> None:
        self._connections: dict[int, Any] = {}
        self._server: Any = create_server(
            application, map=self._connections, sockets=[listener], threads=threads, **WAITRESS_LIMITS
        )
        self._incomplete: dict[Any, float] = {}  # requests that have begun to arrive, seen first when
        self._sweep_at = 0.0
        self._stopping = False

    def serve(self) -> None:
        """Serves until `stop`."""
        while not self._stopping:
            self._turn(SWEEP_INTERVAL)
            self._cut_slow_requests()

    def finish(self) -> None:
        """Accepts no more and finishes what is in hand, in at most GRACE seconds."""
        wasyncore.dispatcher.close(self._server)
        until = time.monotonic() + GRACE
        while self._server.active_channels and time.monotonic() < until:
            self._turn(0.02)
            self._close_idle_connections()
        self._server.task_dispatcher.shutdown(timeout=max(0.0, until - time.monotonic()))
        wasyncore.close_all(self._connections)

    def stop(self) -> None:
        """Ends `serve`; may be called in a signal handler."""
        if not self._stopping:
            self._stopping = True
            self._server.pull_trigger()

    def _turn(self, timeout: float) -> None:
        """One turn of waitress's loop, whose own two die of descriptor 1024 or of a client that hangs up."""
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

    def _cut_slow_requests(self) -> None:
        """Closes connections whose request is late; waitress itself sees only that bytes arrive."""
        now = time.monotonic()
        if now < self._sweep_at:
            return
        self._sweep_at = now + SWEEP_INTERVAL
        arriving = [channel for channel in self._server.active_channels.values() if channel.request]
        self._incomplete = {channel.request: self._incomplete.get(channel.request, now) for channel in arriving}
        for channel in arriving:
            if now - self._incomplete[channel.request] > REQUEST_WAIT:
                channel.handle_close()

    def _close_idle_connections(self) -> None:
        for channel in list(self._server.active_channels.values()):
            if not (channel.request or channel.requests or channel.total_outbufs_len):
                channel.handle_close()


def _wants_to_write(channel: Any) -> bool:
    """Leaves a short answer to the thread that makes it, which is sending it just now.

    waitress would try, too, and find the lock taken, again and again, while that thread waits
    for the interpreter's lock to go on.
    """
    if channel.accepting or not channel.writable():
        return False
    return not getattr(channel, "requests", None) or channel.total_outbufs_len > ANSWER_BYTES


def listen(host: str, port: int) -> socket.socket:
    """Returns a socket that listens on the address; port 0 takes a free one. Raises StartError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise StartError(f"cannot listen on {host}:{port}: {getattr(error, 'strerror', error)}") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise StartError(f"cannot listen on {host}:{port}: {error.strerror}") from None
    listener.setblocking(False)
    return listener


def address_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def allow_many_files() -> None:
    """Raises the soft limit of open files: each connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_MAX if hard == resource.RLIM_INFINITY else min(FILES_MAX, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


def serve_http_and_tcp(
    application: WSGIApplication,
    http: socket.socket,
    tcp: socket.socket | None,
    options: config.Config,
    announce: Callable[[], None] = lambda: None,
) -> None:
    """Serves on both sockets until SIGTERM or SIGINT, then finishes what is in hand.

    `announce` is called when a signal is heeded and requests are answered.
    """
    server = HttpServer(application, http, options.server.threads)
    _stop_at_signal(server.stop)
    gateways = [make_gateway(application, tcp, options)] if tcp else []
    for gateway in gateways:
        gateway.start()
    announce()
    server.serve()
    finishing = [threading.Thread(target=gateway.stop, args=(GRACE,)) for gateway in gateways]
    for thread in finishing:
        thread.start()
    server.finish()
    for thread in finishing:
        thread.join()


def serve_tcp(
    application: WSGIApplication, tcp: socket.socket, options: config.Config, announce: Callable[[], None]
) -> None:
    """Serves JSON over TCP alone until SIGTERM or SIGINT, then finishes what is in hand."""
    told_to_stop: queue.SimpleQueue[None] = queue.SimpleQueue()  # whose put() may be interrupted by itself
    _stop_at_signal(lambda: told_to_stop.put(None))
    gateway = make_gateway(application, tcp, options)
    gateway.start()
    announce()
    told_to_stop.get()
    gateway.stop(GRACE)


def make_gateway(application: WSGIApplication, tcp: socket.socket, options: config.Config) -> Gateway:
    limits = Limits(options.tcp.frame_bytes_max, options.tcp.timeout, options.tcp.connections_max)
    return Gateway(application, tcp, limits, options.server.threads)


def _stop_at_signal(stop: Callable[[], None]) -> None:
    def handle(number: int, frame: FrameType | None) -> None:
        stop()

    for stop_signal in STOP_SIGNALS:
        signal.signal(stop_signal, handle)


def serve_in_processes(count: int, serve_one: Callable[[int], None], announce: Callable[[], None]) -> bool:
    """Runs `serve_one(number)`, number from 1, in `count` forked processes until SIGTERM or SIGINT.

    `announce` is called when all are begun. When one ends by itself, the others are told to stop, too.
    Returns whether all ended well.
    """
    children = Children()
    _stop_at_signal(children.stop)
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    for number in range(1, count + 1):
        children.fork(number, serve_one)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    announce()
    return children.wait()


class Lifeline:
    """Tells forked processes that their parent has died or cut it: a pipe whose other end only the parent holds."""

    def __init__(self) -> None:
        self._readable, self._writable = os.pipe()

    def hold(self, when_cut: Callable[[], None]) -> None:
        """To be called in the child, where `when_cut` is called in a thread of its own."""
        os.close(self._writable)
        threading.Thread(target=self._wait, args=(when_cut,), name="scoresvc-lifeline", daemon=True).start()

    def cut(self) -> None:
        """To be called in the parent, once; may be called in a signal handler."""
        os.close(self._writable)

    def _wait(self, when_cut: Callable[[], None]) -> None:
        os.read(self._readable, 1)
        when_cut()


def end_with_parent() -> None:
    os._exit(1)  # at once: whoever starts the service again needs the ports and the database


class Children:
    """Forked processes that end together, also when their parent dies."""

    def __init__(self) -> None:
        self._lifeline = Lifeline()
        self._pids: set[int] = set()
        self._stopping = False

    def fork(self, number: int, serve_one: Callable[[int], None]) -> None:
        """Begins a process; signals are to be blocked, for it still has its parent's handlers."""
        pid = os.fork()
        if pid:
            self._pids.add(pid)
            return
        status = 1
        try:
            for stop_signal in STOP_SIGNALS:
                signal.signal(stop_signal, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
            self._lifeline.hold(end_with_parent)
            serve_one(number)
            status = 0
        except StartError as error:
            print(f"scoresvc: {error}", file=sys.stderr)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)

    def stop(self) -> None:
        self._stopping = True
        for pid in tuple(self._pids):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    def wait(self) -> bool:
        well = True
        while self._pids:
            pid, status = os.wait()
            self._pids.discard(pid)
            # One that had not yet begun to heed signals dies of ours: that is what we wanted.
            ended_by_us = self._stopping and os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGTERM
            if (status and not ended_by_us) or not self._stopping:
                well = False
                self.stop()
        return well
