"""The servers that one process runs, on its event loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from scoresvc.config import Config
from scoresvc.http.server import HttpServer
from scoresvc.net.server import Server
from scoresvc.service import open_service
from scoresvc.storage import MessageStream
from scoresvc.tcp.gateway import Gateway
from scoresvc.tcp.protocol import TcpServer

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


class Listeners(NamedTuple):
    http: Sequence[socket.socket]
    tcp: Sequence[socket.socket]  # empty where JSON over TCP is not served


class Servers:
    """Shuts `servers` down together, then calls `close`."""

    def __init__(self, servers: Sequence[Server], close: Callable[[], None]) -> None:
        self._servers = servers
        self._close = close

    async def shut_down(self, grace: float) -> None:
        await asyncio.gather(*[server.shut_down(grace) for server in self._servers])
        self._close()


async def start_service(config: Config, listeners: Listeners, stream: MessageStream | None = None) -> Servers:
    """Opens the service and serves it, see `open_service`. Raises StartError."""
    api, close = open_service(config, stream)
    http = HttpServer(api, config.server.threads, config.server.connections_max, config.server.connections_per_address)
    servers: list[Server] = [http]
    http.start(listeners.http)
    if listeners.tcp:
        tcp = TcpServer(http.caller.call, config.tcp)
        tcp.start(listeners.tcp)
        servers.append(tcp)

    def close_all() -> None:
        http.close()
        close()

    return Servers(servers, close_all)


async def start_gateway(application: WSGIApplication, config: Config, listeners: Sequence[socket.socket]) -> Servers:
    """Serves any WSGI application as JSON over TCP."""
    gateway = Gateway(application, listeners[0], config.server.threads)
    tcp = TcpServer(gateway.call, config.tcp)
    tcp.start(listeners)
    return Servers([tcp], gateway.close)
