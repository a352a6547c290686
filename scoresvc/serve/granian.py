"""Serving with granian, whose HTTP stack is written in Rust, in place of waitress.

Theory of operation. granian's main process forks a worker for each of `[server] processes`, also the only one. All
that has threads or an open database is made in the worker, by the loader that granian calls there. The main process
takes the signals and passes them on; when a worker ends by itself, it ends with status 1.

At a stop signal granian's worker finishes the requests in flight, and also waits for those that are still arriving,
for as long as their clients please; after WORKERS_KILL_TIMEOUT it is killed, with the database open. So the main
process closes a pipe at the signal, before granian's own handler runs, and a thread in each worker sees to it that the
worker closes what it has open and ends after SHUTDOWN_GRACE at the latest. A worker that ends earlier closes the same
things from a multiprocessing finalizer. Both ways lead through `WorkerShutdown`, which does each step once.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.util import Finalize
from types import FrameType
from typing import Any

from scoresvc.api.dispatch import Api
from scoresvc.config import Config
from scoresvc.errors import StartError
from scoresvc.limits import HEADER_BYTES_MAX, REQUEST_TIMEOUT, SHUTDOWN_GRACE
from scoresvc.serve.processes import ParentPipe, end_with_parent
from scoresvc.serve.rsgi import RsgiApplication
from scoresvc.serve.signals import STOP_SIGNALS
from scoresvc.tcp import service
from scoresvc.tcp.server import TcpServer, make_server

try:
    import granian
    from granian.constants import Interfaces
    from granian.http import HTTP1Settings
    from granian.log import LogLevels
except ImportError:
    granian = None  # type: ignore[assignment]

START_TIMEOUT = 30.0  # seconds until nobody waits for the start any more
START_POLL_INTERVAL = 0.01  # seconds
WORKERS_KILL_TIMEOUT = 4  # seconds until a worker that does not end is killed


def serve_with_granian(
    config: Config,
    port: int,
    tcp: socket.socket | None,
    open_service: Callable[[int], tuple[Api, Callable[[], None]]],
    announce: Callable[[], None],
) -> None:
    """Serves HTTP and, where there is a socket for it, JSON over TCP until SIGTERM or SIGINT.

    In each process `open_service(number)`, number from 1, returns the service with the function that closes it.
    `announce` is called when connections are accepted. Raises StartError where granian is not installed, SystemExit(1)
    where a process ended by itself.
    """
    if granian is None:
        raise StartError("[server] server = granian: it is not installed; install scoresvc[fast]")
    # Sockets and pipes are passed on by forking, which is not the default from Python 3.14 on.
    multiprocessing.set_start_method("fork", force=True)
    parent, stop_signal = ParentPipe(), ParentPipe()
    started = multiprocessing.Value("i", 0)

    def load() -> RsgiApplication:
        parent.watch(end_with_parent)
        with started.get_lock():
            number = started.value = started.value + 1
        return _start_worker(config, tcp, partial(open_service, number), stop_signal)

    threading.Thread(target=_call_when_open, args=(config.server.host, port, announce), daemon=True).start()
    server = _make_server(config, port)
    server.on_startup(lambda: _close_at_signal(stop_signal))
    server.serve(target_loader=load, wrap_loader=False)


def _make_server(config: Config, port: int) -> Any:
    return granian.Granian(
        "scoresvc",
        address=config.server.host,
        port=port,
        interface=Interfaces.RSGI,
        workers=config.server.processes,
        http1_settings=HTTP1Settings(header_read_timeout=int(REQUEST_TIMEOUT * 1000), max_buffer_size=HEADER_BYTES_MAX),
        log_level=LogLevels.error,
        workers_kill_timeout=WORKERS_KILL_TIMEOUT,
        websockets=False,
    )


def _start_worker(
    config: Config,
    tcp: socket.socket | None,
    open_service: Callable[[], tuple[Api, Callable[[], None]]],
    stop_signal: ParentPipe,
) -> RsgiApplication:
    """Runs in the worker: opens everything, and prepares how it is closed."""
    api, close = open_service()
    tcp_server = make_server(service.make_answer(api), tcp, config) if tcp else None
    if tcp_server:
        tcp_server.start()
    shutdown = WorkerShutdown(tcp_server, close)
    Finalize(None, shutdown.run, exitpriority=1)
    stop_signal.watch(shutdown.run_in_time)
    return RsgiApplication(api, config.server.threads)


def _close_at_signal(pipe: ParentPipe) -> None:
    """Has the first stop signal close `pipe`, then reach granian, whose handlers are set by now."""
    granian_handler: Any = signal.getsignal(signal.SIGTERM)
    to_close = [pipe]

    def handle(number: int, frame: FrameType | None) -> None:
        if to_close:
            to_close.pop().close()
        granian_handler(number, frame)

    for stop_signal in STOP_SIGNALS:
        signal.signal(stop_signal, handle)


class WorkerShutdown:
    """Closes what a worker has open, once: when its requests are done, or after SHUTDOWN_GRACE."""

    def __init__(self, tcp_server: TcpServer | None, close: Callable[[], None]) -> None:
        self._steps: list[Callable[[], object]] = [close]  # the last one first
        if tcp_server:
            self._steps.append(partial(tcp_server.stop, SHUTDOWN_GRACE))
        self._running = threading.Lock()

    def run(self) -> None:
        while self._steps:
            self._run_step()

    def run_in_time(self) -> None:
        """Stops JSON over TCP at once, closes the rest after SHUTDOWN_GRACE, and ends the process if it still runs."""
        until = time.monotonic() + SHUTDOWN_GRACE
        if len(self._steps) > 1:
            self._run_step()
        time.sleep(max(0.0, until - time.monotonic()))
        self.run()
        os._exit(0)

    def _run_step(self) -> None:
        with self._running:
            if self._steps:
                self._steps[-1]()
                self._steps.pop()


def _call_when_open(host: str, port: int, announce: Callable[[], None]) -> None:
    until = time.monotonic() + START_TIMEOUT
    while time.monotonic() < until:
        try:
            socket.create_connection((host, port), 1).close()
        except OSError:
            time.sleep(START_POLL_INTERVAL)
        else:
            announce()
            return
