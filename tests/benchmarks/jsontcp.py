"""Measures requests a second, one connection each: JSON over TCP beside waitress.

`python -m tests.benchmarks.jsontcp [ROUNDS]`: `GET /` of the service, of a demonstration application over the
gateway, of that on waitress with `Connection: close`, and over the naive server of the same protocol (a single
loop that accepts, reads, answers, closes). Every server and the clients are processes of their own; a
round measures all servers one after the other, so that a ratio compares neighbours in time.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import selectors
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import product
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tqdm import tqdm
from waitress.server import create_server

from scoresvc.config import Config, DatabaseOptions
from scoresvc.serve.listeners import listen
from scoresvc.serve.loop import run_until_signal
from scoresvc.serve.servers import Listeners, start_gateway, start_service
from tests.benchmarks.machine import describe_machine
from tests.benchmarks.report import write_conditions, write_tables
from tests.benchmarks.results import Gateway, Results
from tests.tcp.listapp import app

CLIENTS = 16
THREADS = 8
SECONDS = 1.0  # a server and round
ROUNDS = 9
PARAMETERS = {"gateway_clients": CLIENTS, "gateway_threads": THREADS, "gateway_seconds": SECONDS}

JSON_REQUEST = b'{"method": "GET", "path": "/"}\0'
HTTP_REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

Context = multiprocessing.get_context("spawn")


def run_service(port: Connection) -> None:
    """Our own service, whose greeting is the same."""
    settings = Config(database=DatabaseOptions(Path(tempfile.mkdtemp(), "scores.sqlite3")))
    http, tcp = listen("127.0.0.1", 0), listen("127.0.0.1", 0)
    announce = partial(port.send, tcp[0].getsockname()[1])
    run_until_signal(partial(start_service, settings, Listeners(http, tcp)), announce)
    shutil.rmtree(settings.database.path.parent)


def run_gateway(port: Connection) -> None:
    """Any WSGI application."""
    tcp = listen("127.0.0.1", 0)
    announce = partial(port.send, tcp[0].getsockname()[1])
    run_until_signal(partial(start_gateway, app, Config(), tcp), announce)


def run_waitress(port: Connection) -> None:
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # it says of each request that has to wait that it does
    server: Any = create_server(app, host="127.0.0.1", port=0, threads=THREADS)
    port.send(server.effective_port)
    server.run()


def run_naive(port: Connection) -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    port.send(listener.getsockname()[1])
    while True:
        with listener.accept()[0] as client:
            frame = b""
            while not frame.endswith(b"\0"):
                frame += client.recv(65536)
            found = json.loads(frame[:-1])["path"] == "/"
            response = (200, "OK", "Hello, World!") if found else (404, "Not Found", None)
            client.sendall(json.dumps(dict(zip(("code", "message", "data"), response, strict=True))).encode())


SERVERS: dict[str, tuple[Callable[[Connection], None], bytes]] = {
    "service": (run_service, JSON_REQUEST),
    "gateway": (run_gateway, JSON_REQUEST),
    "waitress": (run_waitress, HTTP_REQUEST),
    "naive": (run_naive, JSON_REQUEST),
}


class Clients:
    """CLIENTS clients in one thread; each connects, sends, reads to the end, starts again."""

    def __init__(self, port: int, request: bytes) -> None:
        self._port = port
        self._request = request
        self._selector = selectors.DefaultSelector()

    def measure(self) -> float:
        """Returns the answers a second."""
        for _ in range(CLIENTS):
            self._connect()
        answers, began = 0, time.perf_counter()
        while time.perf_counter() < began + SECONDS:
            answers += sum(self._read(key) for key, _ in self._selector.select())
        rate = answers / (time.perf_counter() - began)
        self._close()
        return rate

    def _connect(self) -> None:
        client = socket.create_connection(("127.0.0.1", self._port))
        client.sendall(self._request)
        self._selector.register(client, selectors.EVENT_READ, bytearray())

    def _read(self, key: selectors.SelectorKey) -> int:
        client: socket.socket = key.fileobj  # type: ignore[assignment]
        part = client.recv(65536)
        key.data.extend(part)
        if part:
            return 0
        if b"Hello, World!" not in key.data:
            raise RuntimeError(f"an answer was {bytes(key.data)!r}")
        self._selector.unregister(client)
        client.close()
        self._connect()
        return 1

    def _close(self) -> None:
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()


def measure(port: int, request: bytes) -> float:
    """Returns the answers a second, with the clients in a process of their own."""
    with Context.Pool(1) as pool:
        return pool.apply(run_clients, (port, request))


def run_clients(port: int, request: bytes) -> float:
    return Clients(port, request).measure()


def measure_rounds(rounds: int) -> list[Gateway]:
    rates: dict[str, list[float]] = {name: [] for name in SERVERS}
    processes, ports = [], {}
    for name, (run, _) in SERVERS.items():
        here, there = Context.Pipe()
        processes.append(Context.Process(target=run, args=(there,), daemon=True))
        processes[-1].start()
        ports[name] = here.recv()
    for _, name in tqdm(list(product(range(rounds), SERVERS)), desc="gateway", unit="load"):
        rates[name].append(measure(ports[name], SERVERS[name][1]))
    for process in processes:
        process.terminate()
        process.join()
    return [Gateway(name, measured, rates["waitress"]) for name, measured in rates.items()]


def main() -> None:
    rounds = int(sys.argv[1]) if sys.argv[1:] else ROUNDS
    print(write_conditions(describe_machine(), PARAMETERS | {"rounds": rounds}))
    print(write_tables(Results(gateway=measure_rounds(rounds))))


if __name__ == "__main__":
    main()
