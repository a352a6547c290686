"""Opens the service from its configuration."""

from __future__ import annotations

import atexit
import sys
from collections.abc import Callable

from scoresvc.api.dispatch import Api
from scoresvc.config import Config
from scoresvc.http.wsgi import Application
from scoresvc.log import start_logging, stop_logging
from scoresvc.storage import open_store

# Seconds that a thread waits for the interpreter's lock before it asks for it. The loop of waitress spins while a
# thread sends: with Python's own 5 ms that thread waits as long to go on. Our loop in serve/waitress.py does not spin.
SWITCH_INTERVAL = 0.000005


def open_service(config: Config, process: int = 1) -> tuple[Api, Callable[[], None]]:
    """Returns the service with the function that closes it; `process` is its number, from 1. Raises StartError."""
    start_logging(config.log, process)
    store = open_store(config)

    def close() -> None:
        store.close()
        stop_logging()

    return Api(store), close


def make_app(config: Config) -> Application:
    """Returns the service for a WSGI server, open until the process ends. Raises StartError."""
    api, close = open_service(config)
    sys.setswitchinterval(SWITCH_INTERVAL)
    atexit.register(close)
    return Application(api)
