"""A client of JSON over TCP, down to the bytes."""

from __future__ import annotations

import json
import socket
import struct
from typing import Any

Address = tuple[Any, ...]

TIMEOUT = 5  # seconds until a test gives up; less than the default deadline of the server
SMALL_BUFFER = 32768  # bytes
HELLO = b'{"method": "GET", "path": "/"}\0'
HELLO_RESPONSE = b'{"code": 200, "message": "OK", "data": "Hello, World!"}'


def error_response(code: int, message: str) -> bytes:
    return json.dumps({"code": code, "message": message, "data": None}).encode()


def connect(address: Address, host: str = "") -> socket.socket:
    """Connects from `host`, if one is given."""
    return socket.create_connection(address[:2], timeout=TIMEOUT, source_address=(host, 0) if host else None)


def connect_with_small_buffers(address: Address) -> socket.socket:
    """Connects as if over a network: what is sent or received is on its way, not in a buffer of this machine."""
    client = socket.socket()
    client.settimeout(TIMEOUT)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
    client.connect(address)
    return client


def read_all(client: socket.socket) -> bytes:
    return b"".join(iter(lambda: client.recv(65536), b""))


def send(address: Address, octets: bytes) -> bytes:
    """Returns what comes back until the connection ends."""
    with connect(address) as client:
        client.sendall(octets)
        return read_all(client)


def ask(address: Address, method: str = "GET", path: str = "/", **members: Any) -> dict[str, Any]:
    """Returns the response to one request."""
    response: dict[str, Any] = json.loads(send(address, make_frame(method, path, **members)))
    return response


def make_frame(method: str, path: str, **members: Any) -> bytes:
    return json.dumps({"method": method, "path": path} | members).encode() + b"\0"


def reset(client: socket.socket) -> None:
    """Closes the connection with a RST, as the system does for a client that dies."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
