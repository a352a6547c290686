"""The Python client loses no score and posts none twice, whatever happens to it, to the network and to the service."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from scoresvc.client import LoginRefused, ScoreClient, ScoreError
from scoresvc.storage.sqlite.library import sqlite3
from tests.proxy import Proxy
from tests.running import START_WAIT, Server

LOST = 0.3  # of all that is sent
NOBODY = "http://127.0.0.1:9"  # the port for what is thrown away (RFC 863)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    folder = tmp_path / "service"
    folder.mkdir()
    (folder / "config.ini").write_text("[levels]\nkeep = sum\n[limits]\nnew_per_address = 0\n")
    with Server(folder) as server:
        yield server


@pytest.fixture
def client(server: Server, tmp_path: Path) -> ScoreClient:
    return make_client(f"http://127.0.0.1:{server.port}", tmp_path)


def make_client(url: str, folder: Path) -> ScoreClient:
    return ScoreClient(url, folder / "scores.json", timeout=2.0, backoff=0.02)


def sum_of(server: Server, level: int, user: int | None) -> int:
    status, text = server.call("GET", f"/{level}/highscorelist?users={user}")
    assert status == 200
    return int(text.partition("=")[2] or 0)


def test_a_whole_game(client: ScoreClient) -> None:
    posted = client.post(2, 1500)

    assert posted is not None
    assert (posted["best"], posted["rank"], client.unsent) == (1500, 1, 0)
    assert client.name("Ada")["name"] == "Ada"
    assert client.rank(2)["score"] == 1500
    assert [entry["name"] for entry in client.board(2, limit=5)["entries"]] == ["Ada"]
    assert client.around(2)["entries"][0]["user"] == client.user


def test_a_player_is_the_same_one_after_a_restart(client: ScoreClient, server: Server, tmp_path: Path) -> None:
    client.new_user("Ada")

    again = make_client(f"http://127.0.0.1:{server.port}", tmp_path)
    again.post(2, 7)

    assert again.user == client.user
    assert sum_of(server, 2, client.user) == 7


def test_a_watcher_gets_the_board_and_each_change(client: ScoreClient) -> None:
    client.post(2, 5)
    boards = client.watch(2)

    first = next(boards)
    client.post(2, 6)

    assert [first["entries"][0]["score"], next(boards)["entries"][0]["score"]] == [5, 11]


def test_scores_that_are_posted_offline_are_sent_later(server: Server, tmp_path: Path) -> None:
    offline = make_client(NOBODY, tmp_path)
    assert [offline.post(2, score) for score in (1, 2, 3)] == [None, None, None]
    assert offline.unsent == 3

    online = make_client(f"http://127.0.0.1:{server.port}", tmp_path)

    assert online.flush() == 0
    assert sum_of(server, 2, online.user) == 6


def test_a_session_that_has_ended_is_begun_again(client: ScoreClient, server: Server) -> None:
    client.post(2, 1)
    client._player._key = "ENDED"

    assert client.post(2, 2) is not None
    assert sum_of(server, 2, client.user) == 3


def test_what_is_refused_for_good_is_raised_and_not_sent_again(client: ScoreClient) -> None:
    with pytest.raises(ScoreError, match="whole number") as refused:
        client.post(2, -5)

    assert (refused.value.code, refused.value.status, client.unsent) == ("bad_number", 400, 0)


def test_where_the_login_is_refused_the_score_is_kept(client: ScoreClient, server: Server) -> None:
    client.new_user()
    client._player._key = None
    client._state.change(secret="WRONG")

    with pytest.raises(LoginRefused):
        client.post(2, 5)

    assert client.unsent == 1


class Portal(BaseHTTPRequestHandler):
    """Answers whatever it is asked as the page of a network that wants a login, or by the statuses of its server."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, headers = self.server.answers.pop(0)  # type: ignore[attr-defined]
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"<html>Welcome</html>")

    def log_message(self, *values: object) -> None:
        """Is silent."""


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (200, {"Content-Type": "text/html"}),
        (302, {"Location": "http://127.0.0.1:9/"}),
        (403, {}),
        (429, {"Retry-After": "0"}),
        (503, {"Retry-After": "Thu, 01 Jan 2026 00:00:00 GMT"}),
    ],
)
def test_what_is_no_answer_of_the_service_is_none(
    server: Server, tmp_path: Path, status: int, headers: dict[str, str]
) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Portal) as portal:
        portal.answers = [(status, headers)] * 9  # type: ignore[attr-defined]
        threading.Thread(target=portal.serve_forever, daemon=True).start()
        behind = make_client(f"http://127.0.0.1:{portal.server_port}", tmp_path)
        assert behind.post(2, 5) is None
        portal.shutdown()

    client = make_client(f"http://127.0.0.1:{server.port}", tmp_path)

    assert client.flush() == 0
    assert sum_of(server, 2, client.user) == 5


def test_a_retry_waits_as_long_as_it_is_told(tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Portal) as portal:
        portal.answers = [(503, {"Retry-After": "1"})] * 9  # type: ignore[attr-defined]
        threading.Thread(target=portal.serve_forever, daemon=True).start()
        client = make_client(f"http://127.0.0.1:{portal.server_port}", tmp_path)
        client.post(2, 5)
        asked = len(portal.answers)  # type: ignore[attr-defined]

        assert client.flush(0.5) == 1
        portal.shutdown()

    assert len(portal.answers) == asked  # type: ignore[attr-defined]


def play(url: str, folder: Path, count: int, moments: random.Random) -> set[str]:
    """Lets a player post, killed four times; returns the scores whose `post` had returned, and "done"."""
    command = [sys.executable, "-m", "tests.clients.playing", url, str(folder / "scores.json"), "2", str(count)]
    returned: set[str] = set()
    for wait in (*[moments.uniform(0.2, 0.6) for _ in range(4)], 2 * START_WAIT):
        player = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            printed, _ = player.communicate(timeout=wait)
        except subprocess.TimeoutExpired:
            player.kill()
            printed, _ = player.communicate()
        returned |= set(printed.split())
    return returned


@pytest.mark.parametrize("seed", range(3))
def test_however_often_player_and_answers_are_lost_no_score_is_lost_or_counted_twice(
    server: Server, tmp_path: Path, seed: int
) -> None:
    with Proxy(server.port) as proxy:
        proxy.lose(LOST, seed)
        returned = play(f"http://127.0.0.1:{proxy.port}", tmp_path, 80, random.Random(seed))
    assert server.terminate() == 0

    state = json.loads((tmp_path / "scores.json").read_text())
    with closing(sqlite3.connect(server.database)) as connection:
        stored = [meta for (meta,) in connection.execute("SELECT meta FROM submissions")]
        ((total,),) = connection.execute("SELECT score FROM scores WHERE user_id = ?", (state["user"],))
    assert state["unsent"] == []
    assert returned - {"done"} <= set(stored)
    assert len(set(stored)) == len(stored)
    assert total == sum(map(int, stored))
    assert "done" in returned
