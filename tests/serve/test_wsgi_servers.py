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


@pytest.mark.parametrize("name", SERVERS)
def test_a_game_runs_on_every_server(name: str, tmp_path: Path) -> None:
    package, arguments = SERVERS[name]
    pytest.importorskip(package, reason=f"{package} is not installed")
    (tmp_path / "application.py").write_text("from scoresvc import app as application\n")
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    command = [sys.executable, *arguments.format(address=f"127.0.0.1:{port}").split(" ")]
    if package == "pyuwsgi":
        command[1:3] = ["-c", PYUWSGI]

    with Server(tmp_path, command=command, port=port) as server:
        _, key = server.call("GET", "/4711/login")
        posted = [server.call("POST", f"/2/score?sessionkey={key}", str(score)) for score in range(20)]

        assert posted == [(200, "")] * 20
        assert server.call("GET", "/2/highscorelist") == (200, "4711=19")
