"""The contract of the calls, row by row."""

from __future__ import annotations

import logging
import re
from io import BytesIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from webtest import TestApp

from scoresvc.actions import SetLevel
from scoresvc.api.calls import CALLS
from scoresvc.api.dispatch import Api
from scoresvc.api.request import Request
from scoresvc.http.wsgi import Application
from scoresvc.storage import Store, WouldBlock
from tests.conftest import Clock, Query

MAX = 2147483647
NO_NUMBERS = (
    "+5",
    "-1",
    "1_0",
    "0x3",
    "1.5",
    "1e3",
    "",
    " ",
    "٣",
    "²",
    "1 2",
    "5\0",
    "2147483648",
    "9" * 11,
    "9" * 900,
)


def post(app: TestApp, key: str, score: object, level: object = 2, status: int = 200) -> None:
    app.post(f"/{level}/score?sessionkey={key}", str(score), status=status)


def high_scores(app: TestApp, level: object = 2) -> str:
    return app.get(f"/{level}/highscorelist").text


def assert_refused(response: object, word: str) -> None:
    """One plain line that names what was wrong."""
    assert response.content_type == "text/plain"
    assert response.charset == "utf-8"
    assert len(response.text.splitlines()) == 1
    assert word in response.text


def call(store: Store, path: str, **environ: object) -> tuple[str, str]:
    """Status and body for an environ that no well-behaved server would make."""
    answered: list[str] = []
    request = {"REQUEST_METHOD": "POST", "wsgi.input": BytesIO(), "PATH_INFO": path, **environ}
    body = b"".join(Application(Api(store))(request, lambda status, headers: answered.append(status)))
    return answered[0][:3], body.decode()


# Logging in


@pytest.mark.parametrize(
    "path", ["/4711/", "/4711", "/4711/%23", "/4711/%23/", "/4711/login", "/4711/login/", "/%34711/"]
)
def test_every_spelling_of_a_login_gives_a_key(app: TestApp, path: str) -> None:
    response = app.get(path)

    assert re.fullmatch("[A-Za-z0-9]{22,}", response.text)
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert response.headers["Content-Length"] == str(len(response.body))
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/4711/login", "/4711/login/", "/4711/"])
@pytest.mark.parametrize("body", ["", "1500", "score=1500&sessionkey=x", "x" * 2000])
def test_a_login_may_be_a_post_whose_body_does_not_matter(app: TestApp, path: str, body: str) -> None:
    response = app.post(path, body)

    assert response.headers["Cache-Control"] == "no-store"
    post(app, response.text, 10)
    assert high_scores(app) == "4711=10"


def test_a_raw_number_sign_in_the_path_logs_in(app: TestApp) -> None:
    response = app.get("/", extra_environ={"PATH_INFO": "/4711/#"})

    post(app, response.text, 10)
    assert high_scores(app) == "4711=10"


def test_each_login_gives_another_key_that_is_good_beside_the_others(app: TestApp) -> None:
    keys = [app.get("/4711/").text for _ in range(20)]

    assert len(set(keys)) == 20
    for score, key in enumerate(keys):
        post(app, key, score)
    assert high_scores(app) == "4711=19"


def test_a_key_is_good_for_its_lifetime_and_no_longer(app: TestApp, key: str, clock: Clock) -> None:
    clock.now += 599.9
    post(app, key, 1)
    clock.now += 0.1
    post(app, key, 2, status=401)

    assert high_scores(app) == "4711=1"


@pytest.mark.parametrize("number", [0, 1, MAX])
def test_the_ends_of_the_range_are_good_users_levels_and_scores(app: TestApp, number: int) -> None:
    key = app.get(f"/{number}/login").text

    post(app, key, number, level=number)

    assert high_scores(app, level=number) == f"{number}={number}"


def test_leading_zeros_within_ten_digits_name_the_same_number(app: TestApp) -> None:
    key = app.get("/0000004711/").text

    post(app, key, "0000000015", level="0000000002")

    assert high_scores(app) == "4711=15"


# Posting and reading


def test_a_post_answers_with_nothing(app: TestApp, key: str) -> None:
    response = app.post(f"/2/score?sessionkey={key}", "1500")

    assert response.body == b""
    assert response.headers["Content-Length"] == "0"
    assert high_scores(app) == "4711=1500"


