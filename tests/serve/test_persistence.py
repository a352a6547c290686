"""What a running server leaves behind: in its log, beside its database, for the next one."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from tests.running import Server


class Game(NamedTuple):
    folder: Path  # of the database and the log
    keys: list[str]  # that were good in it


@pytest.fixture(scope="module")
def game(processes: int, tmp_path_factory: pytest.TempPathFactory) -> Game:
    """A game over both transports, after the end of the server."""
    folder = tmp_path_factory.mktemp("game")
    with Server(folder, "--tcp-port", "0", "--logfile", "service.log", processes=processes) as server:
        _, key = server.call("GET", "/7/")
        key_over_tcp = server.ask(method="GET", path="/8/login")["data"]
        server.call("POST", f"/2/score?sessionkey={key}", "1500")
        server.call("POST", f"/2/score&sessionkey={key}", "1")
        server.ask(method="POST", path=f"/2/score?sessionkey={key_over_tcp}", data=1)
        server.ask(method="POST", path="/2/score", data="x", headers={"Authorization": f"Bearer {key_over_tcp}"})
        assert server.terminate() == 0
    return Game(folder, [key, key_over_tcp])


def test_the_log_goes_to_the_file_that_is_named(game: Game) -> None:
    logs = "".join(path.read_text() for path in game.folder.glob("service*.log"))

    assert logs.count("POST /2/score 200") == 2


def test_no_session_key_is_in_the_log_or_beside_the_database(game: Game) -> None:
    contents = {path.name: path.read_bytes() for path in game.folder.iterdir()}

    assert {"log.txt", "service.log", "scores.sqlite3"} <= contents.keys()
    assert [name for name, content in contents.items() for key in game.keys if key.encode() in content] == []


def test_sessions_and_scores_outlive_a_restart(game: Game, processes: int) -> None:
    with Server(game.folder, processes=processes) as server:
        posted = [server.call("POST", f"/3/score?sessionkey={key}", "7") for key in game.keys]
        listed = server.call("GET", "/2/highscorelist")

    assert posted == [(200, "")] * 2
    assert listed == (200, "7=1500,8=1")
