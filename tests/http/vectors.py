"""Requests as raw bytes, each with the statuses of its right answers."""

from __future__ import annotations

from typing import NamedTuple

# What is sent behind each vector: answered where the connection is still open, and must not be where it is not.
CANARY = b"GET / HTTP/1.1\r\nHost: canary\r\nConnection: close\r\n\r\n"
CANARY_STATUS = 200


class Vector(NamedTuple):
    name: str
    request: bytes  # KEY stands for a session key
    statuses: tuple[int, ...]
    stays_open: bool  # whether the next request on the connection is answered


def _opens(name: str, request: bytes, *statuses: int) -> Vector:
    return Vector(name, request, statuses, True)


def _closes(name: str, request: bytes, *statuses: int) -> Vector:
    return Vector(name, request, statuses, False)


def _get(target: bytes, *fields: bytes, version: bytes = b"HTTP/1.1") -> bytes:
    return b"\r\n".join([b"GET " + target + b" " + version, b"Host: a", *fields, b"", b""])


def _post(*fields: bytes, body: bytes = b"") -> bytes:
    return b"\r\n".join([b"POST /2/score?sessionkey=KEY HTTP/1.1", b"Host: a", *fields, b"", body])


FOUR_BYTES = b"Content-Length: 4"
CHUNKED = b"Transfer-Encoding: chunked"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"

