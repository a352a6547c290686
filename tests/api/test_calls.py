"""What holds for every call of players, by nobody's remembering; test_admin.py has those of operators."""

from __future__ import annotations

import re

import msgspec
import pytest
from webtest import TestApp

from scoresvc.actions import EndSecret, SetLevel
from scoresvc.api import calls
from scoresvc.api.authorization import is_admin
from scoresvc.api.call import Call
from scoresvc.api.formats import write_json
from scoresvc.api.parameters import BodyParameter, PathParameter, QueryParameter, SessionKeyParameter
from scoresvc.errors import NoScore
from scoresvc.levels import PERIOD_KINDS
from scoresvc.limits import UINT31_MAX
from scoresvc.storage import Store
from tests.conftest import refusals

CALLS = [call for call in calls.CALLS if not is_admin(call.path)]
JSON = {"Accept": "application/json"}
BODIES = {"score": b"1500", "name": b"Ann"}
WRONG = {"integer": ["-1", "x", "", "1.0", str(UINT31_MAX + 1)], "array": ["x", "1;2", "2.0"], "string": ["x"]}

with_key = [call for call in CALLS if any(isinstance(each, SessionKeyParameter) for each in call.takes)]
query_parameters = [
    (call, parameter) for call in CALLS for parameter in call.takes if isinstance(parameter, QueryParameter)
]
path_parameters = [(call, each) for call in CALLS for each in call.takes if isinstance(each, PathParameter)]


def name_of(value: object) -> str:
    return getattr(value, "path", None) or getattr(value, "name", None) or ""


@pytest.fixture(autouse=True)
def _score(store: Store) -> None:
    store.admin.perform("test", SetLevel(2, {"periods": PERIOD_KINDS})).result()
    store.scores.post(2, 2, 1500).result()


def good_path(call: Call, **others: str) -> str:
    """The path of a call with the number 2 everywhere but in `others`; a session key is that of its own user."""
    numbers = {"userid": "4711" if call in with_key else "2", **others}
    return re.sub("<(.*?)>", lambda name: numbers.get(name[1], "2"), call.path)


def send(app: TestApp, call: Call, path: str = "", key: str = "", **options: object) -> object:
    """A request that is right unless `path` or `options` say otherwise."""
    query = f"?sessionkey={key}" if call in with_key and key else ""
    body = next((BODIES[each.name] for each in call.takes if isinstance(each, BodyParameter)), b"")
    arguments = {"method": call.method, "body": body, "expect_errors": True, **options}
    return app.request((path or good_path(call)) + query, **arguments)


def has_json(call: Call) -> bool:
    return issubclass(call.gives, msgspec.Struct)


@pytest.mark.parametrize("call", CALLS, ids=name_of)
def test_a_call_answers_in_both_forms(app: TestApp, key: str, store: Store, call: Call) -> None:
    plain = send(app, call, key=key)
    store.admin.perform("test", EndSecret(4711)).result()  # so that the user can be claimed again
    key = app.get("/4711/login").text
    json = send(app, call, key=key, headers=JSON)

    assert (plain.status_int, json.status_int) == (200, 200)
    assert plain.headers["Content-Type"] == call.text.content_type
    assert json.headers["Content-Type"] == ("application/json" if has_json(call) else call.text.content_type)
    if has_json(call):
        fields = msgspec.structs.fields(call.gives)
        assert list(json.json) == [
            each.encode_name for each in fields if each.default is not msgspec.UNSET or each.encode_name in json.json
        ]


@pytest.mark.parametrize("call", CALLS, ids=name_of)
def test_a_parameter_that_is_unknown_is_refused(app: TestApp, key: str, call: Call) -> None:
    response = send(app, call, good_path(call) + "?nosuch=1", headers=JSON)

    assert (response.status_int, response.json["error"]["code"]) == (400, "unknown_parameter")


@pytest.mark.parametrize("call", CALLS, ids=name_of)
def test_a_parameter_that_begins_with_an_underscore_is_ignored(app: TestApp, key: str, call: Call) -> None:
    for query in ("_=1699", "_t", "_=1&_=2&&__=%ff", "%5F=1"):
        path = f"{good_path(call)}?{query}" + (f"&sessionkey={key}" if call in with_key else "")

        assert send(app, call, path).status_int != 400


@pytest.mark.parametrize(("call", "parameter"), query_parameters, ids=name_of)
def test_a_parameter_that_is_repeated_is_refused(app: TestApp, call: Call, parameter: QueryParameter) -> None:
    response = send(app, call, f"{good_path(call)}?{parameter.name}=1&{parameter.name}=1", headers=JSON)

    assert (response.status_int, response.json["error"]["code"]) == (400, "repeated_parameter")


