"""The service on servers of others, also on those that fork after they have loaded it."""

from __future__ import annotations

import socket
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.running import Server

# Each with the package that it comes from; `{address}` is where it listens.
SERVERS = {
    "waitress": ("waitress", "-m waitress --listen={address} scoresvc:app"),
    "gunicorn": ("gunicorn", "-m gunicorn --bind {address} scoresvc:app"),
    "gunicorn that forks after loading": ("gunicorn", "-m gunicorn --preload --bind {address} scoresvc:app"),
    "gunicorn with threads": ("gunicorn", "-m gunicorn --preload --threads 4 --bind {address} scoresvc:app"),
    "uWSGI": ("pyuwsgi", "-m pyuwsgi --master --enable-threads --http-socket {address} --wsgi-file application.py"),
}
PYUWSGI = "import pyuwsgi, sys; pyuwsgi.run(sys.argv[1:])"


def start(name: str, tmp_path: Path) -> Server:
    package, arguments = SERVERS[name]
    pytest.importorskip(package, reason=f"{package} is not installed")
    (tmp_path / "application.py").write_text("from scoresvc import app as application\n")
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    command = [sys.executable, *arguments.format(address=f"127.0.0.1:{port}").split(" ")]
    if package == "pyuwsgi":
        command[1:3] = ["-c", PYUWSGI]

    return Server(tmp_path, command=command, port=port)


@pytest.mark.parametrize("name", SERVERS)
def test_a_game_runs_on_every_server(name: str, tmp_path: Path) -> None:
    with start(name, tmp_path) as server:
        _, key = server.call("GET", "/4711/login")
        posted = [server.call("POST", f"/2/score?sessionkey={key}", str(score)) for score in range(20)]

        assert posted == [(200, "")] * 20
        assert server.call("GET", "/2/highscorelist") == (200, "4711=19")


@pytest.mark.parametrize("name", SERVERS)
def test_viewers_of_a_board_get_its_page_and_its_events(name: str, tmp_path: Path) -> None:
    with start(name, tmp_path) as server:

        def ask(path: str, **headers: str) -> str:
            with closing(server.connect()) as connection:
                connection.request("GET", path, headers={each.replace("_", "-"): headers[each] for each in headers})
                return connection.getresponse().read().decode()

        assert "No scores yet." in ask("/2/highscorelist", Accept="text/html, */*;q=0.8")
        last_id = ask("/2/events").split("\n")[1].removeprefix("id: ")
        assert "data: " not in ask("/2/events", Last_Event_ID=last_id)
        key = ask("/4711/login")
        assert server.call("POST", f"/2/score?sessionkey={key}", "1500") == (200, "")
        assert '"score": 1500' in ask("/2/events", Last_Event_ID=last_id)


@pytest.mark.parametrize("name", SERVERS)
def test_a_chunked_body_is_taken_whole_or_refused(name: str, tmp_path: Path) -> None:
    with start(name, tmp_path) as server:
        _, key = server.call("GET", "/4711/login")

        whole = post_chunks(server, key, b"2\r\n15\r\n2\r\n00\r\n0\r\n\r\n")
        for end in (b"2\r\n15\r\n2\r\n", b"2\r\n15\r\n", b"4\r\n15", b"2\r\n16\r\nx\r\n"):
            assert b" 200 " not in post_chunks(server, key, end)

        is_taken = name != "uWSGI"  # which does not say where such a body ends
        assert (b" 200 " in whole) is is_taken
        assert server.call("GET", "/2/highscorelist")[1] == ("4711=1500" if is_taken else "")


def post_chunks(server: Server, key: str, chunks: bytes) -> bytes:
    """Returns the head of the answer, nothing where the server hangs up."""
    head = f"POST /2/score?sessionkey={key} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    with closing(socket.create_connection(("127.0.0.1", server.port), 10)) as client:
        client.sendall(head + chunks)
        client.shutdown(socket.SHUT_WR)
        try:
            return client.recv(1000)
        except ConnectionResetError:
            return b""


TARGETS = {
    "/2/highscorelist": 200,
    "//2/highscorelist": 200,
    "/2//highscorelist": 404,
    "/2/highscorelist//": 404,
    "/2/highscorelist/": 200,
    "http://x/2/highscorelist": 200,
    "http://x//2/highscorelist": 200,
    "http://x": 200,
    "//x/2/highscorelist": 404,
    "///": 200,
}


@pytest.mark.parametrize("name", [*SERVERS, "scoresvc"])
def test_a_slash_too_many_or_an_absolute_target_is_the_same_on_every_server(name: str, tmp_path: Path) -> None:
    with Server(tmp_path) if name == "scoresvc" else start(name, tmp_path) as server:
        assert {target: ask(server, target) for target in TARGETS} == TARGETS


def ask(server: Server, target: str) -> int:
    with closing(socket.create_connection(("127.0.0.1", server.port), 10)) as client:
        client.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        return int(client.recv(4096).split(b" ")[1])
