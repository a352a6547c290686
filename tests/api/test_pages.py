"""The pages that people look at, as HTML; tests/pages/ has them in a browser."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from dataclasses import replace

import pytest
from webtest import TestApp, TestResponse

from scoresvc import config
from scoresvc.actions import BanUser, SetLevel
from scoresvc.api.dispatch import Api
from scoresvc.config import Config
from scoresvc.http.wsgi import Application
from scoresvc.levels import KINDS
from scoresvc.limits import UINT31_MAX
from scoresvc.pages.boards import describe_period, format_date
from scoresvc.periods import PERIOD_KINDS
from scoresvc.scores import PostDetails
from scoresvc.storage import Store
from tests.api.operators import add_token
from tests.conftest import Clock

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"}
HTML = "text/html; charset=utf-8"


def post(store: Store, user_id: int, score: int, name: str | None = None) -> None:
    store.scores.post(2, user_id, score, PostDetails(name)).result()


def set_level(store: Store, **settings: object) -> None:
    store.admin.perform("test", SetLevel(2, settings)).result()


def rows(response: TestResponse) -> list[tuple[str, ...]]:
    """The text of the cells of each row, without that of the times."""
    found = re.findall(r"<tr data-user.*?</tr>", response.text, re.DOTALL)
    return [
        tuple(
            html.unescape(re.sub("<.*?>", "", cell)).strip()
            for cell in re.findall(r"<t[dh].*?>(.*?)</t[dh]>", row, re.DOTALL)[:3]
        )
        for row in found
    ]


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (BROWSER["Accept"], HTML),
        ("text/html", HTML),
        ("text/html;q=0.9, */*;q=0.8", HTML),
        ("text/html, text/csv;q=0.9", HTML),
        ("*/*", "text/csv; charset=utf-8"),
        ("text/*", "text/csv; charset=utf-8"),
        ("text/html, text/csv", "text/csv; charset=utf-8"),
        ("text/html;q=0.5, */*", "text/csv; charset=utf-8"),
        ("text/html, application/json", "application/json"),
        ("text/html;q=0", "text/csv; charset=utf-8"),
    ],
)
def test_a_list_is_a_page_for_whom_wants_html_most(app: TestApp, accept: str, content_type: str) -> None:
    response = app.get("/2/highscorelist", headers={"Accept": accept})

    assert (response.headers["Content-Type"], response.headers["Vary"]) == (content_type, "Accept")


def test_a_board_is_a_page_for_everyone(app: TestApp) -> None:
    for headers in ({}, {"Accept": "*/*"}, {"Accept": "application/json"}):
        assert app.get("/2/board", headers=headers).headers["Content-Type"] == HTML


def test_a_list_that_is_asked_for_as_lines_is_no_page(app: TestApp, store: Store) -> None:
    post(store, 4711, 1500)

    assert app.get("/2/highscorelist?format=lines", headers=BROWSER).text == "1\t4711\t1500\t\n"


def test_a_page_has_rank_name_and_score_of_each_entry(app: TestApp, store: Store) -> None:
    for user_id, score, name in ((1, 900, "Ada"), (2, 1500, None), (3, 900, "שלום"), (4, UINT31_MAX, None)):
        post(store, user_id, score, name)

    response = app.get("/2/board")

    assert rows(response) == [
        ("1", "Player 4", str(UINT31_MAX)), ("2", "Player 2", "1500"), ("3", "Ada", "900"), ("3", "שלום", "900"),
    ]  # fmt: skip
    assert re.findall('class="(place-.)', response.text) == ["place-1", "place-2", "place-3", "place-3"]


def test_a_page_shows_scores_in_the_format_of_the_level_below_its_title(app: TestApp, store: Store) -> None:
    set_level(store, title="Nebula Run", format="time", order="asc", unit=" s")
    post(store, 1, 65_000)

    response = app.get("/2/board")

    assert rows(response) == [("1", "Player 1", "1:05.000 s")]
    assert "<h1><bdi>Nebula Run</bdi></h1>" in response.text


@pytest.mark.parametrize("name", ["<script>alert(1)", '"><img onerror=x>', "{{7*7}}", "&lt;b&gt;", "' onclick='x"])
def test_a_name_is_text_and_never_markup(app: TestApp, store: Store, name: str) -> None:
    post(store, 1, 1500, name)
    set_level(store, title=name)

    response = app.get("/2/board")

    assert rows(response) == [("1", name, "1500")]
    assert response.text.count("<script") == 1
    assert "<img" not in response.text
    assert "49" not in rows(response)[0][1]


def test_the_user_who_looks_is_marked(app: TestApp, store: Store) -> None:
    for user_id in range(1, 4):
        post(store, user_id, user_id)

    response = app.get("/2/board?user=2")

    assert re.findall('data-user="(.)".*?aria-current="true"', response.text) == ["2"]
    assert len(rows(response)) == 3


def test_a_user_further_down_is_shown_with_the_neighbours_that_the_page_has_not_yet(app: TestApp, store: Store) -> None:
    for user_id in range(1, 31):
        post(store, user_id, 1000 - user_id)

    for user_id, ranks in ((20, "1 2 3 18 19 20 21 22"), (4, "1 2 3 4 5 6")):
        found = rows(app.get(f"/2/board?user={user_id}&limit=3"))

        assert " ".join(rank for rank, *_ in found) == ranks


def test_a_user_without_a_score_is_told_so(app: TestApp, store: Store) -> None:
    post(store, 1, 1500)

    assert "Player 9 has no score here yet." in app.get("/2/board?user=9").text


def test_an_empty_board_invites(app: TestApp) -> None:
    assert "No scores yet." in app.get("/2/board").text


def test_a_page_has_a_tab_for_each_period_of_the_level(app: TestApp, store: Store) -> None:
    post(store, 1, 1500)
    assert "<nav" not in app.get("/2/board").text

    set_level(store, periods=PERIOD_KINDS)
    tabs = re.findall(r'<a href="(.*?)"( aria-current="page")?>(.*?)</a>', app.get("/2/board?period=week&user=1").text)

    assert [(html.unescape(query), bool(current), label) for query, current, label in tabs] == [
        ("?user=1", False, "All time"),
        ("?period=day&user=1", False, "Today"),
        ("?period=week&user=1", True, "This week"),
        ("?period=month&user=1", False, "This month"),
        ("?period=week-1&user=1", False, "The week before"),
    ]


def test_a_page_of_a_period_says_which_it_is_and_when_it_ends(app: TestApp, store: Store, clock: Clock) -> None:
    set_level(store, periods=("day",))

    running, closed = (re.sub("<.*?>", "", app.get(f"/2/board?period={each}").text) for each in ("day", "day-1"))

    assert "Tuesday, 14 November 2023, ends 15 Nov 2023" in running
    assert "Monday, 13 November 2023, closed" in closed
    assert "The day after" in closed


@pytest.mark.parametrize(
    ("period", "words"),
    [
        ("all", ""),
        ("2026-11-27", "Friday, 27 November 2026"),
        ("2026-W53", "Week 53 of 2026"),
        ("2026-11", "November 2026"),
    ],
)
def test_a_period_is_described_in_words(period: str, words: str) -> None:
    assert describe_period(period) == words


def test_a_date_after_the_last_year_with_four_digits_is_its_end() -> None:
    assert format_date(10**18) == "31 Dec 9999"


def test_a_page_is_turned_by_a_link(app: TestApp, store: Store) -> None:
    for user_id in range(1, 6):
        post(store, user_id, 1000 - user_id)

    response = app.get("/2/board?limit=3&theme=dark")
    (link,) = re.findall(r'<a href="(.*?)">Next places', response.text)

    assert [row[0] for row in rows(app.get("/2/board" + html.unescape(link)))] == ["4", "5"]
    assert 'data-theme="dark"' in app.get("/2/board" + html.unescape(link)).text


@pytest.mark.parametrize("theme", ["auto", "light", "dark", "clear"])
def test_a_page_has_the_theme_that_is_asked_for(app: TestApp, theme: str) -> None:
    assert f'<html lang="en" data-theme="{theme}">' in app.get(f"/2/board?theme={theme}").text


def test_a_page_shows_no_title_and_does_not_change_where_it_shall_not(app: TestApp, store: Store) -> None:
    assert '<header class="unseen">' in app.get("/2/board?title=no").text
    assert re.search("<main.* data-live>", app.get("/2/board").text)
    assert not re.search("<main.* data-live", app.get("/2/board?live=no").text)

    set_level(store, periods=("day",))
    assert not re.search("<main.* data-live", app.get("/2/board?period=day-1").text)


def test_the_first_page_for_a_browser_lists_the_levels(app: TestApp, store: Store) -> None:
    assert "No levels yet." in app.get("/", headers=BROWSER).text

    post(store, 1, 1500)
    store.scores.post(7, 1, 3).result()
    set_level(store, title="Nebula <Run>")
    response = app.get("/?limit=1&theme=dark", headers=BROWSER)

    assert re.findall('<a href="(.*?)"><bdi>(.*?)</bdi> <small>(.*?)</small>', response.text) == [
        ("2/board?theme=dark", "Nebula &lt;Run&gt;", "1 player")
    ]
    (link,) = re.findall(r'<a href="(.*?)">More levels', response.text)
    assert '"7/board?theme=dark"' in app.get("/" + html.unescape(link), headers=BROWSER).text
    assert app.get("/").text == "Hello, World!"
    assert app.get("/levels", headers=BROWSER).headers["Content-Type"] == HTML


def test_the_header_of_a_page_lets_in_what_is_in_it_and_nothing_else(app: TestApp) -> None:
    response = app.get("/2/board")
    script, style = (
        "'sha256-" + base64.b64encode(hashlib.sha256(found.encode()).digest()).decode() + "'"
        for tag in ("script", "style")
        for found in re.findall(f"<{tag}>(.*?)</{tag}>", response.text, re.DOTALL)
    )

    assert response.headers["Content-Security-Policy"] == (
        f"default-src 'none'; script-src {script}; style-src {style}; img-src data:; connect-src 'self';"
        " base-uri 'none'; form-action 'none'; frame-ancestors *"
    )
    assert response.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert response.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert re.findall(r'(?:src|href)="(?!\?|data:)', response.text) == []


@pytest.mark.parametrize(
    ("frames", "ancestors"),
    [((), "'none'"), (("self", "https://*.example.com"), "'self' https://*.example.com")],
)
def test_the_options_say_who_may_show_a_page_in_a_frame(
    settings: Config, store: Store, frames: tuple[str, ...], ancestors: str
) -> None:
    app = TestApp(Application(Api(store, replace(settings, pages=config.PageOptions(frames=frames)))))

    assert app.get("/2/board").headers["Content-Security-Policy"].endswith(f"frame-ancestors {ancestors}")


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("nosuch=1", 400, "a parameter that this call does not take"),
        ("theme=pink", 400, "theme must be one of: auto, light, dark, clear"),
        ("period=tomorrow", 400, "period"),
        ("period=day", 404, "has no boards by day"),
        ("limit=0", 400, "limit must be a whole number from 1 to 1000"),
        ("user=x", 400, "user must be a whole number"),
        ("after=x", 400, "after must be the next"),
        ("live=maybe", 400, "live must be yes or no"),
    ],
)
def test_a_page_says_in_words_what_was_wrong(app: TestApp, query: str, status: int, words: str) -> None:
    right = app.get("/2/board")

    response = app.get(f"/2/highscorelist?{query}", headers=BROWSER, status=status)

    assert words in html.unescape(response.text)
    assert response.headers["Content-Type"] == HTML
    assert response.headers["Content-Security-Policy"] == right.headers["Content-Security-Policy"]


def test_a_number_that_is_too_large_is_said_in_words_on_a_page(app: TestApp) -> None:
    response = app.get("/2147483648/board", status=400)

    assert "levelid must be a whole number" in response.text


def test_a_page_that_has_not_changed_is_not_sent_again(app: TestApp, store: Store) -> None:
    first = app.get("/2/board")
    known = {"If-None-Match": first.headers["ETag"]}
    assert app.get("/2/board", headers=known, status=304).headers["Content-Security-Policy"]

    post(store, 1, 1500)

    assert app.get("/2/board", headers=known).status_int == 200


def test_a_banned_user_is_not_on_the_page(app: TestApp, store: Store) -> None:
    post(store, 1, 1500, "Cheater")
    assert "Cheater" in app.get("/2/board").text

    store.admin.perform("test", BanUser(1)).result()

    assert "Cheater" not in app.get("/2/board").text


def test_a_page_of_a_thousand_entries_has_them_all(app: TestApp, store: Store) -> None:
    writes = [store.scores.post(2, user_id, user_id) for user_id in range(1000)]
    for write in writes:
        write.result()

    assert len(rows(app.get("/2/board?limit=1000"))) == 1000


def test_the_page_of_operators_is_there_once_there_is_a_token(app: TestApp, store: Store) -> None:
    add_token(store)

    response = app.get("/admin")

    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-store"
    assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]
    assert "Access-Control-Allow-Origin" not in response.headers
    assert "Set-Cookie" not in response.headers
    for name in KINDS:
        assert f'name="{name}"' in response.text
    app.get("/admin?nosuch=1", status=400)


def test_there_is_no_page_of_operators_without_a_token_or_where_it_is_switched_off(
    store: Store, app: TestApp, settings: Config
) -> None:
    unknown = app.get("/nothing", status=404).text
    assert app.get("/admin", status=404).text == unknown

    add_token(store)
    app = TestApp(Application(Api(store, replace(settings, pages=config.PageOptions(admin=False)))))
    assert app.get("/admin", status=404).text == unknown
