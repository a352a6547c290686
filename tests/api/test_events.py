"""Events of a board: HTML Standard, 9.2, as a client reads it."""

from __future__ import annotations

import json
import time
from typing import Any, NamedTuple

from webtest import TestApp

from scoresvc.actions import RenameUser, SetLevel
from scoresvc.storage import Store
from scoresvc.storage.recent import AGE_MAX, READS
from tests.conftest import Clock

JSON = {"Accept": "application/json"}


class Stream(NamedTuple):
    id: str
    board: Any  # None where there is no event


def read(app: TestApp, path: str = "/2/events", last_id: str | None = None) -> Stream:
    response = app.get(path, headers={} if last_id is None else {"Last-Event-ID": last_id})
    assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-store"
    retry, version, *data, end = [*response.text.split("\n\n")[0].split("\n"), response.text[-2:]]
    assert (retry, end) == ("retry: 2000", "\n\n")
    return Stream(version.removeprefix("id: "), json.loads(data[0].removeprefix("data: ")) if data else None)


def test_a_client_that_knows_nothing_gets_the_board(app: TestApp, store: Store) -> None:
    store.scores.post(2, 4711, 1500).result()
    listed = app.get("/2/highscorelist", headers=JSON)

    stream = read(app)

    assert (stream.id, stream.board) == (listed.headers["ETag"], listed.json)


def test_a_client_that_knows_the_board_gets_no_event(app: TestApp, store: Store) -> None:
    store.scores.post(2, 4711, 1500).result()
    first = read(app)

    assert read(app, last_id=first.id) == (first.id, None)


def test_a_change_is_an_event(app: TestApp, store: Store) -> None:
    first = read(app)
    store.scores.post(2, 4711, 1500).result()
    second = read(app, last_id=first.id)
    store.admin.perform("test", RenameUser(4711, "Ada")).result()
    third = read(app, last_id=second.id)

    assert [each["user"] for each in second.board["entries"]] == [4711]
    assert [each["name"] for each in third.board["entries"]] == ["Ada"]


def test_a_period_has_events_of_its_own(app: TestApp, store: Store, clock: Clock) -> None:
    store.admin.perform("test", SetLevel(2, {"periods": ("day",)})).result()
    store.scores.post(2, 4711, 1500).result()

    today = read(app, "/2/events?period=day")
    clock.now += 86_400
    tomorrow = read(app, "/2/events?period=day", today.id)

    assert (today.board["period"], len(today.board["entries"])) == ("2023-11-14", 1)
    assert (tomorrow.board["period"], len(tomorrow.board["entries"])) == ("2023-11-15", 0)


def test_the_neighbours_of_a_user_further_down_are_part_of_what_may_change(app: TestApp, store: Store) -> None:
    for user_id in range(1, 31):
        store.scores.post(2, user_id, 1000 - user_id).result()
    of_all, of_user = read(app), read(app, "/2/events?user=25")

    store.scores.post(2, 29, 980).result()

    assert read(app, last_id=of_all.id).board is None
    assert read(app, "/2/events?user=25", of_user.id).board is not None


def test_the_version_on_a_page_is_that_of_the_events_for_the_same_parameters(app: TestApp, store: Store) -> None:
    for user_id in range(1, 31):
        store.scores.post(2, user_id, user_id).result()

    for query in ("", "?limit=3", "?user=1", "?users=1,2", "?limit=2&user=5"):
        version = read(app, f"/2/events{query}").id.replace('"', "&#34;")
        assert f'data-version="{version}"' in app.get(f"/2/board{query}").text


def first_score(app: TestApp) -> int:
    return read(app).board["entries"][0]["score"]


def test_a_board_that_many_ask_for_is_shared_for_half_a_second_at_most(app: TestApp, store: Store) -> None:
    is_shared = False
    for score in range(1, 100):
        store.scores.post(2, 4711, score).result()
        for _ in range(READS.count):
            first_score(app)
        store.scores.post(2, 4711, score * 1000).result()
        is_shared = is_shared or first_score(app) < score * 1000

    deadline = time.monotonic() + AGE_MAX + 5.0
    while first_score(app) < 99_000:
        assert time.monotonic() < deadline
    assert is_shared
