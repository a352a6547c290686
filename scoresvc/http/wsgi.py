"""The service as a WSGI application: PEP 3333."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from scoresvc.api.dispatch import Api
from scoresvc.api.request import Request, Response
from scoresvc.errors import BadContentLength, BodyCutShort, BodyTooLarge, Refusal
from scoresvc.errors.http import BadTarget
from scoresvc.http.head import strip_authority
from scoresvc.limits import BODY_BYTES_MAX

if TYPE_CHECKING:
    from _typeshed.wsgi import InputStream, StartResponse

Environ = dict[str, Any]

# The headers that a call may read, by their names in an environ.
HEADERS = {
    "HTTP_ACCEPT": "accept",
    "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "access-control-request-method",
    "HTTP_AUTHORIZATION": "authorization",
    "HTTP_CONTENT_ENCODING": "content-encoding",
    "HTTP_FORWARDED": "forwarded",
    "HTTP_IDEMPOTENCY_KEY": "idempotency-key",
    "HTTP_IF_NONE_MATCH": "if-none-match",
    "HTTP_LAST_EVENT_ID": "last-event-id",
    "HTTP_ORIGIN": "origin",
    "HTTP_X_FORWARDED_FOR": "x-forwarded-for",
    "CONTENT_TYPE": "content-type",
}

log = logging.getLogger("scoresvc.http")

_DIGITS = re.compile("[0-9]+")
_LENGTH = re.compile("[0-9]{1,10}")


class Application:
    """Answers through `api`; a call that waits for a write waits in the server's thread."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        response = self._api(request_of(environ, self._read_body(environ)))
        return respond(response if isinstance(response, Response) else response.result(), start_response)

    def _read_body(self, environ: Environ) -> bytes | Refusal:
        if not environ.get("CONTENT_LENGTH") and "HTTP_TRANSFER_ENCODING" not in environ:
            return b""
        is_read = self._api.reads_body(environ["REQUEST_METHOD"], _path_of(environ))
        return _read_body(environ) if is_read else b""


def request_of(environ: Environ, body: bytes | Refusal) -> Request:
    return Request(
        environ["REQUEST_METHOD"],
        _path_of(environ),
        environ.get("QUERY_STRING", ""),
        {name: environ[key] for key, name in HEADERS.items() if key in environ},
        body,
        environ.get("REMOTE_ADDR", ""),
    )


def _path_of(environ: Environ) -> str:
    """Returns the path, also from a server such as uWSGI that leaves an absolute target as it is."""
    path: str = environ.get("PATH_INFO", "")
    if path.startswith(("http:", "https:")):
        with suppress(BadTarget):
            return strip_authority(path)
    return path


def respond(response: Response, start_response: StartResponse) -> Iterable[bytes]:
    start_response(response.status, [*response.headers, *([("ETag", response.etag)] if response.etag else [])])
    return [response.body]


def _read_body(environ: Environ) -> bytes | Refusal:
    """Returns the whole body or a refusal: half a score is a score, too."""
    length: str = environ.get("CONTENT_LENGTH") or ""
    if not length and "HTTP_TRANSFER_ENCODING" in environ and environ.get("wsgi.input_terminated"):
        return _read_to_its_end(environ["wsgi.input"])
    if "HTTP_TRANSFER_ENCODING" in environ or not _DIGITS.fullmatch(length):
        return BadContentLength()
    if not _LENGTH.fullmatch(length) or int(length) > BODY_BYTES_MAX:
        return BodyTooLarge()
    try:
        body: bytes = environ["wsgi.input"].read(int(length))
    except OSError:
        return BodyCutShort()
    return body if len(body) == int(length) else BodyCutShort()


def _read_to_its_end(stream: InputStream) -> bytes | Refusal:
    """Returns a chunked body where the server decodes it and, by `wsgi.input_terminated`, says where it ends."""
    body = b""
    try:
        while len(body) <= BODY_BYTES_MAX and (piece := stream.read(BODY_BYTES_MAX + 1 - len(body))):
            body += piece
    except Exception:  # each server raises its own for chunks that break off
        log.info("a chunked body could not be read", exc_info=True)
        return BodyCutShort()
    return body if len(body) <= BODY_BYTES_MAX else BodyTooLarge()
