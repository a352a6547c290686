"""The commands that serve."""

from __future__ import annotations

import argparse
import os
import socket
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from scoresvc import config, storage
from scoresvc.api.metrics import NAMES
from scoresvc.cli.parsing import add_command, add_flags
from scoresvc.config import Config
from scoresvc.errors import StartError
from scoresvc.log import start_logging, stop_logging
from scoresvc.serve.listeners import address_of, listen, raise_open_files_limit
from scoresvc.serve.loop import run_until_signal
from scoresvc.serve.processes import serve_in_processes
from scoresvc.serve.servers import Listeners, start_gateway, start_service
from scoresvc.service import LazyApplication
from scoresvc.storage import MessageStream

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


def add_serving_commands(commands: Any) -> None:
    serving = add_command(commands, "serve", run_serve)
    for section in config.SECTIONS:
        for name in config.options_of(section):
            add_flags(serving, section, name)

    jsontcp = add_command(commands, "jsontcp", run_jsontcp)
    add_flags(jsontcp, "tcp", "port", "-p", "--port", "--tcp-port")
    add_flags(jsontcp, "tcp", "host", "--host")
    add_flags(jsontcp, "server", "threads")
    add_flags(jsontcp, "log", "file")
    jsontcp.add_argument("application", metavar="MODULE:APP", nargs="?", default="scoresvc:app")


def run_serve(settings: Config, options: argparse.Namespace) -> int:
    """HTTP, with JSON over TCP where it is enabled."""
    raise_open_files_limit()
    http = listen(settings.server.host, settings.server.port)
    tcp = listen(settings.tcp.host, settings.tcp.port) if settings.tcp.enabled else []
    announce = partial(_announce, settings, http, tcp)
    is_alone = settings.server.processes == 1

    def serve_one(number: int, stream: MessageStream | None) -> None:
        start_logging(settings.log, f"{number}" if number > 1 else "")
        run_until_signal(
            partial(start_service, settings, Listeners(http, tcp), stream), announce if is_alone else _nothing
        )
        stop_logging()

    if is_alone:
        serve_one(1, None)
        return 0
    run_writer = partial(_write, settings) if storage.has_one_writer(settings) else None
    if not run_writer:
        storage.migrate_database(settings)
    return 0 if serve_in_processes(settings.server.processes, run_writer, serve_one, announce) else 1


def _write(settings: Config, streams: list[MessageStream], announce: Callable[[], None]) -> int:
    """Is the process that writes."""
    start_logging(settings.log, "writer")
    status = storage.run_writer(settings, streams, announce, NAMES)
    stop_logging()
    return status


def _nothing() -> None:
    """Is for a process whose parent announces it."""


def _announce(settings: Config, http: Sequence[socket.socket], tcp: Sequence[socket.socket]) -> None:
    addresses = [f"http://{address_of(each)}" for each in http] + [f"tcp://{address_of(each)}" for each in tcp]
    processes = settings.server.processes
    _print(
        f"scoresvc {version('scoresvc')} serves {' and '.join(addresses)} from {storage.describe(settings)},"
        f" {storage.engine_name(settings)}, {processes} process{'es' if processes > 1 else ''}"
    )


def _print(line: str) -> None:
    """Prints a line to standard error in one piece: the log has a thread that writes there, too."""
    print(f"{line}\n", end="", file=sys.stderr, flush=True)


def run_jsontcp(settings: Config, options: argparse.Namespace) -> int:
    """JSON over TCP alone, in front of any WSGI application."""
    start_logging(settings.log)
    raise_open_files_limit()
    tcp = listen(settings.tcp.host, settings.tcp.port)
    sys.path.insert(0, os.getcwd())
    application = LazyApplication(settings) if options.application == "scoresvc:app" else _load(options.application)
    line = f"scoresvc serves {options.application} on " + " and ".join(f"tcp://{address_of(each)}" for each in tcp)
    run_until_signal(partial(start_gateway, application, settings, tcp), partial(_print, line))
    return 0


def _load(name: str) -> WSGIApplication:
    try:
        application: WSGIApplication = resolve_name(name)
    except (ValueError, ImportError, AttributeError, SyntaxError) as error:
        raise StartError(f"cannot load {name}: {error}") from None
    if not callable(application):
        raise StartError(f"cannot serve {name}: it is no WSGI application")
    return application
