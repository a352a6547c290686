"""The calls for those that watch over the service."""

from __future__ import annotations

import time
from functools import cache
from importlib.metadata import version

from scoresvc.api.metrics_text import write_metrics
from scoresvc.errors import NotReady
from scoresvc.scores import ServiceStatus, Timestamp
from scoresvc.storage import Store

_STARTED = time.monotonic()


def health(store: Store) -> ServiceStatus:
    """Asks nothing of the database: a process that answers is healthy."""
    return _describe(store, "ok")


def ready(store: Store) -> ServiceStatus:
    if fault := store.find_fault():
        raise NotReady(fault)
    return _describe(store, "ready")


def metrics(store: Store) -> str:
    return write_metrics(store.counters, store)


def _describe(store: Store, status: str) -> ServiceStatus:
    last_backup = store.last_backup()
    return ServiceStatus(
        status,
        _own_version(),
        store.schema,
        store.engine,
        uptime=int(time.monotonic() - _STARTED),
        oldest_write_ms=int(store.oldest_write() * 1000),
        last_backup_at=None if last_backup is None else Timestamp(int(last_backup * 1_000_000)),
    )


@cache
def _own_version() -> str:
    return version("scoresvc")
