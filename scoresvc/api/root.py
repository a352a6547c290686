"""The call about the service itself."""

from __future__ import annotations

from scoresvc.storage import Store


def greet(store: Store) -> str:
    return "Hello, World!"
