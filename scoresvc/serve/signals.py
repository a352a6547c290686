"""The signals that stop the service."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def call_at_stop_signal(stop: Callable[[], None]) -> None:
    """Has `stop` called at each SIGTERM or SIGINT, by the main thread, in the middle of whatever that is doing."""

    def handle(number: int, frame: FrameType | None) -> None:
        stop()

    for stop_signal in STOP_SIGNALS:
        signal.signal(stop_signal, handle)
