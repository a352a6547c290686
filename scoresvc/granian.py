"""Serves with granian, whose HTTP stack is written in Rust, in place of waitress."""

from __future__ import annotations

import multiprocessing
import socket
import threading
import time
from collections.abc import Callable
from multiprocessing.util import Finalize

from scoresvc import config
from scoresvc.errors import StartError
from scoresvc.rsgi import RsgiApplication
from scoresvc.serve import GRACE, HEADER_BYTES_MAX, REQUEST_WAIT, Lifeline, make_gateway
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
    lifeline = Lifeline()
    started = multiprocessing.Value("i", 0)

    def load() -> RsgiApplication:
        lifeline.hold()
        with started.get_lock():
            started.value += 1
        application, close = open_service(started.value)
        Finalize(None, close, exitpriority=1)
        if tcp:
            gateway = make_gateway(application, tcp, options)
            gateway.start()
            Finalize(None, gateway.stop, args=(GRACE,), exitpriority=2)
        return RsgiApplication(application, options.server.threads)

    threading.Thread(target=_call_when_open, args=(options.server.host, port, announce), daemon=True).start()
    granian.Granian(
        "scoresvc",
        address=options.server.host,
        port=port,
        interface=Interfaces.RSGI,
        workers=options.server.processes,
        http1_settings=HTTP1Settings(header_read_timeout=int(REQUEST_WAIT * 1000), max_buffer_size=HEADER_BYTES_MAX),
        log_level=LogLevels.error,
        workers_kill_timeout=WORKERS_WAIT,
        websockets=False,
    ).serve(target_loader=load, wrap_loader=False)  # type: ignore[arg-type]


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
