"""What a monitor asks."""

from __future__ import annotations

import logging
import os
from contextlib import closing
from pathlib import Path

import pytest
from webtest import TestApp

from scoresvc.storage import Store
from scoresvc.storage.sqlite.library import sqlite3
from tests.running import Server

JSON = {"Accept": "application/json"}


def test_a_service_that_works_is_healthy_and_ready(app: TestApp) -> None:
    assert (app.get("/health").text, app.get("/ready").text) == ("ok", "ready")


@pytest.mark.parametrize(("path", "status"), [("/health", "ok"), ("/ready", "ready")])
def test_in_json_it_says_what_runs(app: TestApp, path: str, status: str) -> None:
    found = app.get(path, headers=JSON).json

    assert list(found) == ["status", "version", "schema", "engine", "uptime", "oldest_write_ms", "last_backup_at"]
    assert (found["status"], found["schema"], found["oldest_write_ms"], found["last_backup_at"]) == (status, 3, 0, None)
    assert found["engine"].startswith("SQLite 3.")
    assert isinstance(found["uptime"], int)


def test_neither_is_cached_nor_in_the_access_log(app: TestApp, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        responses = [app.get("/health"), app.get("/ready")]
        app.get("/2/highscorelist")

    assert [response.headers["Cache-Control"] for response in responses] == ["no-store"] * 2
    assert not [response for response in responses if "ETag" in response.headers]
    assert [record.getMessage().split(" ")[3] for record in caplog.records] == ["/2/highscorelist"]


def test_while_another_program_holds_the_database_the_service_is_healthy_but_not_ready(
    app: TestApp, key: str, database_path: Path
) -> None:
    with closing(sqlite3.connect(database_path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        app.post(f"/2/score?sessionkey={key}", "1500", status=503)

        refusal = app.get("/ready", status=503)

        assert refusal.text == "not ready: database is locked"
        assert refusal.headers["Retry-After"] == "5"
        assert app.get("/ready", headers=JSON, status=503).json["error"]["code"] == "not_ready"
        assert app.get("/health").text == "ok"
        other.execute("ROLLBACK")

    app.post(f"/2/score?sessionkey={key}", "1500")
    assert app.get("/ready").text == "ready"


def test_a_fault_that_is_long_past_does_not_keep_the_service_out(
    app: TestApp, key: str, database_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(sqlite3.connect(database_path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        app.post(f"/2/score?sessionkey={key}", "1500", status=503)
        other.execute("ROLLBACK")

    monkeypatch.setattr("scoresvc.storage.sqlite.transactions.FAULT_AGE_MAX", 0.0)

    assert app.get("/ready").text == "ready"


def test_a_database_that_cannot_be_read_is_not_ready(store: Store, app: TestApp, database_path: Path) -> None:
    store.sessions._readers.close()  # each has read some pages already
    for path in (database_path, database_path.with_name("scores.sqlite3-wal")):
        os.truncate(path, 100)

    assert app.get("/ready", status=503).text == "not ready: the database cannot be read"


@pytest.mark.parametrize("processes", [1, 2])
def test_a_running_service_is_ready_until_the_disk_is_locked(tmp_path: Path, processes: int) -> None:
    with Server(tmp_path, processes=processes) as server:
        _, key = server.call("GET", "/7/login")
        assert server.call("GET", "/ready") == (200, "ready")

        with closing(sqlite3.connect(server.database, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert server.call("POST", f"/2/score?sessionkey={key}", "1500")[0] == 503
            # Each process knows of its own writes only.
            answers = {server.call("GET", "/ready")[0] for _ in range(20)}
            other.execute("ROLLBACK")

    assert 503 in answers
