"""What a monitor asks."""

from __future__ import annotations

import logging
import os
import re
from contextlib import closing
from pathlib import Path

import pytest
from webtest import TestApp

from scoresvc.api.dispatch import Api
from scoresvc.http.wsgi import Application
from scoresvc.storage import Store
from scoresvc.storage.sqlite.library import sqlite3
from tests.running import Server

JSON = {"Accept": "application/json"}


def test_a_service_that_works_is_healthy_and_ready(app: TestApp) -> None:
    assert (app.get("/health").text, app.get("/ready").text) == ("ok", "ready")


@pytest.mark.parametrize(("path", "status"), [("/health", "ok"), ("/ready", "ready")])
def test_in_json_it_says_what_runs(app: TestApp, engine: str, path: str, status: str) -> None:
    found = app.get(path, headers=JSON).json

    assert list(found) == ["status", "version", "schema", "engine", "uptime", "oldest_write_ms", "last_backup_at"]
    assert (found["status"], found["oldest_write_ms"], found["last_backup_at"]) == (status, 0, None)
    assert found["schema"] == {"sqlite": 6, "postgres": 3}[engine]
    assert re.match({"sqlite": r"SQLite 3\.", "postgres": r"PostgreSQL \d"}[engine], found["engine"])
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
    os.truncate(database_path.with_name("scores.sqlite3-wal"), 100)
    database_path.write_bytes(b"no database" * 1000)

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


def numbers(text: str) -> dict[str, float]:
    """The metrics by name and labels."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_the_metrics_count_what_happens(app: TestApp, key: str) -> None:
    app.get("/2/highscorelist")
    app.get("/2/highscorelist", headers={"If-None-Match": "*"}, status=304)
    app.get("/nothing", status=404)
    app.post(f"/2/score?sessionkey={key}", "1500")
    app.post(f"/2/score?sessionkey={key}", "x", status=400)

    response = app.get("/metrics")
    found = numbers(response.text)

    assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    expected = {
        'requests_total{call="GET /<levelid>/highscorelist",status="200"}': 1,
        'requests_total{call="GET /<levelid>/highscorelist",status="304"}': 1,
        'requests_total{call="other",status="404"}': 1,
        'requests_total{call="POST /<levelid>/score",status="400"}': 1,
        'request_seconds_count{call="GET /<levelid>/highscorelist"}': 2,
        'request_seconds_bucket{call="GET /<levelid>/highscorelist",le="+Inf"}': 2,
        'posts_total{result="accepted"}': 1,
        'posts_total{result="refused"}': 1,
        'posts_total{result="failed"}': 0,
        "commits_total": 2,
        "commit_writes_total": 2,
        "waiting_writes": 0,
        "sessions": 1,
        "players": 1,
    }
    assert {name: found.get(f"scoresvc_{name}") for name in expected} == expected
    assert found["scoresvc_database_bytes"] > 4096
    assert "4711" not in response.text.replace(key, "")


def test_the_metrics_are_for_nobody_unless_they_are_public(store: Store) -> None:
    refusal = TestApp(Application(Api(store))).get("/metrics", status=401)

    assert refusal.headers["WWW-Authenticate"] == "Bearer"
    assert "[metrics]" in refusal.text


def test_the_metrics_are_right_in_whichever_process_is_asked(tmp_path: Path) -> None:
    (tmp_path / "config.ini").write_text("[metrics]\npublic = yes\n")
    with Server(tmp_path, processes=3) as server:
        _, key = server.call("GET", "/7/login")
        for score in range(60):
            assert server.call("POST", f"/2/score?sessionkey={key}", str(score))[0] == 200

        scrapes = [numbers(server.call("GET", "/metrics")[1]) for _ in range(20)]

    assert {scrape['scoresvc_posts_total{result="accepted"}'] for scrape in scrapes} == {60}
    assert {scrape["scoresvc_commit_writes_total"] for scrape in scrapes} == {61}
    assert {scrape["scoresvc_waiting_writes"] for scrape in scrapes} == {0}


def test_what_was_counted_is_still_there_after_a_restart(tmp_path: Path) -> None:
    (tmp_path / "config.ini").write_text("[metrics]\npublic = yes\n")
    for _ in range(2):
        with Server(tmp_path) as server:
            server.call("GET", "/2/highscorelist")
            found = numbers(server.call("GET", "/metrics")[1])
            server.kill()

    assert found['scoresvc_requests_total{call="GET /<levelid>/highscorelist",status="200"}'] == 2