def test_a_list_is_csv_highest_first_each_user_once_with_the_best(app: TestApp, key: str) -> None:
    other = app.get("/131/").text
    for who, score in ((key, 1400), (other, 1220), (key, 1500), (key, 3), (other, 7)):
        post(app, who, score)

    response = app.get("/2/highscorelist")

    assert response.text == "4711=1500,131=1220"
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert response.headers["Content-Length"] == str(len(response.body))


def test_a_level_without_scores_has_an_empty_list(app: TestApp) -> None:
    assert high_scores(app, level=99) == ""


def test_a_list_ends_after_fifteen(app: TestApp) -> None:
    for user in range(20):
        post(app, app.get(f"/{user}/").text, 100 + user)

    assert high_scores(app) == ",".join(f"{user}={100 + user}" for user in range(19, 4, -1))


def test_of_equal_scores_the_one_reached_first_stands_higher_while_the_clock_stands_still(app: TestApp) -> None:
    users = [7, 3, 9, 1, 5]
    for user in users:
        post(app, app.get(f"/{user}/").text, 100)
    post(app, app.get("/1/").text, 100)

    assert high_scores(app) == ",".join(f"{user}=100" for user in users)


def test_a_clock_that_was_ahead_and_is_set_right_leaves_later_posts_with_the_right_time(
    app: TestApp, key: str, clock: Clock
) -> None:
    clock.now += 500
    app.post(f"/2/score?sessionkey={key}", "1500")
    clock.now -= 500 - 0.5

    app.post(f"/2/score?sessionkey={key}", "1501")
    app.post(f"/3/score?sessionkey={key}", "1500")

    times = [
        app.get(f"/{level}/rank/4711", headers={"Accept": "application/json"}).json["reached_at"] for level in (2, 3)
    ]
    assert times == ["2023-11-14T22:13:20.500Z"] * 2


def test_of_equal_scores_the_one_reached_first_stands_higher_when_the_clock_jumps_back(
    app: TestApp, clock: Clock
) -> None:
    for user in (7, 3, 9):
        post(app, app.get(f"/{user}/").text, 100)
        clock.now -= 100

    assert high_scores(app) == "7=100,3=100,9=100"


def test_levels_are_apart(app: TestApp, key: str) -> None:
    post(app, key, 1, level=1)
    post(app, key, 2, level=2)

    assert (high_scores(app, level=1), high_scores(app, level=2)) == ("4711=1", "4711=2")


@pytest.mark.parametrize("body", ["1500\n", " 1500 ", "\t1500\r\n"])
def test_white_space_around_the_score_is_fine(app: TestApp, key: str, body: str) -> None:
    post(app, key, body)

    assert high_scores(app) == "4711=1500"


def test_the_greeting(app: TestApp) -> None:
    assert app.get("/").text == "Hello, World!"
    assert app.get("").text == "Hello, World!"


@pytest.mark.parametrize("path", ["/", "/2/highscorelist", "/2/highscorelist/"])
def test_head_answers_like_get_without_the_body(app: TestApp, key: str, path: str) -> None:
    post(app, key, 1500)

    got, head = app.get(path), app.head(path)

    assert head.body == b""
    assert head.headers == got.headers


def test_a_path_may_end_in_one_slash_and_begin_with_several(app: TestApp) -> None:
    app.get("/2/highscorelist/")
    app.get("/2/highscorelist//", status=404)
    app.get("/4711//", status=404)
    app.get("/", extra_environ={"PATH_INFO": "//2/highscorelist"})


# Refusals: path, method, level, score, key, in this order


@pytest.mark.parametrize("number", ["2147483648", "9999999999", "00000004711", "1" * 5000])
@pytest.mark.parametrize("path", ["/{}/", "/{}/login", "/{}/highscorelist"])
def test_a_number_in_a_path_that_is_too_large_is_refused(app: TestApp, path: str, number: str) -> None:
    response = app.get(path.format(number), status=400)

    assert_refused(response, "must be a whole number from 0 to 2147483647")


