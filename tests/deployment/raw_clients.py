"""Clients of every kind that a proxy has to let through, and what they may expect."""

from __future__ import annotations

from tests.deployment.proxies import Answer, Proxy


def assert_one_line(answer: Answer, status: int) -> None:
    """A refusal as text that a game in a browser can read, none of the proxy's pages."""
    assert answer.status == status
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.body.isprintable()
    assert answer.body


def assert_raw_clients_are_served(proxy: Proxy, key: str) -> None:
    assert_posts_and_reads(proxy, key)
    assert_logins(proxy)
    assert_refusals(proxy, key)


def assert_posts_and_reads(proxy: Proxy, key: str) -> None:
    authorization = {"Authorization": f"Bearer {key}"}
    host = f"Host: 127.0.0.1:{proxy.port}"
    head = f"POST /4/score HTTP/1.1\r\n{host}\r\nConnection: close\r\nAuthorization: Bearer {key}\r\n"
    chunks = "Transfer-Encoding: chunked\r\n\r\n2\r\n15\r\n2;a=b\r\n00\r\n0\r\nTrailer: x\r\n\r\n"
    old = f"POST /5/score HTTP/1.0\r\n{host}\r\nAuthorization: Bearer {key}\r\nContent-Length: 4\r\n\r\n1500"

    assert proxy.call("POST", "/2/score", "1500", authorization)[::2] == (200, "")
    assert proxy.call("POST", f"/3/score?sessionkey={key}", "1500")[::2] == (200, "")
    assert proxy.send((head + chunks).encode())[::2] == (200, "")
    assert proxy.send(old.encode())[::2] == (200, "")
    assert proxy.call("POST", f"/snake/6/score?sessionkey={key}", "1500")[::2] == (200, "")
    assert proxy.call("GET", "/4711/scores").body == "2=1500,3=1500,4=1500,5=1500,6=1500"
    assert proxy.call("GET", "/snake/6/highscorelist").body == "4711=1500"


def assert_logins(proxy: Proxy) -> None:
    raw = f"GET /4711/# HTTP/1.1\r\nHost: 127.0.0.1:{proxy.port}\r\nConnection: close\r\n\r\n"

    for path in ("/4711/login", "/4711", "/4711/", "/4711/%23", "/snake/4711/login", "/snake/4711/%23"):
        assert len(proxy.call("GET", path).body) == 32
    assert len(proxy.send(raw.encode()).body) == 32


def assert_refusals(proxy: Proxy, key: str) -> None:
    host = f"Host: 127.0.0.1:{proxy.port}\r\nConnection: close"
    chunked = (
        f"POST /2/score HTTP/1.1\r\n{host}\r\nTransfer-Encoding: chunked\r\n\r\n8000\r\n{'1' * 0x8000}\r\n0\r\n\r\n"
    )

    assert proxy.call("POST", "/2/score", "1500").headers["www-authenticate"] == "Bearer"
    assert proxy.call("POST", f"/2/score?sessionkey={key}", "1" * 2000).status == 413
    assert_one_line(proxy.call("POST", f"/2/score?sessionkey={key}", "1" * 20_000), 413)
    assert_one_line(proxy.send(chunked.encode()), 413)
    for path in ("/metrics", "/metrics/", "/snake/metrics"):
        answer = proxy.call("GET", path)
        assert_one_line(answer, 404)
        assert answer.body == "there is no such path"
