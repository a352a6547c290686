"""Processes that serve together.

Theory of operation. The parent opens the listeners and forks; the children serve, each with its own database
connections and threads, which do not survive a fork and so must not exist before it. The parent only waits.

- A stop signal to the parent is passed on to the children as SIGTERM. From a fork until the child has its own handlers
  the stop signals are blocked: the child still has the parent's handler, which would signal the other children.
- When one child ends by itself, the parent stops the others, so that a supervisor sees one service that failed.
- The parent may be killed without a chance to signal anybody. Each child then reads the end of a pipe whose writing
  end only the parent holds, and ends at once: whoever starts the service again needs its ports and its database. A
  child that kept the writing end open would keep all the others alive.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress

from scoresvc.errors import StartError
from scoresvc.serve.signals import STOP_SIGNALS, call_at_stop_signal


def serve_in_processes(count: int, serve_one: Callable[[int], None], announce: Callable[[], None]) -> bool:
    """Runs `serve_one(number)`, number from 1, in `count` forked processes until SIGTERM or SIGINT.

    `announce` is called when all have started. When one ends by itself, the others are stopped.
    Returns whether all ended without an error.
    """
    children = Children()
    call_at_stop_signal(children.stop)
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    for number in range(1, count + 1):
        children.fork(number, serve_one)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    announce()
    return children.wait()


class ParentPipe:
    """Tells forked processes that their parent has closed it or has died: only the parent holds its writing end."""

    def __init__(self) -> None:
        self._readable, self._writable = os.pipe()

    def watch(self, when_closed: Callable[[], None]) -> None:
        """For the child: has `when_closed` called in a thread of its own."""
        os.close(self._writable)
        threading.Thread(target=self._wait, args=(when_closed,), name="scoresvc-parent-pipe", daemon=True).start()

    def close(self) -> None:
        """For the parent, once; may be called in a signal handler."""
        os.close(self._writable)

    def _wait(self, when_closed: Callable[[], None]) -> None:
        os.read(self._readable, 1)
        when_closed()


def end_with_parent() -> None:
    os._exit(1)


class Children:
    """Forked processes that end together, also when their parent dies."""

    def __init__(self) -> None:
        self._parent_pipe = ParentPipe()
        self._pids: set[int] = set()
        self._stopping = False

    def fork(self, number: int, serve_one: Callable[[int], None]) -> None:
        """Starts a process; the stop signals must be blocked."""
        pid = os.fork()
        if pid:
            self._pids.add(pid)
            return
        status = 1
        try:
            for stop_signal in STOP_SIGNALS:
                signal.signal(stop_signal, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
            self._parent_pipe.watch(end_with_parent)
            serve_one(number)
            status = 0
        except StartError as error:
            print(f"scoresvc: {error}", file=sys.stderr)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)

    def stop(self) -> None:
        """May be called in a signal handler."""
        self._stopping = True
        for pid in tuple(self._pids):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    def wait(self) -> bool:
        """Waits for the end of all, and stops them where one ends by itself. Returns whether all ended as told."""
        succeeded = True
        while self._pids:
            pid, status = os.wait()
            self._pids.discard(pid)
            # One that has not set its handlers yet dies of our SIGTERM, which is as good.
            ended_by_us = self._stopping and os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGTERM
            if (status and not ended_by_us) or not self._stopping:
                succeeded = False
                self.stop()
        return succeeded