@pytest.mark.parametrize(
    "path",
    [
        "/x",
        "/-1/",
        "/+5/login",
        "/4711/logout",
        "/2/highscore",
        "/2/highscorelist/x",
        "/%B2/",
        "/%D9%A3/",
        "/1.0/x",
        "/ 1/",
        "/2/score/1/2",
        "/score",
        "/highscorelist",
        "/<userid>/login",
        "/2%zz/",
        "/%00/",
        "/4711/login%0A",
        "/2;x/score",
    ],
)
def test_an_unknown_path_is_not_found(app: TestApp, path: str) -> None:
    assert_refused(app.get(path, status=404), "/<levelid>/highscorelist")


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/2.0/highscorelist", "the level must be an integer without a fraction, such as 2"),
        ("/2.5/highscorelist/", "the level must be an integer without a fraction, such as 2"),
        ("/4711.0", "the user must be an integer without a fraction, such as 4711"),
        ("/4711.00/%23", "the user must be an integer without a fraction, such as 4711"),
        ("/2/rank/4711.", "the user must be an integer without a fraction, such as 4711"),
        ("/2.0/around/4711.0", "the level must be an integer without a fraction, such as 2"),
        ("/2.0/score", "the level must be an integer without a fraction, such as 2"),
    ],
)
def test_a_fraction_in_a_path_is_named(app: TestApp, path: str, sentence: str) -> None:
    response = app.get(path, status=404)

    assert response.text == sentence


@pytest.mark.parametrize("path", ["/.0/highscorelist", "/2.0.0/highscorelist", "/2.x/highscorelist", "/2.0/nothing"])
def test_a_path_that_no_integer_would_mend_is_not_found(app: TestApp, path: str) -> None:
    assert_refused(app.get(path, status=404), "no such path")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/", "GET, HEAD"),
        ("PUT", "/4711/", "GET, POST"),
        ("HEAD", "/4711/", "GET, POST"),
        ("HEAD", "/4711/login", "GET, POST"),
        ("HEAD", "/4711/%23", "GET, POST"),
        ("GET", "/2/score", "POST"),
        ("PUT", "/2/score", "POST"),
        ("HEAD", "/99999999999/score", "POST"),
        ("POST", "/2/highscorelist", "GET, HEAD"),
        ("DELETE", "/2/highscorelist", "GET, HEAD"),
    ],
)
def test_another_method_is_refused_with_those_that_are_right(
    app: TestApp, query: Query, method: str, path: str, allowed: str
) -> None:
    response = app.request(path, method=method, status=405)

    assert response.headers["Allow"] == allowed
    assert query("SELECT * FROM sessions") == []


@pytest.mark.parametrize("body", NO_NUMBERS)
def test_a_score_that_is_no_number_is_refused_and_changes_nothing(
    app: TestApp, key: str, query: Query, body: str
) -> None:
    response = app.post(f"/2/score?sessionkey={key}", body.encode(), status=400)

    assert_refused(response, "score must be a whole number from 0 to 2147483647")
    assert query("SELECT * FROM scores") == []


def test_a_body_over_1_kib_is_refused(app: TestApp, key: str) -> None:
    app.post(f"/2/score?sessionkey={key}", "7".rjust(1024), status=200)

    response = app.post(f"/2/score?sessionkey={key}", "8".rjust(1025), status=413)

    assert_refused(response, "at most 1024 bytes")
    assert high_scores(app) == "4711=7"


@pytest.mark.parametrize("length", ["1000000000000", "9" * 5000])
def test_an_absurd_content_length_is_too_large(store: Store, length: str) -> None:
    status, _ = call(store, "/2/score", CONTENT_LENGTH=length)

    assert status == "413"


@pytest.mark.parametrize("length", ["-2", "+2", "x", "2.0", " 2", "٣"])
def test_a_content_length_that_is_no_number_is_refused(store: Store, length: str) -> None:
    status, body = call(store, "/2/score", CONTENT_LENGTH=length)

    assert status == "400"
    assert "Content-Length" in body


def test_a_body_cut_short_is_never_taken_for_a_score(store: Store, key: str, query: Query) -> None:
    short = {"CONTENT_LENGTH": "4", "wsgi.input": BytesIO(b"15")}

    status, body = call(store, "/2/score", QUERY_STRING=f"sessionkey={key}", **short)

    assert status == "400"
    assert "did not arrive whole" in body
    assert query("SELECT * FROM scores") == []


