"""Sockets that listen."""

from __future__ import annotations

import resource
import socket
from typing import Any

from scoresvc.errors import StartError
from scoresvc.limits import OPEN_FILES_MAX

BACKLOG = 1024  # connections that wait to be accepted


def listen(host: str, port: int) -> list[socket.socket]:
    """Returns a socket for each address of a host: a name may have several, `::` is for both families of addresses.

    Port 0 takes a free one, the same on each address. Raises StartError.
    """
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise StartError(f"cannot listen on {host}:{port}: {getattr(error, 'strerror', error)}") from None
    listeners: list[socket.socket] = []
    try:
        for family, *_, address in dict.fromkeys(addresses):
            if listeners and not port:
                address = (address[0], listeners[0].getsockname()[1], *address[2:])
            listeners.append(_listen(family, address))
    except OSError as error:
        for listener in listeners:
            listener.close()
        raise StartError(f"cannot listen on {host}:{port}: {error.strerror}") from None
    return listeners


def _listen(family: int, address: tuple[Any, ...]) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(address[0] != "::"))
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


def address_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def raise_open_files_limit() -> None:
    """Raises the soft limit of open files: each connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES_MAX if hard == resource.RLIM_INFINITY else min(OPEN_FILES_MAX, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
