"""The servers that are measured, each with a bare application and with the service on it."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from tests.running import Server

ROOT = Path(__file__).parent.parent.parent
SESSION_LIFETIME = 86400  # seconds; no key ends while it is measured

CONFIG = """
[server]
port = 0
{settings}
[sessions]
lifetime = {lifetime}
"""

# Plain, so with its own number of threads.
WAITRESS_SERVE = (sys.executable, "-m", "waitress", "--listen=127.0.0.1:0")

BARE = (sys.executable, "-m", "tests.benchmarks.bare")
SERVICE = (sys.executable, "-m", "scoresvc", "serve")


class Kind(NamedTuple):
    """How a server is started, with either application, in a folder with a config.ini."""

    bare: tuple[str, ...]
    service: tuple[str, ...]
    settings: tuple[str, ...] = ()  # of the section [server]


SERVERS = {
    "waitress-serve": Kind((*WAITRESS_SERVE, "tests.benchmarks.bare:app"), (*WAITRESS_SERVE, "scoresvc:app")),
    "scoresvc serve": Kind(BARE, SERVICE),
    "the same, 2 processes": Kind(BARE, SERVICE, ("processes = 2",)),
}


def end_in_order_on_sigterm() -> None:
    """So that the `with` blocks of the program end, and with them its servers and temporary folders."""

    def end(number: int, frame: FrameType | None) -> None:
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, end)


@contextmanager
def running(folder: Path, kind: Kind, command: tuple[str, ...], threads: int | None = None) -> Iterator[Server]:
    """Runs one of the two commands of `kind` in a folder; `threads` stands for its own number of them."""
    settings = (*kind.settings, *([f"threads = {threads}"] if threads else []))
    (folder / "config.ini").write_text(CONFIG.format(settings="\n".join(settings), lifetime=SESSION_LIFETIME))
    with Server(folder, command=command, environ={"PYTHONPATH": str(ROOT), "SCORESVC_CONFIG": ""}) as server:
        yield server
