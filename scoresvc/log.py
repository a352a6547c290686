"""The log: its file, its format."""

from __future__ import annotations

import logging
import logging.handlers
import math
import os
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from pathlib import Path

from scoresvc import config
from scoresvc.errors import StartError
from scoresvc.times import format_time

FILE_BYTES_MAX = 10 * 2**20  # then a new file begins
FILES_KEPT = 5  # besides the one that is written to
FAILURE_INTERVAL = 60.0  # seconds between two complaints about a log that cannot be written
FLUSH_INTERVAL = 0.05  # seconds that a line may wait; one of level error waits for nothing

access_log = logging.getLogger("scoresvc.access")
_access_handlers: list[BatchingHandler] = []  # the handler, where the access log is on

LOGGERS = (logging.getLogger("scoresvc"), logging.getLogger("waitress"))


# Of one call: when it was answered, in Unix seconds; the address of the client; the number of the request since the
# process began, which its traceback has, too; method and path; the status line; seconds that it took.
AccessRecord = tuple[float, str, int, str, str, float]


class BatchingHandler(logging.Handler):
    """Collects lines, which a thread of its own hands to `target` in batches.

    A thread that answers a request should not write: to get the interpreter's lock
    back afterwards costs it more than all the rest of the call.
    """

    def __init__(self, target: logging.Handler) -> None:
        super().__init__()
        self._target = target
        self._lines: deque[str | AccessRecord] = deque()
        self._writing = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._flush_periodically, name="scoresvc-log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(self.format(record))
        if record.levelno >= logging.ERROR:
            self.flush()

    def add_access(self, record: AccessRecord) -> None:
        """Adds a line of the access log, which is formatted when it is flushed."""
        self._lines.append(record)

    def flush(self) -> None:
        with self._writing:
            lines = [self._lines.popleft() for _ in range(len(self._lines))]
            if lines:
                text = "\n".join([line if isinstance(line, str) else _format_access(line) for line in lines])
                self._target.handle(logging.makeLogRecord({"msg": text}))

    def reopen(self) -> None:
        with self._writing:
            if isinstance(self._target, LogFile):
                self._target.reopen()

    def close(self) -> None:
        self._closing.set()
        self._thread.join()
        self.flush()
        with suppress(OSError):  # what a full disk does not take has been complained of
            self._target.close()
        super().close()

    def _flush_periodically(self) -> None:
        while not self._closing.wait(FLUSH_INTERVAL):
            self.flush()


class LineFormatter(logging.Formatter):
    """`<time> <level> <logger>: <message>`, then the traceback, if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line = f"{format_time(int(record.created * 1_000_000))} {record.levelname} {record.name}: {record.getMessage()}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def log_access(address: str, number: int, call: str, status: str, seconds: float) -> None:
    """Logs a call at level info, past `logging`, which does more than such a line needs; see AccessRecord.

    Where the log is not ours, `logging` gets the line.
    """
    record = time.time(), address, number, call, status, seconds
    for handler in _access_handlers:
        handler.add_access(record)
        return
    access_log.info(_describe(*record))


def _format_access(record: AccessRecord) -> str:
    return f"{format_time(int(record[0] * 1_000_000))} INFO scoresvc.access: {_describe(*record)}"


def _describe(answered_at: float, address: str, number: int, call: str, status: str, seconds: float) -> str:
    return f"{address or '-'} {number} {call} {status[:3]} {seconds * 1000:.1f}"


class LogFile(logging.handlers.RotatingFileHandler):
    """A log file that rotates by itself; when it is moved or deleted, a new one begins in its place."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, maxBytes=FILE_BYTES_MAX, backupCount=FILES_KEPT, encoding="utf-8")
        self._failed_at = -math.inf  # of time.monotonic, in seconds

    def emit(self, record: logging.LogRecord) -> None:
        if not self._is_in_place():
            self.reopen()
        super().emit(record)

    def reopen(self) -> None:
        """Begins the file again where something else has moved it."""
        with suppress(OSError):  # else the present one goes on
            self.stream, stream = self._open(), self.stream
            if stream:
                stream.close()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Says once in a while on standard error that lines are lost, on a full disk, say."""
        now = time.monotonic()
        if now - self._failed_at > FAILURE_INTERVAL:
            self._failed_at = now
            print(f"scoresvc: cannot write the log {self.baseFilename}: {sys.exc_info()[1]}", file=sys.stderr)

    def _is_in_place(self) -> bool:
        try:
            return self.stream is not None and os.path.samestat(
                os.stat(self.baseFilename), os.fstat(self.stream.fileno())
            )
        except OSError:
            return False


def start_logging(options: config.LogOptions, process: str = "") -> None:
    """Sends what this package and waitress log to `options.file`, or to standard error.

    Several processes cannot rotate one file: those with a name write their own, `scores.2.log` beside
    `scores.log`. Raises StartError where the file cannot be written.
    """
    stop_logging()
    handler = BatchingHandler(_open(options.file, process))
    handler.setFormatter(LineFormatter())
    for logger in LOGGERS:
        logger.addHandler(handler)
        logger.propagate = False
        logger.setLevel(options.level.upper())
    if access_log.isEnabledFor(logging.INFO):
        _access_handlers.append(handler)
    # It warns of every request that waits a moment for a thread.
    logging.getLogger("waitress.queue").setLevel("ERROR")


def stop_logging() -> None:
    """Writes what waits and closes the log."""
    _access_handlers.clear()
    for handler in {handler for logger in LOGGERS for handler in logger.handlers}:
        for logger in LOGGERS:
            logger.removeHandler(handler)
        handler.close()


def reopen_log() -> None:
    """Begins the file of the log again, for programs that have moved it."""
    for handler in {handler for logger in LOGGERS for handler in logger.handlers}:
        if isinstance(handler, BatchingHandler):
            handler.reopen()


def _open(path: Path | None, process: str) -> logging.Handler:
    if path is None:
        return logging.StreamHandler()
    if process:
        path = path.with_name(f"{path.stem}.{process}{path.suffix}")
    try:
        return LogFile(path)
    except OSError as error:
        raise StartError(f"cannot write the log {path}: {error.strerror}") from None
