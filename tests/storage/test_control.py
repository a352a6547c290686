"""Commands of operators on a database, beside a service and without one."""

from __future__ import annotations

import socket
import stat
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from scoresvc.actions import AddToken, BanUser, EndBan, RemoveSubmission, SetLevel
from scoresvc.config import Config, DatabaseOptions
from scoresvc.errors import NoSuchSubmission, StartError
from scoresvc.storage import COUNTERS, Store, open_admin, open_store
from scoresvc.storage.keys import hash_key
from scoresvc.storage.sqlite.control_socket import control_path
from scoresvc.storage.sqlite.library import supports_multiple_writers
from tests.conftest import Clock, high_scores

BAN = BanUser(7, "cheats")


def test_a_command_acts_through_the_service_that_runs(store: Store, settings: Config, database_path: Path) -> None:
    store.scores.post(1, 7, 100).result()

    with open_admin(settings) as admin:
        record = admin.perform("shell", BAN)
        assert admin.perform("shell", BAN) is None
        with pytest.raises(NoSuchSubmission):
            admin.perform("shell", RemoveSubmission(99))

    assert record is not None
    assert (record.kind, record.actor, record.after["ban"]["reason"]) == ("ban", "shell", "cheats")
    assert high_scores(store, 1) == ""


def test_a_command_opens_the_database_itself_where_no_service_runs(settings: Config, clock: Clock) -> None:
    with open_admin(settings) as admin:
        admin.perform("shell", SetLevel(1, {"order": "asc", "periods": ("day",)}))
        admin.perform("shell", AddToken("ann", hash_key("secret"), ("read",)))

        assert (admin.settings_of(1).order, admin.settings_of(1).periods) == ("asc", ("day",))
        assert [token.name for token in admin.tokens()] == ["ann"]

    with closing(open_store(settings, clock, COUNTERS)) as store:
        assert store.levels.settings_of(1).order == "asc"


@pytest.mark.sqlite
@pytest.mark.skipif(supports_multiple_writers(), reason="this SQLite supports several writers")
def test_no_service_starts_while_a_command_writes_by_itself(settings: Config) -> None:
    with open_admin(settings), pytest.raises(StartError):
        open_store(settings)


@pytest.mark.sqlite
def test_only_the_user_of_the_service_reaches_it_and_nothing_is_left(store: Store, database_path: Path) -> None:
    control = control_path(database_path)
    mode = control.stat().st_mode

    assert (stat.S_ISSOCK(mode), stat.S_IMODE(mode)) == (True, 0o600)
    store.close()
    assert not control.exists()


def test_what_a_killed_service_left_is_replaced(database_path: Path, settings: Config) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(control_path(database_path)))

    with open_admin(settings) as admin:
        admin.perform("shell", BAN)
    with closing(open_store(settings)), open_admin(settings) as admin:
        admin.perform("shell", EndBan(7))


def test_the_path_of_the_database_may_be_longer_than_an_address(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    settings = Config(database=DatabaseOptions(path=folder / "scores.sqlite3"))

    with closing(open_store(settings)) as store, open_admin(settings) as admin:
        admin.perform("shell", BAN)
        assert store.admin.user(7).ban is not None


def test_a_message_that_is_none_of_a_command_ends_its_connection_alone(
    store: Store, database_path: Path, settings: Config
) -> None:
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect(str(control_path(database_path)))
        stranger.sendall(b"\0\0\0\3\xc1\xc1\xc1")
        assert stranger.recv(1) == b""

    with open_admin(settings) as admin:
        assert admin.perform("shell", BAN) is not None


def test_a_command_is_refused_where_its_folder_is_missing(settings: Config, tmp_path: Path) -> None:
    missing = replace(settings, database=DatabaseOptions(path=tmp_path / "missing" / "scores.sqlite3"))

    with pytest.raises(StartError), open_admin(missing):
        pass
