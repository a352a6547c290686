"""The files of a database under people's hands: nothing acknowledged is lost that can be kept, nothing is invented."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from scoresvc.storage.sqlite.library import sqlite3, supports_multiple_writers
from tests.running import DidNotStart, Posts, Server, assert_nothing_lost

OTHER_LEVEL = 1_000_000  # of the other database, which has a score of 5 there

Hand = Callable[[Path], None]


def fill(folder: Path, level: int = OTHER_LEVEL, *, kill: bool = False) -> Path:
    """Returns a database with a score on one level; `kill`: with all that it holds in its log."""
    folder.mkdir(exist_ok=True)
    with Server(folder) as server:
        _, key = server.call("GET", "/7/login")
        assert server.call("POST", f"/{level}/score?sessionkey={key}", "5") == (200, "")
        if not kill:
            assert server.terminate() == 0
    return server.database


def beside(database: Path, suffix: str) -> Path:
    return database.with_name(database.name + suffix)


def levels_of(database: Path) -> set[int]:
    with closing(sqlite3.connect(database)) as connection:
        return {level for (level,) in connection.execute("SELECT level_id FROM scores")}


def other_database(database: Path) -> Path:
    return fill(database.parent / "other")


def other_log(database: Path) -> Path:
    return beside(fill(database.parent / "other", kill=True), "-wal")


# While the service runs


def move(database: Path) -> None:
    database.rename(database.with_name("moved.sqlite3"))


def delete(database: Path) -> None:
    database.unlink()


def rename_over(database: Path) -> None:
    other_database(database).rename(database)


def copy_over(database: Path) -> None:
    shutil.copyfile(other_database(database), database)


def rename_log_over(database: Path) -> None:
    other_log(database).rename(beside(database, "-wal"))


def delete_log(database: Path) -> None:
    beside(database, "-wal").unlink()


def end_under(tmp_path: Path, hand: Hand, processes: int) -> tuple[Server, Posts]:
    """Returns the service that has ended after `hand` was laid on its database, and what it acknowledged."""
    with Server(tmp_path, processes=processes) as server:
        posts = Posts(server)
        posts.wait_for(200)
        hand(server.database)
        posts.join()
        assert server.process.wait(15) == 1
    assert set(posts.refused) <= {503}
    assert len(posts.acknowledged) >= 200
    return server, posts


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize(
    ("hand", "where"),
    [
        (move, "moved.sqlite3"),
        (delete, "scores.sqlite3"),
        (rename_over, "scores-replaced-*.sqlite3"),
        (rename_log_over, "scores.sqlite3"),
        (delete_log, "scores.sqlite3"),
    ],
)
def test_what_was_acknowledged_is_whole_in_one_file_which_the_log_names(
    tmp_path: Path, hand: Hand, where: str, processes: int
) -> None:
    server, posts = end_under(tmp_path, hand, processes)

    (found,) = tmp_path.glob(where)
    assert not beside(found, "-wal").exists()
    assert_nothing_lost(found, posts)
    assert str(found) in server.log
    with Server(tmp_path, "--database", str(found)) as again:
        level, score = posts.acknowledged[-1]
        assert again.call("GET", f"/{level}/highscorelist") == (200, f"7={score}")


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("hand", [rename_over, copy_over])
def test_a_database_that_was_put_in_place_is_the_one_that_is_served_next(
    tmp_path: Path, hand: Hand, processes: int
) -> None:
    server, _ = end_under(tmp_path, hand, processes)

    assert "replaced" in server.log or "written over" in server.log
    with Server(tmp_path, processes=processes) as again:
        assert again.call("GET", f"/{OTHER_LEVEL}/highscorelist") == (200, "7=5")
        assert again.terminate() == 0
    assert levels_of(server.database) == {OTHER_LEVEL}


def test_a_log_that_was_written_over_is_not_believed(tmp_path: Path) -> None:
    def copy_log_over(database: Path) -> None:
        shutil.copyfile(other_log(database), beside(database, "-wal"))

    server, _ = end_under(tmp_path, copy_log_over, 1)

    assert "written over" in server.log
    with pytest.raises(DidNotStart, match="belongs to another database"):
        Server(tmp_path)


def test_a_move_that_nobody_posts_after_is_noticed_at_the_end_of_the_process(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        posts = Posts(server)
        posts.wait_for(100)
        posts.stop()
        move(server.database)
        server.terminate()

    assert_nothing_lost(tmp_path / "moved.sqlite3", posts)
    assert not beside(server.database, "-wal").exists()
    assert "was moved" in server.log


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("suffix", [".lock", ".changes"])
def test_the_service_goes_on_without_what_it_only_shares(tmp_path: Path, suffix: str, processes: int) -> None:
    with Server(tmp_path, processes=processes) as server:
        posts = Posts(server)
        posts.wait_for(50)
        beside(server.database, suffix).unlink()
        posts.wait_for(len(posts.acknowledged) + 100)
        posts.stop()
        lists = {
            server.call("GET", f"/{level}/highscorelist") == (200, f"7={score}") for level, score in posts.acknowledged
        }
        assert server.terminate() == 0
    assert lists == {True}
    assert posts.refused == []
    assert_nothing_lost(server.database, posts)


@pytest.mark.skipif(supports_multiple_writers(), reason="this SQLite supports two services on one database")
def test_a_lock_that_was_deleted_is_made_again_before_another_process_can_take_it(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        beside(server.database, ".lock").unlink()
        assert server.call("GET", "/7/login")[0] == 200

        with pytest.raises(DidNotStart, match="another process writes"):
            Server(tmp_path)


def test_a_second_name_of_an_open_database_is_refused(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        second = tmp_path / "second"
        second.mkdir()
        os.link(server.database, second / "scores.sqlite3")

        with pytest.raises(DidNotStart, match="second name"):
            Server(second)

        posts = Posts(server)
        posts.wait_for(50)
        posts.stop()
        assert server.terminate() == 0
    assert_nothing_lost(server.database, posts)


# Between two runs, after the first one was killed


@pytest.fixture
def killed(tmp_path: Path) -> tuple[Path, Posts]:
    """A database whose scores are in its log, and these."""
    with Server(tmp_path) as server:
        posts = Posts(server)
        posts.wait_for(50)
        server.kill()
        posts.join()
    assert beside(server.database, "-wal").stat().st_size > 0
    return server.database, posts


@pytest.mark.parametrize(
    ("hand", "words"),
    [
        (move, "was moved or deleted. Put that back"),
        (delete, "was moved or deleted. Put that back"),
        (rename_over, "was replaced while its log was still there"),
        (copy_over, "was replaced while its log was still there"),
        (rename_log_over, "belongs to another database"),
    ],
)
def test_a_log_beside_what_is_not_its_database_is_refused(killed: tuple[Path, Posts], hand: Hand, words: str) -> None:
    database, posts = killed
    kept = {path: path.read_bytes() for path in (database, beside(database, "-wal"))}

    hand(database)

    with pytest.raises(DidNotStart, match=words) as refused:
        Server(database.parent)
    assert refused.value.status == 1
    assert len(refused.value.log.splitlines()) == 1
    for path, content in kept.items():  # as it was before, all is there again
        path.write_bytes(content)
    with Server(database.parent) as server:
        assert server.terminate() == 0
    assert_nothing_lost(database, posts)


@pytest.mark.parametrize("suffix", [".lock", ".changes"])
def test_what_is_made_at_each_start_may_be_missing(killed: tuple[Path, Posts], suffix: str) -> None:
    database, posts = killed
    beside(database, suffix).unlink()

    with Server(database.parent) as server:
        assert server.terminate() == 0

    assert_nothing_lost(database, posts)


def test_a_log_that_a_database_which_was_closed_did_not_leave_is_refused(tmp_path: Path) -> None:
    database = fill(tmp_path, level=2)
    other_log(database).rename(beside(database, "-wal"))

    with pytest.raises(DidNotStart, match="belongs to another database"):
        Server(tmp_path)

    beside(database, "-wal").unlink()
    with Server(tmp_path) as server:
        assert server.call("GET", "/2/highscorelist") == (200, "7=5")


def test_a_second_name_of_a_database_that_was_killed_is_refused(killed: tuple[Path, Posts]) -> None:
    database, posts = killed
    second = database.parent / "second"
    second.mkdir()
    os.link(database, second / "scores.sqlite3")

    with pytest.raises(DidNotStart, match="second name"):
        Server(second)
    with Server(database.parent) as server:
        assert server.terminate() == 0
    assert_nothing_lost(database, posts)


def test_a_database_that_was_moved_without_its_log_says_so(killed: tuple[Path, Posts]) -> None:
    database, _ = killed
    elsewhere = database.parent / "elsewhere"
    elsewhere.mkdir()
    database.rename(elsewhere / "scores.sqlite3")

    with Server(elsewhere) as server:
        assert server.terminate() == 0
    assert "the latest scores may be missing" in server.log


def test_a_log_that_another_program_uses_just_now_is_none_of_another_database(tmp_path: Path) -> None:
    database = fill(tmp_path)
    with closing(sqlite3.connect(database, isolation_level=None)) as shell:
        shell.execute("CREATE TABLE notes (note TEXT)")
        with Server(tmp_path) as server:
            posts = Posts(server)
            posts.wait_for(20)
            posts.stop()
            assert server.terminate() == 0
        assert shell.execute("SELECT count(*) FROM scores").fetchone()[0] > 20
    with Server(tmp_path) as server:
        assert server.terminate() == 0
    assert_nothing_lost(database, posts)
