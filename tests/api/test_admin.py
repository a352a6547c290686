"""What operators do, and the game's own server, over HTTP and over TCP."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlencode

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from webtest import TestApp

from scoresvc.actions import SetLevel
from scoresvc.api.admin_calls import ADMIN_CALLS
from scoresvc.api.call import Call
from scoresvc.cli import main
from scoresvc.limits import UINT31_MAX
from scoresvc.storage import Store
from tests.api.operators import EXAMPLES, JSON, Operator, add_token, body_of, path_of
from tests.conftest import Clock, high_scores
from tests.running import Server

names = [call.name for call in ADMIN_CALLS]


@pytest.fixture
def operator(store: Store, app: TestApp) -> Operator:
    """Ann, with all rights. There are submissions 1 and 2, and one action, her token."""
    store.scores.post(2, 131, 1220).result()
    store.scores.post(2, 131, 9999).result()
    return Operator(app, add_token(store))


def actions(operator: Operator) -> list[list[str]]:
    """The audit log as cells, newest first."""
    return [line.split("\t") for line in operator.ask("GET", "actions?limit=1000").text.splitlines()]


# What holds for every call


@pytest.mark.parametrize("call", ADMIN_CALLS, ids=names)
def test_a_call_answers_in_both_forms(operator: Operator, call: Call) -> None:
    operator.ask("POST", "users/9/ban")  # action 2
    body = body_of(call)

    json = operator.ask(call.method, path_of(call), body, **JSON)
    plain = operator.ask(call.method, path_of(call, action="3"), body)  # undoes what was undone

    assert plain.headers["Content-Type"] == call.text.content_type
    assert json.headers["Content-Type"] == "application/json"
    assert {plain.headers["Cache-Control"], json.headers["Cache-Control"]} == {"no-store"}
    assert "ETag" not in plain.headers
    if json.json is not None:
        assert list(json.json) == [
            field.encode_name
            for field in msgspec.structs.fields(call.gives)
            if field.name in json.json or field.required
        ]


@pytest.mark.parametrize("call", ADMIN_CALLS, ids=names)
def test_what_a_call_does_not_take_is_refused(operator: Operator, call: Call) -> None:
    before = actions(operator)
    sign = "&" if "?" in path_of(call) else "?"

    assert operator.refused(call.method, f"{path_of(call)}{sign}nosuch=1", body_of(call)) == "unknown_parameter"
    assert actions(operator) == before


@pytest.mark.parametrize("call", [call for call in ADMIN_CALLS if "<" in call.path], ids=lambda call: call.name)
def test_a_number_in_a_path_is_refused_by_name(operator: Operator, call: Call) -> None:
    for name, too_large in [("levelid", 2**31), ("userid", 2**31), ("submission", 2**63), ("action", 2**63)]:
        if f"<{name}>" in call.path:
            refusal = operator.ask(
                call.method, path_of(call, **{name: str(too_large)}), body_of(call), 400, **JSON
            ).json

            assert refusal["error"]["code"] == "bad_number"
            assert refusal["error"]["message"].startswith(f"{name} must be a whole number from 0 to {too_large - 1},")
            assert operator.refused(call.method, path_of(call, **{name: "2.0"}), status=404) == "fraction_in_path"
            assert operator.refused(call.method, path_of(call, **{name: "x"}), status=404) == "not_found"


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("levels/2", "GET, HEAD, PUT, DELETE"),
        ("users/131", "GET, HEAD, DELETE"),
        ("users/131/ban", "POST, DELETE"),
        ("levels/2/scores/131", "DELETE"),
        ("actions", "GET, HEAD"),
    ],
)
def test_a_path_says_all_its_methods(operator: Operator, path: str, methods: str) -> None:
    assert operator.ask("PATCH", path, status=405).headers["Allow"] == methods
    assert operator.ask("OPTIONS", path, status=204).headers["Allow"] == f"{methods}, OPTIONS"


def test_a_path_that_is_unknown_is_told_those_that_are(operator: Operator) -> None:
    sentence = operator.ask("GET", "nothing", status=404).text

    assert not [call.path for call in ADMIN_CALLS if call.path not in sentence]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    call=st.sampled_from(ADMIN_CALLS),
    number=st.sampled_from(["0", "2", "131", str(2**31), str(2**63 - 1), "9" * 19]),
    name=st.sampled_from(
        ["user", "until", "reason", "hide", "rebuild", "min", "zone", "title", "state", "after", "period"]
    ),
    value=st.one_of(st.text(max_size=20), st.from_regex("[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}Z)?")),
    form=st.sampled_from(["query", "form", "json"]),
)
def test_whatever_an_operator_sends_is_no_bug(
    operator: Operator, call: Call, number: str, name: str, value: str, form: str
) -> None:
    path = path_of(call, **dict.fromkeys(EXAMPLES, number)).partition("?")[0]
    encoded = urlencode({name: value}, errors="replace")
    if form == "query":
        path, encoded = f"{path}?{encoded}", ""
    body = json.dumps({name: value}) if form == "json" else encoded

    response = operator.ask(
        call.method,
        path,
        body,
        "*",
        Content_Type="application/json" if form == "json" else "application/x-www-form-urlencoded",
    )

    assert response.status_int in (200, 400, 404, 409, 410, 413)


# History and moderation


def test_the_history_is_a_line_for_each_post_newest_first(operator: Operator) -> None:
    operator.ask("POST", "submissions/2/remove")

    lines = operator.ask("GET", "levels/2/submissions").text.splitlines()

    assert [line.split("\t") for line in lines] == [
        ["2", "131", "9999", "2023-11-14T22:13:20.000Z", "removed"],
        ["1", "131", "1220", "2023-11-14T22:13:20.000Z", "stands"],
    ]


def test_the_history_is_read_in_pages_and_by_user_and_state(store: Store, operator: Operator) -> None:
    store.scores.post(2, 4711, 5).result()
    operator.ask("POST", "submissions/2/remove")

    def ids(query: str) -> tuple[list[int], str]:
        page = operator.ask_json("GET", f"levels/2/submissions?{query}")
        return [each["id"] for each in page["submissions"]], page["next"]

    first, cursor = ids("limit=2")
    assert (first, ids(f"limit=2&after={cursor}")) == ([3, 2], ([1], None))
    assert ids("user=131")[0] == [2, 1]
    assert ids("state=stands")[0] == [3, 1]
    assert ids("state=removed&user=131")[0] == [2]
    assert ids("state=held")[0] == []


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("user=x", "bad_number"),
        ("user=2147483648", "bad_number"),
        ("state=gone", "bad_value"),
        ("state=", "bad_value"),
        ("limit=0", "bad_count"),
        ("limit=1001", "bad_count"),
        ("after=x", "bad_cursor"),
        ("user=1&user=2", "repeated_parameter"),
    ],
)
def test_a_wrong_parameter_of_the_history_is_refused(operator: Operator, query: str, code: str) -> None:
    assert operator.refused("GET", f"levels/2/submissions?{query}") == code


def test_what_stands_is_removed_and_the_next_best_stands_again(store: Store, operator: Operator) -> None:
    number = operator.ask("DELETE", "levels/2/scores/131").text
    assert (number, high_scores(store, 2)) == ("2", "131=1220")

    assert operator.ask("POST", f"actions/{number}/undo").text == "3"
    assert high_scores(store, 2) == "131=9999"

    assert operator.ask("POST", "actions/3/undo").text == "4"
    assert high_scores(store, 2) == "131=1220"


def test_what_stands_in_a_period_is_removed(store: Store, operator: Operator, clock: Clock) -> None:
    operator.ask("PUT", "levels/2?periods=day")
    clock.now += 86400
    store.scores.post(2, 131, 7).result()

    assert operator.refused("DELETE", "levels/2/scores/131?period=x") == "bad_period"
    assert operator.refused("DELETE", "levels/2/scores/131?period=week", status=404) == "no_such_period"
    assert operator.refused("DELETE", "levels/2/scores/131?period=day-7", status=404) == "no_score"
    operator.ask("DELETE", "levels/2/scores/131?period=day")

    assert operator.ask_json("GET", "levels/2/submissions?state=removed")["submissions"][0]["score"] == 7
    assert high_scores(store, 2) == "131=9999"


def test_what_nobody_has_is_not_removed(operator: Operator) -> None:
    assert operator.refused("DELETE", "levels/2/scores/4711", status=404) == "no_score"
    for what in ("remove", "restore", "approve"):
        assert operator.refused("POST", f"submissions/9223372036854775807/{what}", status=404) == "no_such_submission"
    assert operator.refused("POST", "actions/9223372036854775807/undo", status=404) == "no_such_action"
    assert len(actions(operator)) == 1


def test_a_held_submission_stands_once_it_is_approved(store: Store, operator: Operator) -> None:
    operator.ask("PUT", "levels/2?hold=10000")
    store.scores.post(2, 131, 10001).result()
    assert high_scores(store, 2) == "131=9999"

    record = operator.ask_json("POST", "submissions/3/approve")

    assert (record["kind"], record["submission"], record["level"]) == ("approve", 3, 2)
    assert high_scores(store, 2) == "131=10001"


def test_what_is_done_already_is_answered_with_nothing(operator: Operator) -> None:
    operator.ask("POST", "submissions/2/remove")

    assert operator.ask("POST", "submissions/2/remove").text == ""
    assert operator.ask_json("POST", "submissions/2/remove") is None
    assert operator.ask_json("DELETE", "users/131/ban") is None
    assert operator.ask_json("PUT", "levels/2") is None
    assert len(actions(operator)) == 2


def test_a_user_is_banned_and_comes_back(store: Store, app: TestApp, operator: Operator, key: str) -> None:
    store.scores.post(2, 4711, 5).result()

    number = operator.ask("POST", "users/4711/ban", "reason=aimbot").text

    assert high_scores(store, 2) == "131=9999"
    assert app.get("/4711/login", headers=JSON, status=403).json["error"]["code"] == "banned"
    assert app.post(f"/2/score?sessionkey={key}", "6", headers=JSON, status=403).json["error"]["code"] == "banned"
    operator.ask("POST", f"actions/{number}/undo")
    assert high_scores(store, 2) == "131=9999,4711=5"
    app.get("/4711/login")


@pytest.mark.parametrize(
    ("query", "body", "content_type"),
    [
        ("reason=an%20aimbot&until=2030-01-01T00:00:00Z&hide=yes", "", ""),
        ("", "reason=an+aimbot&until=1893456000&hide=yes", "application/x-www-form-urlencoded"),
        ("hide=yes", "reason=an+aimbot&until=2030-01-01", "application/x-www-form-urlencoded"),
        ("", '{"reason": "an aimbot", "until": 1893456000, "hide": true}', "application/json"),
        ("", '{"reason": "an aimbot", "until": "2030-01-01T00:00", "hide": "yes"}', "application/json"),
    ],
)
def test_a_ban_is_sent_in_a_form_in_json_or_in_the_query(
    operator: Operator, query: str, body: str, content_type: str
) -> None:
    operator.ask("POST", f"users/131/ban?{query}", body, Content_Type=content_type)

    assert operator.ask_json("GET", "users/131")["ban"] == {
        "user": 131,
        "reason": "an aimbot",
        "until": "2030-01-01T00:00:00.000Z",
        "hide": True,
    }


@pytest.mark.parametrize(
    ("query", "body", "code"),
    [
        ("until=tomorrow", "", "bad_value"),
        ("until=2030-13-01", "", "bad_value"),
        ("until=2030-01-01T00:00:00%2B01:00", "", "bad_value"),
        ("until=-1", "", "bad_value"),
        ("until=1999-12-31", "", "bad_value"),
        ("until=1700000000", "", "bad_value"),
        ("until=0001-01-01T25:00", "", "bad_value"),
        ("hide=maybe", "", "bad_value"),
        (f"reason={'x' * 257}", "", "bad_value"),
        ("reason=a%0Ab", "", "bad_value"),
        ("reason=a&reason=b", "", "repeated_parameter"),
        ("reason=a", "reason=b", "repeated_parameter"),
        ("", "reason=a&reason=b", "repeated_parameter"),
        ("", "untill=2030-01-01", "unknown_parameter"),
        ("", "x" * 1025, "body_too_large"),
        ("", "aimbot", "malformed_body"),
    ],
)
def test_a_wrong_ban_is_refused_and_bans_nobody(operator: Operator, query: str, body: str, code: str) -> None:
    status = 413 if code == "body_too_large" else 400

    assert operator.refused("POST", f"users/131/ban?{query}", body, status) == code
    assert operator.ask_json("GET", "users/131")["ban"] is None


@pytest.mark.parametrize("body", ["[", "[]", "1", '"x"', "NaN", '{"reason": {}}', '{"until": [{}]}', "{" * 900])
def test_what_is_no_object_of_parameters_in_json_is_refused(operator: Operator, body: str) -> None:
    refusal = operator.ask("POST", "users/131/ban", body, 400, Content_Type="application/json").text

    assert refusal.endswith("send a form or a JSON object with: reason, until, hide")
    assert len(actions(operator)) == 1


def test_all_about_a_user_is_json_in_any_case(operator: Operator) -> None:
    plain = operator.ask("GET", "users/131").json

    assert plain == operator.ask_json("GET", "users/131")
    assert [each["score"] for each in plain["submissions"]] == [1220, 9999]
    assert [(each["level"], each["period"], each["score"]) for each in plain["scores"]] == [(2, "all", 9999)]
    assert (plain["user"], plain["ban"], plain["sessions"]) == (131, None, 0)


def test_users_are_found_by_what_their_names_look_like_and_by_a_text_of_the_server(
    store: Store, operator: Operator
) -> None:
    for user_id, name in ((5, "Zoe"), (3, "zoé"), (7, "Zoey")):
        store.users.rename(user_id, name).result()
    number = int(operator.ask_json("POST", "login", '{"external": "steam:765 é"}')["user"])

    assert operator.ask("GET", "users?name=ZO%C3%8B").text == "3\tzoé\t\n5\tZoe\t\n"
    assert operator.ask_json("GET", "users?name=zoe&limit=1")["users"] == [{"user": 3, "name": "zoé", "external": None}]
    assert operator.ask("GET", "users?external=steam:765%20%C3%A9").text == f"{number}\t\tsteam:765 é\n"
    assert operator.ask("GET", "users?external=steam:765").text == ""


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", "bad_value"),
        ("?name=", "bad_value"),
        ("?name=" + 25 * "x", "bad_value"),
        ("?name=%ff", "bad_value"),
        ("?external=%00", "bad_value"),
        ("?name=a&external=b", "conflicting_parameters"),
    ],
)
def test_a_wrong_search_for_users_is_refused(operator: Operator, query: str, code: str) -> None:
    assert operator.refused("GET", f"users{query}") == code


def test_what_waits_on_all_levels_is_listed_oldest_first(store: Store, operator: Operator) -> None:
    for level_id in (9, 4):
        operator.ask("PUT", f"levels/{level_id}", "hold=1000")
        store.scores.post(level_id, 131, 1000).result()
    store.scores.post(4, 131, 999).result()

    listed = [line.split("\t")[1:4] for line in operator.ask("GET", "held").text.splitlines()]

    assert listed == [["9", "131", "1000"], ["4", "131", "1000"]]
    assert [each["level"] for each in operator.ask_json("GET", "held?limit=1")["submissions"]] == [9]


def test_an_operator_sees_all_settings_of_a_level(operator: Operator, app: TestApp) -> None:
    operator.ask("PUT", "levels/2", "hold=1000&min=5")

    assert operator.ask_json("GET", "levels/2")["hold"] == 1000
    assert "hold=1000\n" in operator.ask("GET", "levels/2").text
    assert "hold" not in app.get("/2/settings")


def test_an_erased_user_is_gone_for_good(store: Store, operator: Operator) -> None:
    record = operator.ask_json("DELETE", "users/131")

    assert (record["kind"], record["user"]) == ("erase", None)
    assert high_scores(store, 2) == ""
    assert operator.ask_json("GET", "users/131")["submissions"] == []
    assert operator.refused("POST", f"actions/{record['id']}/undo", status=410) == "gone"


def test_the_sessions_of_an_erased_user_end_at_once(app: TestApp, operator: Operator) -> None:
    path = f"/2/score?sessionkey={app.get('/131/login').text}"
    app.post(path, "5")

    operator.ask("DELETE", "users/131")

    app.post(path, "5", status=401)
    assert operator.ask_json("GET", "users/131")["submissions"] == []


def test_scores_in_periods_that_a_level_no_longer_has_are_not_told(store: Store, operator: Operator) -> None:
    """They may be those of another order."""
    operator.ask("PUT", "levels/3", "periods=day&order=asc")
    store.scores.post(3, 131, 70).result()

    operator.ask("PUT", "levels/3", "periods=none&order=desc&rebuild=yes")

    scores = operator.ask_json("GET", "users/131")["scores"]
    assert [(each["period"], each["score"]) for each in scores if each["level"] == 3] == [("all", 70)]


def test_a_level_is_cleared_and_that_is_undone(store: Store, operator: Operator) -> None:
    number = operator.ask("POST", "levels/2/clear").text
    assert high_scores(store, 2) == ""

    operator.ask("POST", f"actions/{number}/undo")
    assert high_scores(store, 2) == "131=9999"


def test_an_action_that_a_later_one_overtook_is_not_undone(operator: Operator) -> None:
    number = operator.ask("POST", "submissions/2/remove").text
    operator.ask("POST", "submissions/2/restore")

    assert operator.refused("POST", f"actions/{number}/undo", status=409) == "superseded"


# Settings


@pytest.mark.parametrize(
    ("query", "body", "content_type"),
    [
        ("min=5&title=Green%20Hill&periods=day,week&listed=no", "", ""),
        ("", "min=5&title=Green+Hill&periods=day%2Cweek&listed=no", "application/x-www-form-urlencoded"),
        ("listed=no", '{"min": 5, "title": "Green Hill", "periods": ["day", "week"]}', "application/json"),
        ("", '{"min": "5", "title": "Green Hill", "periods": "day,week", "listed": false}', "application/json"),
    ],
)
def test_settings_are_sent_in_a_form_in_json_or_in_the_query(
    store: Store, operator: Operator, query: str, body: str, content_type: str
) -> None:
    operator.ask("PUT", f"levels/2?{query}", body, Content_Type=content_type)

    found = store.levels.settings_of(2)
    assert (found.min, found.title, found.periods) == (5, "Green Hill", ("day", "week"))
    assert (found.listed, found.order) == (False, "desc")


@pytest.mark.parametrize("body", ['{"min": null, "periods": []}', '{"min": "", "periods": "none"}'])
def test_null_takes_a_setting_back_to_its_default(store: Store, operator: Operator, body: str) -> None:
    operator.ask("PUT", "levels/2?min=5&max=9999&periods=day")

    operator.ask_json("PUT", "levels/2", body)

    found = store.levels.settings_of(2)
    assert (found.min, found.max, found.periods) == (None, 9999, ())


@pytest.mark.parametrize(
    ("query", "body", "code"),
    [
        ("order=up", "", "bad_setting"),
        ("min=-1", "", "bad_setting"),
        ("min=9&max=8", "", "bad_setting"),
        ("zone=Mars/Phobos", "", "bad_setting"),
        ("periods=year", "", "bad_setting"),
        ("", "keep=worst", "bad_setting"),
        ("", "colour=red", "unknown_parameter"),
        ("colour=red", "", "unknown_parameter"),
        ("min=5", "min=6", "repeated_parameter"),
        ("min=5", "rebuild=maybe", "bad_value"),
    ],
)
def test_a_wrong_setting_is_refused_and_sets_nothing(
    store: Store, operator: Operator, query: str, body: str, code: str
) -> None:
    before = store.levels.settings_of(2)

    assert operator.refused("PUT", f"levels/2?{query}", body) == code
    assert store.levels.settings_of(2) == before
    assert len(actions(operator)) == 1


def test_a_level_with_scores_is_ranked_anew_only_when_that_is_asked_for(store: Store, operator: Operator) -> None:
    assert operator.refused("PUT", "levels/2?order=asc", status=409) == "has_scores"
    assert high_scores(store, 2) == "131=9999"

    record = operator.ask_json("PUT", "levels/2?order=asc&rebuild=yes")
    assert record["after"]["without_submission"] == 0
    assert high_scores(store, 2) == "131=1220"

    assert operator.refused("DELETE", "levels/2", status=409) == "has_scores"
    operator.ask("DELETE", "levels/2?rebuild=yes")
    assert high_scores(store, 2) == "131=9999"


# The game's own server


def test_the_games_server_logs_users_in(app: TestApp, operator: Operator) -> None:
    key = operator.ask("POST", "login", "user=7").text

    app.post(f"/2/score?sessionkey={key}", "5")

    assert app.get("/2/highscorelist").text == "131=9999,7=5"
    assert operator.ask_json("POST", "login", '{"user": 7}')["user"] == 7


@pytest.mark.parametrize("query", ["", "user=", "user=x", f"user={UINT31_MAX + 1}"])
def test_a_login_names_a_user(operator: Operator, query: str) -> None:
    assert operator.refused("POST", f"login?{query}") == "bad_number"


@pytest.mark.parametrize(
    ("query", "body", "content_type"),
    [
        ("user=7", "10000", "text/plain"),
        ("user=7", "10000", "application/json"),
        ("", "score=10000&user=7", "application/x-www-form-urlencoded"),
        ("", '{"user": 7, "score": 10000, "combo": 3}', "application/json"),
    ],
)
def test_the_games_server_posts_for_a_user(
    store: Store, operator: Operator, query: str, body: str, content_type: str
) -> None:
    response = operator.ask("POST", f"levels/2/score?{query}", body, Content_Type=content_type)

    assert response.body == b""
    assert high_scores(store, 2) == "7=10000,131=9999"


def test_what_its_post_changed_is_told_in_json(operator: Operator) -> None:
    found = operator.ask_json("POST", "levels/2/score?user=7", "10000")

    assert (found["improved"], found["best"], found["rank"], found["players"]) == (True, 10000, 1, 2)


def test_it_posts_where_players_may_not_and_as_fast_as_it_likes(store: Store, operator: Operator) -> None:
    store.admin.perform("shell", SetLevel(2, {"posts": "server", "pace": 1})).result()

    operator.ask("POST", "levels/2/score?user=7", "10000")

    assert high_scores(store, 2) == "7=10000,131=9999"


def test_but_not_out_of_the_bounds_of_the_level(store: Store, operator: Operator) -> None:
    store.admin.perform("shell", SetLevel(2, {"max": 9999})).result()

    assert operator.refused("POST", "levels/2/score?user=7", "score=10000", 422) == "out_of_bounds"
    assert high_scores(store, 2) == "131=9999"


@pytest.mark.parametrize(
    ("query", "body", "code"),
    [
        ("user=7", "x", "bad_number"),
        ("user=7", "", "bad_number"),
        ("", "5", "bad_number"),
        ("user=7", "score=5&user=7", "repeated_parameter"),
        ("user=7&sessionkey=x", "5", "unknown_parameter"),
    ],
)
def test_a_wrong_post_is_refused(store: Store, operator: Operator, query: str, body: str, code: str) -> None:
    assert operator.refused("POST", f"levels/2/score?{query}", body) == code
    assert high_scores(store, 2) == "131=9999"


# The audit log


def test_the_audit_log_says_who_did_what_when(operator: Operator) -> None:
    operator.ask("POST", "users/131/ban", "reason=an+aimbot")

    cells, _ = actions(operator)

    assert cells[:8] == ["2", "2023-11-14T22:13:20.000Z", "all.*", "ban", "", "131", "", ""]
    assert json.loads(cells[9])["ban"]["reason"] == "an aimbot"
    record = operator.ask_json("GET", "actions?limit=1")["actions"][0]
    assert (record["actor"], record["kind"], record["user"], record["before"]) == (
        "all.*",
        "ban",
        131,
        json.loads(cells[8]),
    )


def test_the_audit_log_is_read_in_pages(operator: Operator) -> None:
    for user in range(3):
        operator.ask("POST", f"users/{user}/ban")

    first = operator.ask_json("GET", "actions?limit=3")
    second = operator.ask_json("GET", f"actions?limit=3&after={first['next']}")

    assert [each["id"] for each in first["actions"] + second["actions"]] == [4, 3, 2, 1]
    assert second["next"] is None
    assert operator.refused("GET", "actions?after=x") == "bad_cursor"


@pytest.mark.parametrize("processes", [1, 2])
def test_over_tcp_it_is_the_same(
    tmp_path: Path, processes: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with Server(tmp_path, "--tcp-port", "0", processes=processes) as server:
        monkeypatch.chdir(tmp_path)
        assert server.ask(method="GET", path="/admin/actions")["code"] == 404
        main(["token", "add", "ann", "--rights", "all"])
        headers = {"Authorization": f"Bearer {capsys.readouterr().out.strip()}"}

        def ask(method: str, path: str, data: object = None) -> tuple[int, object]:
            answer = server.ask(method=method, path=f"/admin/{path}", data=data, headers=headers)
            return answer["code"], answer["data"]

        assert server.ask(method="GET", path="/admin/actions")["code"] == 401
        assert ask("PUT", "levels/2", {"order": "asc", "periods": ["day"]}) == (200, "2")
        assert ask("POST", "levels/2/score", {"user": 131, "score": 1220}) == (200, None)
        assert ask("DELETE", "levels/2/scores/131") == (200, "3")
        assert server.ask(method="GET", path="/2/highscorelist")["data"] is None
        assert ask("POST", "actions/3/undo") == (200, "4")
        assert server.ask(method="GET", path="/2/highscorelist")["data"] == "131=1220"
        assert ask("PUT", "levels/2", "order=asc")[0] == 400