def test_a_chunked_body_whose_end_nobody_can_know_is_refused(app: TestApp, key: str) -> None:
    chunked = {"HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": ""}

    response = app.post(f"/2/score?sessionkey={key}", "15", extra_environ=chunked, status=400)

    assert_refused(response, "Content-Length")


def test_a_client_that_breaks_off_is_no_error_of_ours(store: Store) -> None:
    class BrokenInput:
        def read(self, size: int) -> bytes:
            raise ConnectionResetError

    status, _ = call(store, "/2/score", CONTENT_LENGTH="4", **{"wsgi.input": BrokenInput()})

    assert status == "400"


@pytest.mark.parametrize(
    "query_string", ["", "?sessionkey=", "?sessionkey", "?sessionkey=UICSNDK", "?sessionkey=%zz%00%ff"]
)
def test_a_post_without_a_valid_key_is_refused(app: TestApp, key: str, query: Query, query_string: str) -> None:
    response = app.post(f"/2/score{query_string}", "1500", status=401)

    assert_refused(response, "session key")
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert query("SELECT * FROM scores") == []


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_key_may_come_as_a_bearer_token(app: TestApp, key: str, scheme: str) -> None:
    app.post("/2/score", "1500", headers={"Authorization": f"{scheme} {key}"})

    assert high_scores(app) == "4711=1500"


@pytest.mark.parametrize("header", ["Bearer", "Bearer ", "Bearer \xff", "Basic eDp5", "x"])
def test_an_authorization_without_a_valid_key_is_refused(app: TestApp, header: str) -> None:
    app.post("/2/score", "1500", headers={"Authorization": header}, status=401)


def test_the_key_comes_once(app: TestApp, key: str, query: Query) -> None:
    bearer = {"Authorization": f"Bearer {key}"}
    for response in (
        app.post(f"/2/score?sessionkey={key}&sessionkey={key}", "1", status=400),
        app.post(f"/2/score?sessionkey={key}", "1", headers=bearer, status=400),
        app.post("/2/score?sessionkey=", "1", headers=bearer, status=400),
        app.post("/2/score", "1", headers={"Authorization": f"Bearer {key}, Bearer {key}"}, status=400),
    ):
        assert_refused(response, "once")

    assert query("SELECT * FROM scores") == []


@pytest.mark.parametrize("path", ["/4711/login?x=1", "/2/highscorelist?x", "/?x=1", "/2/highscorelist?sessionkey=x"])
def test_a_parameter_that_the_call_does_not_take_is_refused(app: TestApp, path: str) -> None:
    assert_refused(app.get(path, status=400), "parameter")


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PUT", "/99999999999/scored", "x", 404),
        ("PUT", "/99999999999/score", "x", 405),
        ("POST", "/99999999999/score", "x" * 2000, 400),
        ("POST", "/2/score", "x" * 2000, 413),
        ("POST", "/2/score?sessionkey=a&sessionkey=a", "x" * 2000, 413),
        ("POST", "/2/score", "x", 400),
        ("POST", "/2/score", "1", 401),
    ],
)
def test_checks_run_in_order(app: TestApp, method: str, path: str, body: str, status: int) -> None:
    app.request(path, method=method, body=body.encode(), status=status)


# Faults of ours, the log


