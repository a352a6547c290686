"""Asks a running service over HTTP whether it answers."""

from __future__ import annotations

import http.client
import ipaddress
from contextlib import closing
from urllib.parse import urlsplit

from scoresvc.config import ServerOptions
from scoresvc.errors import StartError

TIMEOUT = 2.0  # seconds to connect, and again to each part of the answer
ANSWER_BYTES_MAX = 100


def own_url(options: ServerOptions) -> str:
    """Returns the address of `GET /health` on this machine; raises StartError where the port is not known before."""
    if not options.port:
        raise StartError("[server] port = 0: the port is not known; name the address with --url")
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(options.host, options.host)
    return f"http://{f'[{host}]' if _is_ipv6(host) else host}:{options.port}/health"


def _is_ipv6(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).version == 6
    except ValueError:
        return False


def check_health(url: str) -> None:
    """Raises StartError, which says why, where the service at `url` does not answer with `ok`."""
    try:
        status, answer = _get(url)
    except TimeoutError:
        raise StartError(f"{url} did not answer within {TIMEOUT:g} s") from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise StartError(f"{url} does not answer: {' '.join(str(error).split()) or type(error).__name__}") from None
    if status != http.client.OK or answer.strip() != b"ok":
        raise StartError(f"{url} answered {status} instead of 200 and ok")


def _get(url: str) -> tuple[int, bytes]:
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError("must be an address such as http://127.0.0.1:8080/health")
    with closing(http.client.HTTPConnection(parts.hostname, parts.port, timeout=TIMEOUT)) as connection:
        connection.request("GET", parts.path or "/health", headers={"Connection": "close"})
        response = connection.getresponse()
        return response.status, response.read(ANSWER_BYTES_MAX)
