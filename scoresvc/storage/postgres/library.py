"""The library that speaks with PostgreSQL, and what its errors mean.

Every error has its place. One of RETRIED rolled the transaction back only because another one was in its way: it is
run again. One of a server that cannot serve now (FAULTS, FAULT_CLASSES, and whatever has no code, such as a lost
connection) is 503: what became of a commit under way is unknown, and to send a post again is safe. Any other is a bug.
The codes are those of Appendix A of PostgreSQL's manual.
"""

from __future__ import annotations

from collections.abc import Iterable

from scoresvc.errors import StartError

try:
    import psycopg
except ImportError:
    psycopg = None  # type: ignore[assignment]

__all__ = ["is_fault", "is_retried", "psycopg", "require_library", "write_array"]

RETRIED = frozenset(("40001", "40P01"))  # serialization failure, deadlock

FAULT_CLASSES = frozenset(
    (
        "08",  # the connection failed
        "28",  # the server does not let us in
        "3D",  # there is no such database
        "53",  # no disk, no memory, no connection left
        "57",  # cancelled, by an operator or a timeout; shutting down or starting
        "58",  # a fault of the server's system
        "F0",  # its configuration
        "XX",  # corrupted data, an internal error
    )
)
FAULTS = frozenset(
    (
        "25006",  # a standby, which takes no writes
        "25P03",  # idle in a transaction for too long
        "25P04",  # in a transaction for too long
        "40003",  # nobody knows whether a statement completed
        "55006",  # an object is in use
        "55P03",  # a lock could not be had in time
        "72000",  # what a reader needs is no longer kept
    )
)


def require_library() -> None:
    """Raises StartError where the library is not installed."""
    if psycopg is None:
        raise StartError("[database] url needs psycopg; install scoresvc[postgres]")


def is_fault(error: BaseException) -> bool:
    """Returns whether the server could not do it now, so that it may be asked again later."""
    if not isinstance(error, psycopg.Error):
        return False
    state = error.sqlstate
    if state is None:
        return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
    return state in RETRIED or state in FAULTS or state[:2] in FAULT_CLASSES


def is_retried(error: BaseException) -> bool:
    """Returns whether the transaction can be run again at once."""
    return isinstance(error, psycopg.Error) and error.sqlstate in RETRIED


def write_array(numbers: Iterable[int]) -> str:
    """As PostgreSQL writes an array; a list would be sent as one of another type for each size of its numbers."""
    return f"{{{','.join(map(str, numbers))}}}"
