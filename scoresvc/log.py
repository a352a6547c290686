"""Where the log goes, in which form."""

from __future__ import annotations

import logging
import logging.handlers
import threading
import time
from collections import deque
from functools import lru_cache
from pathlib import Path

from scoresvc import config
from scoresvc.errors import StartError

FILE_BYTES_MAX = 10 * 2**20  # then a new file is begun
FILES_KEPT = 5  # besides the one that is written to
FLUSH_INTERVAL = 0.05  # seconds that a line may wait; one of level error waits for nothing

access_log = logging.getLogger("scoresvc.access")
_gathering_calls: list[GatheringHandler] = []  # the handler, where calls are logged

LOGGERS = (logging.getLogger("scoresvc"), logging.getLogger("waitress"))


# When a call was answered, in Unix seconds, which it was, its status and how many seconds it took.
Called = tuple[float, str, str, float]


class GatheringHandler(logging.Handler):
    """Gathers lines, and has a thread hand them to `target` together.

    A thread that answers a request had better not write: to get the interpreter's
    lock back afterwards costs it more than all the rest of the call.
    """

    def __init__(self, target: logging.Handler) -> None:
        super().__init__()
        self._target = target
        self._lines: deque[str | Called] = deque()
        self._writing = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._flush_in_turn, name="scoresvc-log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(self.format(record))
        if record.levelno >= logging.ERROR:
            self.flush()

    def add_call(self, call: Called) -> None:
        """Gathers a line of the access log, to be written out when it is flushed."""
        self._lines.append(call)

    def flush(self) -> None:
        with self._writing:
            lines = [self._lines.popleft() for _ in range(len(self._lines))]
            if lines:
                text = "\n".join([line if isinstance(line, str) else _write_call(*line) for line in lines])
                self._target.handle(logging.makeLogRecord({"msg": text}))

    def close(self) -> None:
        self._closing.set()
        self._thread.join()
        self.flush()
        self._target.close()
        super().close()

    def _flush_in_turn(self) -> None:
        while not self._closing.wait(FLUSH_INTERVAL):
            self.flush()


class LineFormatter(logging.Formatter):
    """When, how grave, who, what; then the traceback, if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line = f"{format_time(record.created)} {record.levelname} {record.name}: {record.getMessage()}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def format_time(now: float) -> str:
    """Returns Unix seconds as `2026-11-21T03:04:05.678Z`."""
    second = int(now)
    return f"{_format_second(second)}.{int((now - second) * 1000):03d}Z"


@lru_cache(2)
def _format_second(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


def log_call(call: str, status: str, seconds: float) -> None:
    """Logs a call at level info. `logging` itself, which does more than a call needs, is for where the log is not ours.

    `status` is as in "200 OK".
    """
    for handler in _gathering_calls:
        handler.add_call((time.time(), call, status, seconds))
        return
    access_log.info("%s %s %.1f", call, status[:3], seconds * 1000)


def _write_call(now: float, call: str, status: str, seconds: float) -> str:
    return f"{format_time(now)} INFO scoresvc.access: {call} {status[:3]} {seconds * 1000:.1f}"


def start_logging(options: config.Log, process: int = 1) -> None:
    """Sends what this package and waitress log to `options.file`, or to standard error.

    Several processes cannot rotate one file: from the second on, each writes its own,
    `scores.2.log` beside `scores.log`. Raises StartError where the file cannot be written.
    """
    stop_logging()
    handler = GatheringHandler(_open(options.file, process))
    handler.setFormatter(LineFormatter())
    for logger in LOGGERS:
        logger.addHandler(handler)
        logger.propagate = False
        logger.setLevel(options.level.upper())
    if access_log.isEnabledFor(logging.INFO):
        _gathering_calls.append(handler)
    # A line for every request that waits a moment for a thread tells nothing.
    logging.getLogger("waitress.queue").setLevel("ERROR")


def stop_logging() -> None:
    """Writes what waits and closes the log."""
    _gathering_calls.clear()
    for handler in {handler for logger in LOGGERS for handler in logger.handlers}:
        for logger in LOGGERS:
            logger.removeHandler(handler)
        handler.close()


def _open(path: Path | None, process: int) -> logging.Handler:
    if path is None:
        return logging.StreamHandler()
    if process > 1:
        path = path.with_name(f"{path.stem}.{process}{path.suffix}")
    try:
        return logging.handlers.RotatingFileHandler(
            path, maxBytes=FILE_BYTES_MAX, backupCount=FILES_KEPT, encoding="utf-8"
        )
    except OSError as error:
        raise StartError(f"cannot write the log {path}: {error.strerror}") from None
