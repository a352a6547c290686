"""The example for Litestream, under Litestream."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from scoresvc.examples import read_example
from scoresvc.storage.sqlite.library import sqlite3, supports_multiple_writers
from tests.deployment.proxies import replaced
from tests.running import Posts, Server, assert_nothing_lost
from tests.serve.commands import run

pytestmark = [
    pytest.mark.skipif(shutil.which("litestream") is None, reason="litestream is not installed"),
    pytest.mark.skipif(not supports_multiple_writers(), reason="this SQLite does not support two writers"),
]

BEHIND_MAX = 30.0  # seconds; it is about one, but for what a busy machine adds


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "litestream.yml"
    text = replaced(read_example("litestream"), "/mnt/second/tetris", f"{tmp_path}/second")
    path.write_text(replaced(text, "  - path: /var/lib/scoresvc/tetris/scores", f"  - path: {tmp_path}/scores"))
    return path


@contextmanager
def streaming(config: Path) -> Iterator[None]:
    with (config.parent / "litestream.log").open("ab") as log:
        process = subprocess.Popen(["litestream", "replicate", "-config", config.name], cwd=config.parent, stderr=log)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def restore(config: Path, database: Path) -> int:
    """Returns how many scores came back."""
    restored = config.parent / "restored.sqlite3"
    restored.unlink(missing_ok=True)
    command = ["litestream", "restore", "-config", config.name, "-o", restored.name, str(database)]
    if subprocess.run(command, cwd=config.parent, capture_output=True).returncode:
        return 0
    with closing(sqlite3.connect(restored)) as connection:
        ((scores,),) = connection.execute("SELECT count(*) FROM scores").fetchall()
    return int(scores)


@pytest.mark.parametrize("comes_first", [True, False])
def test_what_was_streamed_is_the_service_on_another_machine(tmp_path: Path, config: Path, comes_first: bool) -> None:
    if comes_first:  # to a database that was there before
        with Server(tmp_path) as server:
            assert server.terminate() == 0
    with streaming(config), Server(tmp_path) as server:
        posts = Posts(server)
        posts.wait_for(500)
        posts.stop()
        until = time.monotonic() + BEHIND_MAX
        while restore(config, server.database) < len(posts.acknowledged):
            assert time.monotonic() < until
        server.kill()

    restored = run(tmp_path, "restore", "restored.sqlite3")

    assert (restored.returncode, restored.stderr) == (0, "")
    assert posts.refused == []
    with Server(tmp_path) as server:
        level, score = posts.acknowledged[-1]
        assert server.call("GET", f"/{level}/highscorelist") == (200, f"7={score}")
        assert server.terminate() == 0
    assert_nothing_lost(server.database, posts)


def test_the_service_starts_again_beside_it(tmp_path: Path, config: Path) -> None:
    with Server(tmp_path) as server:
        assert server.terminate() == 0
    with streaming(config):
        for _ in range(3):
            with Server(tmp_path) as server:
                posts = Posts(server)
                posts.wait_for(50)
                posts.stop()
                assert server.terminate() == 0
                assert posts.refused == []
    assert_nothing_lost(server.database, posts)