def test_a_bug_reaches_the_log_with_its_traceback_and_the_client_without(
    app: TestApp, store: Store, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(boards: object, level_id: int) -> str:
        raise RuntimeError("a bug")

    monkeypatch.setattr(type(store.boards), "high_scores", fail)

    response = app.get("/2/highscorelist", status=500)

    assert_refused(response, "failed")
    assert "bug" not in response.text
    assert "RuntimeError: a bug" in caplog.text


def test_each_call_is_logged_with_method_path_status_and_milliseconds(
    app: TestApp, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "scoresvc.access")

    app.get("/2/highscorelist")
    app.get("/nothing%0A/here", status=404)

    first, second = [record.getMessage() for record in caplog.records if record.name == "scoresvc.access"]
    assert re.fullmatch(r"- \d+ GET /2/highscorelist 200 \d+\.\d", first)
    assert re.fullmatch(r"- \d+ GET /nothing\*/here 404 \d+\.\d", second)


def test_no_session_key_is_ever_logged(app: TestApp, store: Store, key: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    post(app, key, 1)
    app.post(f"/2/score&sessionkey={key}", "1", status=404)
    app.post(f"/2/score%3Fsessionkey={key.lower()}", "1", status=404)
    call(store, f"/{key}", REQUEST_METHOD=key)
    app.post("/2/score", "1", headers={"Authorization": f"Bearer {key}"})
    store.close()
    app.post(f"/2/score?sessionkey={key}", "1", status=503)

    assert caplog.text
    assert key.lower() not in caplog.text.lower()


# Whatever comes in

WORDS = ("score", "highscorelist", "login", "rank", "around", "scores")
PARAMETERS = ("limit", "after", "users", "count")


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "get", "", "\x7f"]),
    segments=st.lists(
        st.one_of(
            st.sampled_from([*WORDS, "#", "", "0", "2", str(MAX), str(MAX + 1), "<levelid>"]),
            st.text(st.characters(max_codepoint=255), max_size=5),
        ),
        max_size=4,
    ),
    query_string=st.one_of(
        st.text(st.characters(max_codepoint=255), max_size=20),
        st.text("%&=sesionkey+;", max_size=30).map(lambda text: "sessionkey=" + text),
        st.tuples(st.sampled_from(PARAMETERS), st.text("0123456789,-%&=A", max_size=30)).map("=".join),
    ),
    accept=st.one_of(st.just("application/json"), st.text(st.characters(max_codepoint=255), max_size=20)),
    authorization=st.text(st.characters(max_codepoint=255), max_size=10).map(lambda text: "Bearer " + text),
    length=st.one_of(st.integers(0, 2000).map(str), st.text(max_size=3)),
    body=st.binary(max_size=2000),
)
def test_no_request_is_an_error_of_ours(
    store: Store,
    query: Query,
    method: str,
    segments: list[str],
    query_string: str,
    accept: str,
    authorization: str,
    length: str,
    body: bytes,
) -> None:
    status, _ = call(
        store,
        "/" + "/".join(segments),
        REQUEST_METHOD=method,
        QUERY_STRING=query_string,
        HTTP_ACCEPT=accept,
        HTTP_AUTHORIZATION=authorization,
        CONTENT_LENGTH=length,
        **{"wsgi.input": BytesIO(body)},
    )

    assert status < "500"
    assert query("SELECT * FROM scores") == []


def test_no_two_calls_answer_one_path() -> None:
    shapes = [
        (method, re.sub("<.*?>", "1", path))
        for call in CALLS
        for path in (call.path, *call.other_paths)
        for method in call.methods
    ]

    assert len(set(shapes)) == len(shapes)


@pytest.mark.parametrize(("path", "runs_in_thread"), [("/2/highscorelist", False), ("/levels", True), ("/ready", True)])
def test_a_call_runs_in_a_thread_where_it_may_take_long(store: Store, path: str, runs_in_thread: bool) -> None:
    assert Api(store).begin(Request("GET", path, "", {}, b"", "")).runs_in_thread is runs_in_thread


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("path", "is_long"),
    [
        ("/2/highscorelist", False),
        ("/2/highscorelist?limit=100", False),
        ("/2/highscorelist?limit=101", True),
        ("/2/highscorelist?users=1,2,3,4,5,6,7,8", False),
        ("/2/highscorelist?users=1,2,3,4,5,6,7,8,9", True),
        ("/2/around/1?count=100", False),
        ("/2/around/1?count=101", True),
        ("/2/rank/1", False),
        ("/1/scores", True),
        ("/2/scores", False),
        ("/2/periods?kind=day", False),
        ("/2/periods?kind=day&limit=21", True),
    ],
)
def test_an_event_loop_refuses_reads_that_take_long(store: Store, path: str, is_long: bool) -> None:
    store.admin.perform("test", SetLevel(2, {"periods": ("day",)})).result()
    for level in range(9):
        store.scores.post(level, 1, 50).result()
    store.scores.post(2, 2, 50).result()
    path, _, query = path.partition("?")
    for headers in ({}, {"accept": "application/json"}):
        exchange = Api(store).begin(Request("GET", path, query, headers, b"", ""))
        if is_long:
            with pytest.raises(WouldBlock):
                exchange.answer_in_loop()
        else:
            assert exchange.answer_in_loop().status == "200 OK"
