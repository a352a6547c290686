"""A high-score service for games; `scoresvc.app` is its WSGI application, made at first use."""

from __future__ import annotations

import threading
from typing import Any

_making_app = threading.Lock()


def __getattr__(name: str) -> Any:
    """Makes `app` (PEP 562), so that importing does nothing. Exits with one line where the service cannot start."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with _making_app:
        if "app" not in globals():
            globals()["app"] = _make_app()
    return globals()["app"]


def _make_app() -> Any:
    # Imported here, so that who imports one module of the package does not load all of it.
    from scoresvc import config_file, service
    from scoresvc.errors import StartError

    try:
        return service.LazyApplication(config_file.load())
    except StartError as error:
        raise SystemExit(f"scoresvc: {error}") from None
