"""The call about the service itself."""

from __future__ import annotations

from importlib.metadata import version

from scoresvc.scores import ServiceInfo
from scoresvc.storage import Store

INFO = ServiceInfo("scoresvc", version("scoresvc"), "/openapi.json", "/docs")


def greet(store: Store) -> ServiceInfo:
    return INFO
