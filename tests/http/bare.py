"""Serves within few descriptors: python -m tests.http.bare LOOP DESCRIPTORS [FOLDER OF A DATABASE]

With a folder the whole service, without one what comes back at once, so that scoresvc.net.accepting stands alone.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
import sys
from pathlib import Path

from scoresvc import config
from scoresvc.api.dispatch import Api
from scoresvc.api.metrics import NAMES
from scoresvc.config import Config
from scoresvc.http.server import HttpServer
from scoresvc.net.accepting import Acceptor
from scoresvc.storage import open_store
from tests.http.conftest import make_loop


class Echo(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(data)  # type: ignore[attr-defined]


async def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    if len(sys.argv) > 3:
        database = config.DatabaseOptions(path=Path(sys.argv[3]) / "scores.sqlite3")
        HttpServer(Api(open_store(Config(database=database), counted=NAMES)), threads=8).start([listener])
    else:
        Acceptor(listener, Echo)
    print(listener.getsockname()[1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    logging.basicConfig(format="%(levelname)s %(message)s")
    resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[2]), int(sys.argv[2])))
    make_loop(sys.argv[1]).run_until_complete(main())