LINES = (
    _opens("a plain request", _get(b"/"), 200),
    _opens("an empty line before the request", b"\r\n\r\n" + _get(b"/"), 200),
    _opens("a path that nobody knows", _get(b"/nothing"), 404),
    _opens("a method that nobody knows", b"BREW /2/score HTTP/1.1\r\nHost: a\r\n\r\n", 405),
    _opens("a method that nobody knows on a path that nobody knows", b"BREW /x HTTP/1.1\r\nHost: a\r\n\r\n", 404),
    _opens("a method in small letters", b"get / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
    _opens(
        "a method that llhttp knows for what it does to a body", b"CONNECT /2/score HTTP/1.1\r\nHost: a\r\n\r\n", 405
    ),
    _opens("a raw number sign", _get(b"/4711/#"), 200),
    _opens("an escaped number sign", _get(b"/4711/%23"), 200),
    _opens("an escaped path", _get(b"/2/%68ighscorelist"), 200),
    _opens("bytes over 127", _get(b"/\xe4\xff/highscorelist"), 404),
    _opens("a broken escape", _get(b"/%zz/%"), 404),
    _opens("an escaped NUL", _get(b"/%00"), 404),
    _opens("a question mark alone", _get(b"/2/highscorelist?"), 200),
    _opens("two slashes are a path, not a host", _get(b"//2/highscorelist"), 200),
    _opens("an absolute URL", _get(b"http://other:80/2/highscorelist"), 200),
    _opens("an absolute URL in capitals", _get(b"HTTP://OTHER/2/highscorelist"), 200),
    _opens("an absolute URL without a path", _get(b"http://other"), 200),
    _opens("an absolute URL with a query and no path", _get(b"http://other?limit=1"), 400),
    _closes("an absolute URL without a host", _get(b"http:///2/highscorelist"), 400),
    _closes("an absolute URL with a user", _get(b"http://user@other/"), 400),
    _closes("another scheme", _get(b"ftp://other/2/highscorelist"), 400),
    _closes("a target without a slash", _get(b"2/highscorelist"), 400),
    _closes("a host and a port", b"CONNECT other:443 HTTP/1.1\r\nHost: other:443\r\n\r\n", 400),
    _opens("an asterisk", b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 404),
    _closes("two spaces after the method", b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    _closes("two spaces before the version", b"GET /  HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    _closes("a space in the path", _get(b"/2/high scorelist"), 400),
    _closes("a tab for a space", b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    _closes("a space before the method", b" GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    _closes("a space after the version", b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400),
    _closes("no method", b"/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    _closes("a method that is no token", b"G@T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    _closes("a NUL in the path", _get(b"/\x00"), 400),
    _closes("a control byte in the path", _get(b"/\x1b"), 400),
    _closes("a DEL in the path", _get(b"/\x7f"), 400),
    _closes("TLS on the plain port", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 32, 400),
)

VERSIONS = (
    _closes("HTTP/0.9", b"GET /\r\n", 400),
    _closes("HTTP/0.9 with its name", _get(b"/", version=b"HTTP/0.9"), 505),
    _closes("HTTP/1.0", b"GET / HTTP/1.0\r\n\r\n", 200),
    _opens("HTTP/1.0 that stays", b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", 200),
    _closes("HTTP/1.0 with a bad host", b"GET / HTTP/1.0\r\nHost: a b\r\n\r\n", 400),
    _opens("HTTP/1.2 is answered as 1.1", _get(b"/", version=b"HTTP/1.2"), 200),
    _closes("HTTP/2's preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00", 505),
    _closes("HTTP/3.0", _get(b"/", version=b"HTTP/3.0"), 505),
    _closes("a version with two digits", _get(b"/", version=b"HTTP/1.10"), 400),
    _closes("a version in small letters", _get(b"/", version=b"http/1.1"), 400),
    _closes("a version without a point", _get(b"/", version=b"HTTP/11"), 505),
    _closes("another protocol", _get(b"/", version=b"ICAP/1.0"), 400),
)

FIELDS = (
    _opens("an empty value", _get(b"/", b"X:"), 200),
    _opens("white space around a value", _get(b"/", b"X: \t a \t "), 200),
    _opens("a value of bytes over 127", _get(b"/", b"X: \xe4\xff"), 200),
    _opens("a hundred fields", _get(b"/", *[b"X: y"] * 99), 200),
    _closes("more than a hundred fields", _get(b"/", *[b"X: y"] * 100), 431),
    _closes("a space before the colon", _get(b"/", b"X : y"), 400),
    _closes("a tab before the colon", _get(b"/", b"X\t: y"), 400),
    _closes("a space before the first field", b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400),
    _closes("a folded value", _get(b"/", b"X: y", b" z"), 400),
    _closes("a folded value with a tab", _get(b"/", b"X: y", b"\tz"), 400),
    _closes("no colon", _get(b"/", b"Xy"), 400),
    _closes("no name", _get(b"/", b": y"), 400),
    _closes("a name that is no token", _get(b"/", b"X(y): z"), 400),
    _closes("a name with bytes over 127", _get(b"/", b"X\xe4: z"), 400),
    _closes("a bare CR in a value", _get(b"/", b"X: y\rz"), 400),
    _closes("a bare LF between fields", b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", 400),
    _closes("a bare LF after the request line", b"GET / HTTP/1.1\nHost: a\r\n\r\n", 400),
    _closes("bare LFs alone", b"GET / HTTP/1.1\nHost: a\n\n", 400),
    _closes("a bare LF at the end", b"GET / HTTP/1.1\r\nHost: a\r\n\n", 400),
    _closes("a bare CR at the end", b"GET / HTTP/1.1\r\nHost: a\r\n\rX", 400),
    _closes("a NUL in a value", _get(b"/", b"X: y\x00z"), 400),
    _closes("a control byte in a value", _get(b"/", b"X: y\x01z"), 400),
    _closes("a DEL in a value", _get(b"/", b"X: y\x7fz"), 400),
    _closes("no Host", b"GET / HTTP/1.1\r\n\r\n", 400),
    _closes("two Hosts", _get(b"/", b"Host: a"), 400),
    _closes("two Hosts that differ", _get(b"/", b"host: b"), 400),
    _closes("a Host with a space", b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    _closes("a Host with a path", b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    _closes("a Host with a user", b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400),
    _closes("a Host with a bad port", b"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", 400),
    _opens("an empty Host", b"GET / HTTP/1.1\r\nHost:\r\n\r\n", 200),
    _opens("a Host with an IPv6 address", b"GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", 200),
    _closes("Connection: close", _get(b"/", b"Connection: close"), 200),
    _closes("Connection: close among others", _get(b"/", b"Connection: Keep-Alive, Close"), 200),
    _opens("an Upgrade is passed over", _get(b"/", b"Connection: Upgrade", b"Upgrade: h2c"), 200),
)  # fmt: skip

BODIES = (
    _opens("a score", _post(b"Content-Length: 4", body=b"1500"), 200),
    _opens("a score with zeros before its length", _post(b"Content-Length: 0004", body=b"1500"), 200),
    _opens("an empty body", _post(b"Content-Length: 0"), 400),
    _opens("no body", _post(), 400),
    _opens("a body of the greatest length", _post(b"Content-Length: 1024", body=b"1".rjust(1024)), 200),
    _closes("a body too long", _post(b"Content-Length: 1025", body=b"1".rjust(1025)), 413),
    _closes("a body too long for any number", _post(b"Content-Length: 999999999999999999", body=b"1"), 413),
    _closes("a length that no integer holds", _post(b"Content-Length: 99999999999999999999999", body=b"1"), 400),
    _opens("a body that nobody reads", _get(b"/", b"Content-Length: 9") + b"GET /x HT", 200),
    _closes("a body that nobody reads and is too long", _get(b"/", b"Content-Length: 1025") + b"x" * 1025, 200),
    _opens("a body on an unknown path", b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n1500", 404),
    _opens("a body with another method", b"DELETE /2/score HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n1500", 405),
    _closes("a length with a sign", _post(b"Content-Length: +4", body=b"1500"), 400),
    _closes("a negative length", _post(b"Content-Length: -4", body=b"1500"), 400),
    _closes("a length in hexadecimal", _post(b"Content-Length: 0x4", body=b"1500"), 400),
    _closes("an empty length", _post(b"Content-Length:", body=b"1500"), 400),
    _closes("a length that is a list", _post(b"Content-Length: 4, 4", body=b"1500"), 400),
    _closes("one length twice", _post(b"Content-Length: 4", b"Content-Length: 4", body=b"1500"), 400),
    _closes("two lengths", _post(b"Content-Length: 4", b"Content-Length: 5", body=b"1500"), 400),
    _closes("a space before the length's colon", _post(b"Content-Length : 4", body=b"1500"), 400),
    _closes("a length, then chunks", _post(b"Content-Length: 6", CHUNKED, body=b"0\r\n\r\n" + SMUGGLED), 400),
    _closes("chunks, then a length", _post(CHUNKED, b"Content-Length: 6", body=b"0\r\n\r\n" + SMUGGLED), 400),
    _opens("an Upgrade with a body", _post(b"Connection: Upgrade", b"Upgrade: h2c", FOUR_BYTES, body=b"1500"), 200),
)  # fmt: skip

CHUNKS = (
    _opens("a chunked score", _post(CHUNKED, body=b"4\r\n1500\r\n0\r\n\r\n"), 200),
    _opens("a score in two chunks", _post(CHUNKED, body=b"2\r\n15\r\n2\r\n00\r\n0\r\n\r\n"), 200),
    _opens("no chunk but the last", _post(CHUNKED, body=b"0\r\n\r\n"), 400),
    _opens("the coding in capitals", _post(b"Transfer-Encoding: Chunked", body=b"4\r\n1500\r\n0\r\n\r\n"), 200),
    _opens("a chunk extension", _post(CHUNKED, body=b'4;a="b"\r\n1500\r\n0;c\r\n\r\n'), 200),
    _opens("line ends in a chunk", _post(CHUNKED, body=b"8\r\n\r\n1500\r\n\r\n0\r\n\r\n"), 200),
    _opens("a trailer is passed over", _post(CHUNKED, body=b"4\r\n1500\r\n0\r\nAuthorization: Bearer x\r\n\r\n"), 200),
    _closes("a trailer with a length", _post(CHUNKED, body=b"4\r\n1500\r\n0\r\nContent-Length: 9\r\n\r\n"), 400),
    _closes("trailers without end", _post(CHUNKED, body=b"4\r\n1500\r\n0\r\n" + b"X: y\r\n" * 4000), 413),
    _closes("an extension without end", _post(CHUNKED, body=b"4;" + b"x" * 20000), 413),
    _closes("chunks too long together", _post(CHUNKED, body=b"8\r\n1       \r\n" * 129), 413),
    _closes("one chunk too long", _post(CHUNKED, body=b"4001\r\n" + b" " * 16385), 413),
    _closes("a chunk longer than its size", _post(CHUNKED, body=b"2\r\n1500\r\n0\r\n\r\n"), 400),
    _closes("a size that is no number", _post(CHUNKED, body=b"x\r\n1500\r\n0\r\n\r\n"), 400),
    _closes("a size with 0x", _post(CHUNKED, body=b"0x4\r\n1500\r\n0\r\n\r\n"), 400),
    _closes("a size with a sign", _post(CHUNKED, body=b"+4\r\n1500\r\n0\r\n\r\n"), 400),
    _closes("a size with a space", _post(CHUNKED, body=b"4 \r\n1500\r\n0\r\n\r\n"), 400),
    _closes("a size too large for an integer", _post(CHUNKED, body=b"10000000000000004\r\n1500\r\n0\r\n\r\n"), 400),
    _closes("no size", _post(CHUNKED, body=b"\r\n1500\r\n0\r\n\r\n"), 400),
    _closes("a bare LF after a size", _post(CHUNKED, body=b"4\n1500\r\n0\r\n\r\n"), 400),
    _closes("a bare LF after a chunk", _post(CHUNKED, body=b"4\r\n1500\n0\r\n\r\n"), 400),
    _closes("a bare CR in an extension", _post(CHUNKED, body=b"4;a\rb\r\n1500\r\n0\r\n\r\n"), 400),
    _opens("chunks that nobody reads", _get(b"/", CHUNKED) + b"4\r\n1500\r\n0\r\n\r\n", 200),
    _closes("broken chunks that nobody reads", _get(b"/", CHUNKED) + b"x\r\n1500\r\n0\r\n\r\n", 200),
    _closes("another coding", _post(b"Transfer-Encoding: gzip", body=b"1500"), 400),
    _closes("no coding", _post(b"Transfer-Encoding: identity", body=b"1500"), 400),
    _closes("another coding, then chunks", _post(b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"), 501),
    _closes("chunks twice", _post(b"Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n"), 400),
    _closes("chunks, then another coding", _post(b"Transfer-Encoding: chunked, gzip", body=b"0\r\n\r\n"), 400),
    _closes("the coding twice", _post(CHUNKED, CHUNKED, body=b"0\r\n\r\n"), 400),
    _closes("a coding like chunked", _post(b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n"), 400),
    _closes("a coding with a vertical tab", _post(b"Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n"), 400),
    _closes("chunks in HTTP/1.0", b"POST /2/score HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
)  # fmt: skip

EXPECT = b"Expect: 100-continue"

EXPECTATIONS = (
    _opens("100-continue with a body", _post(EXPECT, b"Content-Length: 4", body=b"1500"), 100, 200),
    _opens("100-continue with chunks", _post(EXPECT, CHUNKED, body=b"4\r\n1500\r\n0\r\n\r\n"), 100, 200),
    _opens("100-continue in capitals", _post(b"Expect: 100-Continue", b"Content-Length: 4", body=b"1500"), 100, 200),
    _opens("100-continue without a body", _get(b"/", EXPECT), 200),
    _opens("100-continue on a post without a body", _post(EXPECT), 400),
    _closes("100-continue with a body too long", _post(EXPECT, b"Content-Length: 1025"), 413),
    _closes("100-continue with a body that nobody reads", _get(b"/", EXPECT, b"Content-Length: 4"), 200),
    _closes("100-continue on another method", _get(b"/", EXPECT, FOUR_BYTES).replace(b"GET", b"PUT"), 405),
    _closes("another expectation", _post(b"Expect: 200-ok", b"Content-Length: 4", body=b"1500"), 417),
    _closes("an expectation in HTTP/1.0", b"GET / HTTP/1.0\r\nExpect: 200-ok\r\n\r\n", 200),
)  # fmt: skip

HEAD_BYTES_MAX = 16384
LONGEST_FIELD = b"X: ".ljust(HEAD_BYTES_MAX - len(_get(b"/")) - 2, b"y")
LONGEST_PATH = b"/".ljust(HEAD_BYTES_MAX - len(_get(b"")), b"y")

SIZES = (
    _opens("a header of the greatest length", _get(b"/", LONGEST_FIELD), 200),
    _closes("a header too long", _get(b"/", LONGEST_FIELD + b"y"), 431),
    _closes("a header without end", _get(b"/")[:-2] + b"X: " + b"y" * 20000, 431),
    _opens("a path of the greatest length", _get(LONGEST_PATH), 404),
    _closes("a path too long", _get(LONGEST_PATH + b"y"), 431),
    _closes("a path without end", b"GET /" + b"y" * 20000, 414),
    _closes("a method without end", b"G" * 20000, 414),
)

PIPELINES = (
    _opens("ten requests at once", _get(b"/") * 10, *[200] * 10),
    _opens("a post between reads", _get(b"/") + _post(b"Content-Length: 1", body=b"7") + _get(b"/x"), 200, 200, 404),
    _closes("a bad one in the middle", _get(b"/") + b"bad\r\n\r\n" + SMUGGLED, 200, 400),
    _closes("one after the last", _get(b"/", b"Connection: close") + SMUGGLED, 200),
    _opens("HEAD", b"HEAD /2/highscorelist HTTP/1.1\r\nHost: a\r\n\r\n", 200),
    _closes("a refused HEAD", b"HEAD / HTTP/1.1\r\n\r\n", 400),
)

VECTORS = (*LINES, *VERSIONS, *FIELDS, *BODIES, *CHUNKS, *EXPECTATIONS, *SIZES, *PIPELINES)