@pytest.mark.parametrize(("call", "parameter"), query_parameters, ids=name_of)
def test_a_parameter_that_is_wrong_is_refused_by_one_of_its_refusals(
    app: TestApp, call: Call, parameter: QueryParameter
) -> None:
    codes = {refusal.code for refusal in parameter.refuses}

    for text in WRONG[parameter.kind.schema["type"]]:
        response = send(app, call, f"{good_path(call)}?{parameter.name}={text}", headers=JSON)

        assert response.status_int == 400
        assert response.json["error"]["code"] in codes


@pytest.mark.parametrize(("call", "parameter"), query_parameters, ids=name_of)
def test_parameters_that_exclude_each_other_are_refused(app: TestApp, call: Call, parameter: QueryParameter) -> None:
    for other in parameter.excludes:
        response = send(app, call, f"{good_path(call)}?{parameter.name}=1&{other}=1", headers=JSON)

        assert (response.status_int, response.json["error"]["code"]) == (400, "conflicting_parameters")


@pytest.mark.parametrize(("call", "parameter"), path_parameters, ids=name_of)
def test_a_number_in_a_path_that_is_too_large_is_refused_by_name(
    app: TestApp, call: Call, parameter: PathParameter
) -> None:
    response = send(app, call, good_path(call, **{parameter.name: str(UINT31_MAX + 1)}))

    assert response.status_int == 400
    assert parameter.name in response.text


@pytest.mark.parametrize("call", CALLS, ids=name_of)
def test_another_method_is_refused_with_those_that_are_right(app: TestApp, call: Call) -> None:
    allowed = [method for other in CALLS if other.path == call.path for method in other.methods]

    for method in {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"} - set(allowed):
        response = app.request(good_path(call), method=method, expect_errors=True)

        assert (response.status_int, response.headers["Allow"]) == (405, ", ".join(allowed))


@pytest.mark.parametrize("call", [call for call in CALLS if call.other_methods], ids=name_of)
def test_another_method_of_a_call_answers_in_the_same_way(app: TestApp, call: Call) -> None:
    for headers in ({}, JSON):
        first, *others = [send(app, call, method=method, headers=headers) for method in call.methods]

        assert [(other.status, other.headers) for other in others] == [(first.status, first.headers)] * len(others)


def test_no_call_that_makes_something_answers_head() -> None:
    assert [call.path for call in CALLS if "HEAD" in call.methods and not call.is_safe] == []


# The metrics count that they were asked for.
@pytest.mark.parametrize("call", [call for call in CALLS if call.is_safe and call.path != "/metrics"], ids=name_of)
def test_head_answers_like_get_without_the_body(app: TestApp, call: Call) -> None:
    got, head = app.get(good_path(call)), app.head(good_path(call))

    assert (head.headers, head.body) == (got.headers, b"")


@pytest.mark.parametrize("call", CALLS, ids=name_of)
def test_a_path_may_end_in_one_slash_and_be_written_in_other_ways(app: TestApp, key: str, call: Call) -> None:
    for path in (good_path(call).rstrip("/") + "/", *(each.replace("<userid>", "2") for each in call.other_paths)):
        response = send(app, call, path.replace("#", "%23"), key)

        assert response.status_int == 200


@pytest.mark.parametrize("call", [call for call in CALLS if not call.option], ids=name_of)
def test_a_path_that_is_unknown_is_told_of_the_call(app: TestApp, call: Call) -> None:
    assert call.path in app.get("/nothing", status=404).text


@pytest.mark.parametrize("call", [call for call in CALLS if NoScore in call.refuses], ids=name_of)
def test_a_call_about_a_user_without_a_score_gives_the_refusal_that_it_declares(app: TestApp, call: Call) -> None:
    response = send(app, call, good_path(call, userid="9"), headers=JSON)

    assert response.json["error"]["code"] == NoScore.code


def test_what_has_no_form_in_json_is_a_bug() -> None:
    with pytest.raises(TypeError, match="no form in JSON"):
        write_json(object())


def test_every_refusal_has_its_own_code_word_and_a_status_line() -> None:
    codes = [refusal.code for refusal in refusals()]

    assert sorted(codes) == sorted(set(codes))
    assert all(re.fullmatch("[45][0-9]{2} [A-Z].*", refusal.status) for refusal in refusals())
