"""Opens the service from its configuration."""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from scoresvc import storage
from scoresvc.api.dispatch import Api, Exchange, make_context
from scoresvc.api.limits import Limits
from scoresvc.api.metrics import NAMES
from scoresvc.config import Config
from scoresvc.errors import StartError, Unavailable
from scoresvc.http.wsgi import Application, Environ, request_of, respond
from scoresvc.log import start_logging, stop_logging
from scoresvc.storage import MessageStream

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse

# Seconds that a thread waits for the interpreter's lock before it asks for it. The loop of waitress spins while a
# thread sends: with Python's own 5 ms that thread waits as long to go on.
SWITCH_INTERVAL = 0.000005

log = logging.getLogger("scoresvc")


def open_service(config: Config, stream: MessageStream | None = None) -> tuple[Api, Callable[[], None]]:
    """Returns the service with the function that closes it. Raises StartError.

    `stream` leads to the writer where that is another process; then the service is for the running event loop.
    """
    if stream is None:
        store = storage.open_store(config, counted=NAMES)
    else:
        store = storage.open_remote_store(config, stream, asyncio.get_running_loop(), NAMES)
    if not config.http.proxies:
        log.info("[http] proxies is empty: what comes through a proxy has no limits by address")
    return Api(store, config), store.close


class LazyApplication:
    """The service for any WSGI server, also one that forks after it has loaded its application.

    No thread and no connection with the database survives a fork. So the database is opened and closed here, which
    migrates it and raises StartError in time, and is opened again at the first request, in the process that answers it.
    """

    def __init__(self, config: Config) -> None:
        _, close = open_service(config)
        close()
        self._config = config
        self._application: Application | None = None
        self._opening = threading.Lock()
        self._abandoned: list[Application] = []
        os.register_at_fork(after_in_child=self._abandon)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        try:
            application = self._application or self._open()
        except StartError as error:  # another process has the database, say
            log.error("cannot start: %s", error)
            context = make_context(None, self._config, Limits(self._config), _count_nothing)
            return respond(Exchange(request_of(environ, b""), context).fail(Unavailable()), start_response)
        return application(environ, start_response)

    def _open(self) -> Application:
        with self._opening:
            if self._application is None:
                sys.setswitchinterval(SWITCH_INTERVAL)
                start_logging(self._config.log)
                api, close = open_service(self._config)
                atexit.register(_close, os.getpid(), close)
                self._application = Application(api)
        return self._application

    def _abandon(self) -> None:
        """Forgets, in a child, what is open in its parent, without closing it."""
        self._opening = threading.Lock()
        if self._application:
            self._abandoned.append(self._application)
            self._application = None


def _count_nothing(call: str, status: str, seconds: float) -> None:
    return None


def _close(pid: int, close: Callable[[], None]) -> None:
    """Closes what this process has opened, not what a parent had."""
    if pid == os.getpid():
        close()
        stop_logging()
