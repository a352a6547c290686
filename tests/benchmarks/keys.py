"""Logs users in on a running server and keeps their session keys for the load."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from tests.running import Server, call


def write_keys(server: Server, users: Iterable[int]) -> Path:
    """Returns a file in the server's folder with the keys of the users, one a line."""
    path = server.folder / "keys"
    with closing(server.connect()) as connection:
        path.write_text("".join(f"{call(connection, 'GET', f'/{user}/login')[1]}\n" for user in users))
    return path
