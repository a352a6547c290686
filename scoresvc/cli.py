"""The command `scoresvc`: one function per command."""

from __future__ import annotations

import argparse
import os
import socket
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from scoresvc import config, storage
from scoresvc.api.metrics import NAMES
from scoresvc.config import Config, Setting
from scoresvc.errors import StartError
from scoresvc.examples import EXAMPLES, read_example
from scoresvc.health import check_health, own_url
from scoresvc.log import start_logging, stop_logging
from scoresvc.serve.listeners import address_of, listen, raise_open_files_limit
from scoresvc.serve.loop import run_until_signal
from scoresvc.serve.processes import serve_in_processes
from scoresvc.serve.servers import Listeners, start_gateway, start_service
from scoresvc.service import LazyApplication
from scoresvc.storage import MessageStream

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

Command = Callable[[Config, argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns its exit status."""
    options = _parser().parse_args(arguments)
    try:
        status: int = options.command(_settings(options), options)
    except StartError as error:
        print(f"scoresvc: {error}", file=sys.stderr)
        return 1
    return status


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
    print(
        f"scoresvc {version('scoresvc')} serves {' and '.join(addresses)} from {storage.describe(settings)},"
        f" {storage.engine_name(settings)}, {processes} process{'es' if processes > 1 else ''}",
        file=sys.stderr,
        flush=True,
    )


def run_migrate(settings: Config, options: argparse.Namespace) -> int:
    """Brings the database up to date."""
    applied = (storage.distribute_database if options.distribute else storage.migrate_database)(settings)
    print(f"{storage.describe(settings)}: " + (f"applied {', '.join(applied)}" if applied else "up to date"))
    return 0


def run_copy(settings: Config, options: argparse.Namespace) -> int:
    """Copies a database file into the server's database that [database] url names, which has no scores yet."""
    rows = storage.copy_database(settings, options.file)
    print(f"{storage.describe(settings)}: copied {rows['scores']} scores and {rows['sessions']} sessions")
    return 0


def run_check(settings: Config, options: argparse.Namespace) -> int:
    """Checks the ranks and the indexes against the scores; exit status 1 where something is wrong."""
    faults = _print_faults(settings)
    if faults and options.repair:
        storage.repair(settings)
        print("rebuilt the ranks and the indexes")
        faults = _print_faults(settings)
    if not faults:
        print(f"no problems found in {storage.describe(settings)}")
    return 1 if faults else 0


def _print_faults(settings: Config) -> int:
    faults = 0
    for fault in storage.find_faults(settings):
        tqdm.write(fault)
        faults += 1
    return faults


def run_jsontcp(settings: Config, options: argparse.Namespace) -> int:
    """JSON over TCP alone, in front of any WSGI application."""
    start_logging(settings.log)
    raise_open_files_limit()
    tcp = listen(settings.tcp.host, settings.tcp.port)
    sys.path.insert(0, os.getcwd())
    application = LazyApplication(settings) if options.application == "scoresvc:app" else _load(options.application)
    line = f"scoresvc serves {options.application} on " + " and ".join(f"tcp://{address_of(each)}" for each in tcp)
    run_until_signal(
        partial(start_gateway, application, settings, tcp), partial(print, line, file=sys.stderr, flush=True)
    )
    return 0


def run_health(settings: Config, options: argparse.Namespace) -> int:
    """Asks the running service whether it answers; exit status 1 where it does not."""
    check_health(options.url or own_url(settings.server))
    print("ok")
    return 0


def run_example(settings: Config, options: argparse.Namespace) -> int:
    """Prints a file for a deployment."""
    print(read_example(options.name), end="")
    return 0


def _load(name: str) -> WSGIApplication:
    try:
        application: WSGIApplication = resolve_name(name)
    except (ValueError, ImportError, AttributeError, SyntaxError) as error:
        raise StartError(f"cannot load {name}: {error}") from None
    if not callable(application):
        raise StartError(f"cannot serve {name}: it is no WSGI application")
    return application


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scoresvc", description="A high-score service for games.")
    parser.add_argument("--version", action="version", version=f"scoresvc {version('scoresvc')}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    serving = _add_command(commands, "serve", run_serve)
    for section in config.SECTIONS:
        for name in config.options_of(section):
            _add_flags(serving, section, name)

    _add_database_commands(commands)

    health = _add_command(commands, "health", run_health)
    health.add_argument("--url", help="the address to ask, instead of /health at [server] host and port")

    _add_command(commands, "example", run_example).add_argument(
        "name", metavar="NAME", choices=EXAMPLES, help=f"one of: {', '.join(EXAMPLES)}"
    )

    jsontcp = _add_command(commands, "jsontcp", run_jsontcp)
    _add_flags(jsontcp, "tcp", "port", "-p", "--port", "--tcp-port")
    _add_flags(jsontcp, "tcp", "host", "--host")
    _add_flags(jsontcp, "server", "threads")
    _add_flags(jsontcp, "log", "file")
    jsontcp.add_argument("application", metavar="MODULE:APP", nargs="?", default="scoresvc:app")
    return parser


def _add_database_commands(commands: Any) -> None:
    migrating = _add_command(commands, "migrate", run_migrate)
    _add_flags(migrating, "database", "path")
    migrating.add_argument("--distribute", action="store_true", help="spread the tables over the nodes of Citus")

    copying = _add_command(commands, "copy", run_copy)
    copying.add_argument("file", metavar="FILE", type=Path, help="the database to copy, while nothing is posted to it")

    checking = _add_command(commands, "check", run_check)
    _add_flags(checking, "database", "path")
    checking.add_argument("--repair", action="store_true", help="rebuild the ranks and the indexes where one is wrong")


def _add_command(commands: Any, name: str, command: Command) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=command.__doc__, description=command.__doc__)
    parser.set_defaults(command=command)
    return parser


def _add_flags(parser: argparse.ArgumentParser, section: str, name: str, *flags: str) -> None:
    """Adds the flags of an option, or those that are given instead; an option without any is for the file alone."""
    option = config.options_of(section)[name]
    flags = flags or option.flags
    if not flags:
        return
    switch: dict[str, Any] = (
        {"action": "store_const", "const": "yes"} if option.is_switch else {"metavar": name.upper()}
    )
    parser.add_argument(*flags, dest=f"{section}.{name}", help=option.meaning, **switch)


def _settings(options: argparse.Namespace) -> Config:
    """The settings of the file, with what the command line says instead."""
    given = {tuple(name.split(".")): text for name, text in vars(options).items() if "." in name and text is not None}
    if ("database", "path") in given:
        given["database", "url"] = ""
    if ("tcp", "port") in given:
        given["tcp", "enabled"] = "yes"
    return config.apply(
        config.load(), [Setting("command line", section, option, text) for (section, option), text in given.items()]
    )
