"""Reads the settings, joins the parts: one function per command."""

from __future__ import annotations

import argparse
import atexit
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from functools import partial
from importlib.metadata import version
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from scoresvc import config, serve
from scoresvc.check import find_faults, repair
from scoresvc.config import Config, Setting
from scoresvc.database import Database
from scoresvc.errors import StartError, Unavailable
from scoresvc.granian import serve_with_granian
from scoresvc.log import start_logging, stop_logging
from scoresvc.migrate import migrate
from scoresvc.sqlite import SQLITE_VERSION, bears_several_writers
from scoresvc.store import open_store
from scoresvc.wsgi import Application

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

Command = Callable[[Config, argparse.Namespace], int]
Flags = Iterable[tuple[tuple[str, ...], str, str, str]]

# Seconds that a thread waits for the interpreter's lock before it asks for it. The loop of waitress spins while a
# thread sends: with Python's own 5 ms that thread waits as long to go on. Our loop in serve.py does not spin.
SWITCH_INTERVAL = 0.000005

# What the command line may say instead of config.ini: flags, section, option, help.
HTTP_FLAGS = (
    (("-p", "--port"), "server", "port", "port of HTTP"),
    (("--host",), "server", "host", "address of HTTP"),
    (("--threads",), "server", "threads", "threads that answer requests"),
    (("--processes",), "server", "processes", "processes that share the ports"),
    (("--server",), "server", "server", "waitress or granian"),
    (("--tcp-port",), "tcp", "port", "port of JSON over TCP, which this enables"),
)
TCP_FLAGS = (
    (("-p", "--port", "--tcp-port"), "tcp", "port", "port of JSON over TCP"),
    (("--host",), "tcp", "host", "address of JSON over TCP"),
    (("--threads",), "server", "threads", "threads that answer requests"),
)
DATABASE_FLAGS = ((("--database",), "database", "path", "the SQLite database"),)
LOG_FLAGS = ((("--logfile",), "log", "file", "the file of the log"),)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command `scoresvc`; returns its exit status."""
    options = _parser().parse_args(arguments)
    try:
        status: int = options.command(_settings(options), options)
    except StartError as error:
        print(f"scoresvc: {error}", file=sys.stderr)
        return 1
    return status


def make_app(settings: Config) -> Application:
    """Returns the service, open until the process ends. Raises StartError."""
    application, close = _open_service(settings)
    sys.setswitchinterval(SWITCH_INTERVAL)
    atexit.register(close)
    return application


def _open_service(settings: Config, process: int = 1) -> tuple[Application, Callable[[], None]]:
    """Returns the service with what closes it."""
    start_logging(settings.log, process)
    store = open_store(settings)

    def close() -> None:
        store.close()
        stop_logging()

    return Application(store), close


def run_serve(settings: Config, options: argparse.Namespace) -> int:
    """HTTP, with JSON over TCP where it is enabled."""
    processes = settings.server.processes
    if processes > 1 and not bears_several_writers():
        raise StartError(
            f"[server] processes = {processes}: SQLite {SQLITE_VERSION} cannot bear several writers;"
            " set it to 1, or install scoresvc[sqlite]"
        )
    serve.allow_many_files()
    http = serve.listen(settings.server.host, settings.server.port)
    http_port = http.getsockname()[1]
    tcp = serve.listen(settings.tcp.host, settings.tcp.port) if settings.tcp.enabled else None
    _try_start(settings)
    addresses = f"http://{serve.address_of(http)}" + (f" and tcp://{serve.address_of(tcp)}" if tcp else "")
    announce = partial(_announce, settings, addresses)

    if settings.server.server == "granian":
        http.close()
        serve_with_granian(settings, http_port, tcp, partial(_open_service, settings), announce)
        return 0

    def serve_one(number: int) -> None:
        application, close = _open_service(settings, number)
        serve.serve_http_and_tcp(application, http, tcp, settings, announce if processes == 1 else lambda: None)
        close()

    if processes == 1:
        serve_one(1)
        return 0
    return 0 if serve.serve_in_processes(processes, serve_one, announce) else 1


def run_check(settings: Config, options: argparse.Namespace) -> int:
    """Holds the ranks and the indexes against the scores, says what is wrong; ends with 1 where something is."""
    path = settings.database.path
    faults = _print_faults(path)
    if faults and options.repair:
        with closing(Database(path)) as database:
            repair(database)
        print("the ranks and the indexes were made anew")
        faults = _print_faults(path)
    if not faults:
        print(f"all is well in {path}")
    return 1 if faults else 0


def _print_faults(path: Path) -> int:
    faults = 0
    for fault in find_faults(path):
        tqdm.write(fault)
        faults += 1
    return faults


def run_jsontcp(settings: Config, options: argparse.Namespace) -> int:
    """The JSON gateway alone, in front of any WSGI application."""
    start_logging(settings.log)
    serve.allow_many_files()
    tcp = serve.listen(settings.tcp.host, settings.tcp.port)
    sys.path.insert(0, os.getcwd())
    application = make_app(settings) if options.application == "scoresvc:app" else _load(options.application)
    line = f"scoresvc serves {options.application} on tcp://{serve.address_of(tcp)}"
    serve.serve_tcp(application, tcp, settings, partial(print, line, file=sys.stderr, flush=True))
    return 0


def _load(name: str) -> WSGIApplication:
    try:
        application: WSGIApplication = resolve_name(name)
    except (ValueError, ImportError, AttributeError, SyntaxError) as error:
        raise StartError(f"cannot load {name}: {error}") from None
    if not callable(application):
        raise StartError(f"cannot serve {name}: it is no WSGI application")
    return application


def run_migrate(settings: Config, options: argparse.Namespace) -> int:
    """Brings the database up to date."""
    database = Database(settings.database.path)
    try:
        applied = migrate(database)
    except Unavailable:  # not closed, see open_store
        raise StartError(f"cannot write to the database {settings.database.path}; the line above says why") from None
    database.close()
    print(f"{settings.database.path}: " + (f"applied {', '.join(applied)}" if applied else "up to date"))
    return 0


def _try_start(settings: Config) -> None:
    """Opens the log and the database once before there are processes: what cannot start says so here."""
    start_logging(settings.log)
    open_store(settings).close()
    stop_logging()


def _announce(settings: Config, addresses: str) -> None:
    processes = settings.server.processes
    print(
        f"scoresvc {version('scoresvc')} serves {addresses} from {settings.database.path.absolute()},"
        f" SQLite {SQLITE_VERSION}, {processes} process{'es' if processes > 1 else ''}",
        file=sys.stderr,
        flush=True,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scoresvc", description="A high-score service for games.")
    parser.add_argument("--version", action="version", version=f"scoresvc {version('scoresvc')}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serving = _command(commands, "serve", run_serve, (*HTTP_FLAGS, *DATABASE_FLAGS, *LOG_FLAGS))
    serving.add_argument(
        "--one-session-per-user",
        dest="sessions.one_per_user",
        action="store_const",
        const="yes",
        help="a login ends the user's earlier sessions",
    )
    _command(commands, "migrate", run_migrate, DATABASE_FLAGS)
    checking = _command(commands, "check", run_check, DATABASE_FLAGS)
    checking.add_argument(
        "--repair", action="store_true", help="make the ranks and the indexes anew where something is wrong"
    )
    jsontcp = _command(commands, "jsontcp", run_jsontcp, (*TCP_FLAGS, *LOG_FLAGS))
    jsontcp.add_argument("application", metavar="MODULE:APP", nargs="?", default="scoresvc:app")
    return parser


def _command(commands: Any, name: str, command: Command, flags: Flags) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=command.__doc__, description=command.__doc__)
    parser.set_defaults(command=command)
    for names, section, option, text in flags:
        parser.add_argument(*names, dest=f"{section}.{option}", metavar=option.upper(), help=text)
    return parser


def _settings(options: argparse.Namespace) -> Config:
    """The settings of the file, with what the command line says instead."""
    said = {tuple(name.split(".")): text for name, text in vars(options).items() if "." in name and text is not None}
    if ("tcp", "port") in said:
        said["tcp", "enabled"] = "yes"
    return config.apply(
        config.load(), [Setting("command line", section, option, text) for (section, option), text in said.items()]
    )
