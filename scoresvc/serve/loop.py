"""Runs servers in an event loop until a signal."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Awaitable, Callable
from typing import Protocol

from scoresvc.limits import SHUTDOWN_GRACE
from scoresvc.log import reopen_log

try:
    import uvloop
except ImportError:
    uvloop = None  # type: ignore[assignment]

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Running(Protocol):
    """Servers that accept connections."""

    async def shut_down(self, grace: float) -> None:
        """Accepts no more, and finishes the requests in flight in at most `grace` seconds."""


def run_until_signal(start: Callable[[], Awaitable[Running]], announce: Callable[[], None]) -> None:
    """Starts servers in a new loop, uvloop's where that is installed; shuts them down at SIGTERM or SIGINT.

    SIGHUP reopens the log. `announce` is called when signals are handled and connections accepted.
    """
    loop = (uvloop or asyncio).new_event_loop()
    try:
        loop.run_until_complete(_run(start, announce))
    finally:
        loop.close()


async def _run(start: Callable[[], Awaitable[Running]], announce: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stopping.set)
    loop.add_signal_handler(signal.SIGHUP, reopen_log)
    running = await start()
    _exempt_from_collection()
    announce()
    await stopping.wait()
    await running.shut_down(SHUTDOWN_GRACE)


def _exempt_from_collection() -> None:
    """Lets the garbage collector pass over what there is now: modules and tables, which stay.

    It holds Python's lock for 12 to 25 ms to look through all of that, and does so again and again while long answers
    are made.
    """
    gc.collect()
    gc.freeze()
