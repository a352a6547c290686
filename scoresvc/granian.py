"""Serves with granian, whose HTTP stack is written in Rust, in place of waitress."""

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

from scoresvc import config
from scoresvc.errors import StartError
from scoresvc.jsontcp import Gateway
from scoresvc.rsgi import RsgiApplication
from scoresvc.serve import (
    GRACE,
    HEADER_BYTES_MAX,
    REQUEST_WAIT,
    STOP_SIGNALS,
    Lifeline,
    end_with_parent,
    make_gateway,
)
from scoresvc.wsgi import Application

try:
    import granian
    from granian.constants import Interfaces
    from granian.http import HTTP1Settings
    from granian.log import LogLevels
except ImportError:
    granian = None  # type: ignore[assignment]

START_WAIT = 30.0  # seconds until nobody waits for the start any more
WORKERS_WAIT = 4  # seconds until a worker that does not end is killed


def serve_with_granian(
    options: config.Config,
    port: int,
    tcp: socket.socket | None,
    open_service: Callable[[int], tuple[Application, Callable[[], None]]],
    announce: Callable[[], None],
) -> None:
    """Serves HTTP and, where there is a socket for it, JSON over TCP until SIGTERM or SIGINT.

    Each of `[server] processes` is a process of its own, also the only one, in which
    `open_service(number)`, number from 1, returns the application with what closes it.
    `announce` is called when connections are accepted.

    Raises StartError where granian is not installed, SystemExit(1) where a process ended by itself.
    """
    if granian is None:
        raise StartError("[server] server = granian: it is not installed; install scoresvc[fast]")
    # Sockets and lifeline are handed on by forking, which from Python 3.14 on is not the default.
    multiprocessing.set_start_method("fork", force=True)
    lifeline, stopping = Lifeline(), Lifeline()
    started = multiprocessing.Value("i", 0)

    def load() -> RsgiApplication:
        lifeline.hold(end_with_parent)
        with started.get_lock():
            started.value += 1
        application, close = open_service(started.value)
        gateway = make_gateway(application, tcp, options) if tcp else None
        if gateway:
            gateway.start()
        ending = Ending(gateway, close)
        Finalize(None, ending.run, exitpriority=1)
        stopping.hold(ending.run_in_time)
        return RsgiApplication(application, options.server.threads)

    threading.Thread(target=_call_when_open, args=(options.server.host, port, announce), daemon=True).start()
    server = _make_server(options, port)
    server.on_startup(lambda: _cut_at_signal(stopping))
    server.serve(target_loader=load, wrap_loader=False)


def _make_server(options: config.Config, port: int) -> Any:
    return granian.Granian(
        "scoresvc",
        address=options.server.host,
        port=port,
        interface=Interfaces.RSGI,
        workers=options.server.processes,
        http1_settings=HTTP1Settings(header_read_timeout=int(REQUEST_WAIT * 1000), max_buffer_size=HEADER_BYTES_MAX),
        log_level=LogLevels.error,
        workers_kill_timeout=WORKERS_WAIT,
        websockets=False,
    )


def _cut_at_signal(stopping: Lifeline) -> None:
    """Has the workers know of the first signal as soon as granian itself, whose handlers are set by now."""
    granian_handler: Any = signal.getsignal(signal.SIGTERM)
    to_cut = [stopping]

    def handle(number: int, frame: FrameType | None) -> None:
        if to_cut:
            to_cut.pop().cut()
        granian_handler(number, frame)

    for stop_signal in STOP_SIGNALS:
        signal.signal(stop_signal, handle)


class Ending:
    """Closes what a worker has open, once: when its requests are done, or when they have had GRACE.

    A request that is still arriving would keep granian longer, until that kills the worker.
    """

    def __init__(self, gateway: Gateway | None, close: Callable[[], None]) -> None:
        self._steps: list[Callable[[], object]] = [close]  # the last one first
        if gateway:
            self._steps.append(partial(gateway.stop, GRACE))
        self._taking = threading.Lock()

    def run(self) -> None:
        while self._steps:
            self._take_step()

    def run_in_time(self) -> None:
        """Closes the gateway at once, all else after GRACE, and ends the process, if it has not ended by then."""
        until = time.monotonic() + GRACE
        if len(self._steps) > 1:
            self._take_step()
        time.sleep(max(0.0, until - time.monotonic()))
        self.run()
        os._exit(0)

    def _take_step(self) -> None:
        with self._taking:
            if self._steps:
                self._steps[-1]()
                self._steps.pop()


def _call_when_open(host: str, port: int, announce: Callable[[], None]) -> None:
    until = time.monotonic() + START_WAIT
    while time.monotonic() < until:
        try:
            socket.create_connection((host, port), 1).close()
        except OSError:
            time.sleep(0.01)
        else:
            announce()
            return
