"""Several processes that serve, and the one that writes for them.

Theory of operation: where the engine lets one process write (the other lets all, and what follows on the writer does
not matter), the parent forks the writer and waits until the database is open; then it forks the processes
that serve, each connected with the writer by a pair of sockets, and closes its own copies. From then on it only
waits. At SIGTERM it tells those that serve; they finish the requests in flight, end, and their sockets with them; the
writer ends when all of these are closed, so nothing that was begun is cut off. When any process ends by itself, all
others are told to end, too, and the status of the service is 1: a supervisor starts it again as a whole. When the
parent dies, those that serve end at once, and the writer after them.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from types import FrameType

from scoresvc.errors import StartError
from scoresvc.storage import MessageStream, make_pair

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
ALL_SIGNALS = (*STOP_SIGNALS, signal.SIGHUP)

Pair = tuple[socket.socket, socket.socket]
RunWriter = Callable[[list[MessageStream], Callable[[], None]], int]
ServeOne = Callable[[int, MessageStream | None], None]


def serve_in_processes(
    count: int, run_writer: RunWriter | None, serve_one: ServeOne, announce: Callable[[], None]
) -> bool:
    """Runs the writer and `serve_one(number, stream)`, number from 1, in `count` processes until SIGTERM or SIGINT.

    `run_writer(streams, announce)` returns its exit status; where it is None, each process writes by itself and has no
    stream. `announce` is called when all run. Returns whether all ended as they should.
    """
    pairs = [make_pair() for _ in range(count)] if run_writer else []
    children = Children()
    if run_writer:
        children.fork_writer(partial(_write, pairs, run_writer, children.is_ready))
    if not run_writer or children.wait_until_ready():
        for number in range(1, count + 1):
            children.fork(partial(_serve, pairs, serve_one, number))
        announce()
    _close_all(end for pair in pairs for end in pair)
    return children.wait()


def _write(pairs: list[Pair], run_writer: RunWriter, is_ready: Callable[[], None]) -> int:
    _close_all(serving for serving, _ in pairs)
    return run_writer([MessageStream(writing) for _, writing in pairs], is_ready)


def _serve(pairs: list[Pair], serve_one: ServeOne, number: int) -> int:
    ours = pairs[number - 1][0] if pairs else None
    _close_all(end for pair in pairs for end in pair if end is not ours)
    serve_one(number, MessageStream(ours) if ours else None)
    return 0


def _close_all(sockets: Iterable[socket.socket]) -> None:
    for each in sockets:
        each.close()


class ParentPipe:
    """A pipe whose writing end only the parent holds: it breaks when the parent dies."""

    def __init__(self) -> None:
        self._readable, self._writable = os.pipe()

    def close(self) -> None:
        """To be called in every child: only the parent's end counts."""
        os.close(self._writable)

    def watch(self) -> None:
        """Lets a child end at once with its parent: the ports are needed by the next one."""
        threading.Thread(target=self._wait, name="scoresvc-parent", daemon=True).start()

    def _wait(self) -> None:
        os.read(self._readable, 1)
        os._exit(1)


class Children:
    """Forked processes. Signals are blocked until `release_signals`, so that no child runs our handlers."""

    def __init__(self) -> None:
        self._parent_pipe = ParentPipe()
        self._ready, self._says_ready = os.pipe()
        self._writer = 0
        self._serving: set[int] = set()
        self._is_stopping = False
        for number in STOP_SIGNALS:
            signal.signal(number, self._stop)
        signal.signal(signal.SIGHUP, self._pass_on)
        signal.pthread_sigmask(signal.SIG_BLOCK, ALL_SIGNALS)

    def fork_writer(self, run: Callable[[], int]) -> None:
        self._writer = os.fork()
        if not self._writer:
            self._parent_pipe.close()
            os.close(self._ready)
            # It ends when those that serve have ended; a terminal sends its signal to all processes.
            _run_child(run, dict.fromkeys(STOP_SIGNALS, signal.SIG_IGN))

    def is_ready(self) -> None:
        """To be called in the writer's process when the database is open."""
        os.write(self._says_ready, b"\0")
        os.close(self._says_ready)

    def wait_until_ready(self) -> bool:
        """Returns whether the writer is; it may have ended instead, with its reason on standard error."""
        os.close(self._says_ready)
        return os.read(self._ready, 1) == b"\0"

    def fork(self, run: Callable[[], int]) -> None:
        pid = os.fork()
        if pid:
            self._serving.add(pid)
            return
        self._parent_pipe.close()
        self._parent_pipe.watch()
        _run_child(run, dict.fromkeys(STOP_SIGNALS, signal.SIG_DFL))

    def release_signals(self) -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ALL_SIGNALS)

    def wait(self) -> bool:
        """Returns when all have ended: whether they did so because they were told to, and without an error."""
        self.release_signals()
        ended_well = True
        while self._serving or self._writer:
            pid, status = os.wait()
            self._serving.discard(pid)
            if pid == self._writer:
                self._writer = 0
            # One that had not yet begun to handle signals dies of ours: that is what we wanted.
            died_of_ours = self._is_stopping and os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGTERM
            if (status and not died_of_ours) or not self._is_stopping:
                ended_well = False
                self._stop()
        return ended_well

    def _stop(self, number: int = 0, frame: FrameType | None = None) -> None:
        self._is_stopping = True
        self._send(signal.SIGTERM, *self._serving)

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        self._send(number, self._writer, *self._serving)

    def _send(self, number: int, *pids: int) -> None:
        for pid in pids:
            if pid:
                with suppress(ProcessLookupError):
                    os.kill(pid, number)


def _run_child(run: Callable[[], int], handlers: dict[signal.Signals, signal.Handlers]) -> None:
    """Runs what a child is for, then ends the process with the status that it returns."""
    status = 1
    try:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ALL_SIGNALS)
        status = run()
    except StartError as error:
        print(f"scoresvc: {error}", file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)
