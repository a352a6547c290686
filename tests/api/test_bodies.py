"""What the body of a post may be, by Content-Type."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable

import pytest
from webtest import TestApp

from scoresvc.storage import Store
from tests.conftest import Query, make_app

FORM = "application/x-www-form-urlencoded"
MULTIPART = 'multipart/form-data; boundary="b0b"'
JSON = "application/json"
TEXTS = ("", "text/plain", "text/plain; charset=utf-8", "application/octet-stream", "text/html", "x", "image/png; a=b")

Post = Callable[..., tuple[int, str, list[tuple[int]]]]


@pytest.fixture
def post(app: TestApp, key: str, query: Query) -> Post:
    """Posts a body with a valid key; returns status, sentence and the scores that are stored."""

    def send(content_type: str, body: bytes | str, key: str = key, **headers: str) -> tuple[int, str, list[tuple[int]]]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        octets = body if isinstance(body, bytes) else body.replace("KEY", key).encode()
        content = {"Content-Type": content_type} if content_type else {}
        response = app.request(
            f"/2/score?sessionkey={key}" if key else "/2/score",
            method="POST",
            body=octets,
            headers={**content, **named},
            expect_errors=True,
        )
        return response.status_int, response.text, query("SELECT score FROM scores")

    return send


def multipart(*parts: str) -> str:
    return "".join(f"--b0b\r\nContent-Disposition: form-data; {part}\r\n" for part in parts) + "--b0b--\r\n"


SCORE_PART = 'name="score"\r\n\r\n1500'

# Numbers


@pytest.mark.parametrize("content_type", [*TEXTS, FORM, FORM.upper(), f"{FORM};charset=UTF-8", JSON, MULTIPART])
@pytest.mark.parametrize(
    "body", ["1500", "1500.0", "1500.00", '"1500"', '"1500.0"', "\ufeff1500", '\ufeff"1500"', " 1500\r\n"]
)
def test_a_number_alone_is_the_score_in_every_type(post: Post, content_type: str, body: str) -> None:
    assert post(content_type, body) == (200, "", [(1500,)])


@pytest.mark.parametrize("content_type", ["text/plain", FORM, MULTIPART])
@pytest.mark.parametrize("body", ["'1500'", "0000001500"])
def test_text_may_have_single_quotes_and_leading_zeros(post: Post, content_type: str, body: str) -> None:
    assert post(content_type, body) == (200, "", [(1500,)])


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (FORM, "score=1500"),
        (FORM, "score=1500\r\n"),
        (FORM, "score=%31500"),
        (FORM, "score=%221500%22"),
        (FORM, "score=%EF%BB%BF1500"),
        (FORM, "\ufeffscore=1500.0"),
        (FORM, "1500="),
        (FORM, "1500=\n"),
        (FORM, "level=2&score=1500&player=J%F6rg&level=3"),
        (FORM, "&&score=1500&"),
        (JSON, '{"score": 1500}'),
        (JSON, '{"score": 1500.00}'),
        (JSON, '{"score": "1500"}'),
        (JSON, '{"score": "1500.0"}'),
        (JSON, '\ufeff{"\\u0073core": 1500, "level": {"score": 1, "score": 2}, "x": [1], "x": null}'),
        (JSON, '\r\n{"score":1500,"sessionkey":null}'),
        (f"{JSON}; charset=utf-8", '{"score": 1500, "player": "\\ud800"}'),
        (MULTIPART, multipart(SCORE_PART)),
        (MULTIPART, multipart(SCORE_PART).rstrip()),
        (MULTIPART, "\r\n" + multipart(SCORE_PART)),
        (MULTIPART, multipart('name="level"\r\n\r\n2', SCORE_PART, 'name="level"\r\n\r\n3')),
        (MULTIPART, multipart('name="file"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\n--b0\r\n', SCORE_PART)),
        (MULTIPART, multipart("name=score\r\n\r\n1500")),
        (MULTIPART, multipart('name="score"\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"1500.0"\r\n')),
        (MULTIPART, multipart('name="score"\r\ncontent-transfer-encoding: 8bit\r\n\r\n1500')),
        ("Multipart/Form-Data; boundary=b0b", multipart(SCORE_PART)),
        ("multipart/form-data; charset=utf-8; BOUNDARY=b0b", multipart(SCORE_PART)),
    ],
)
def test_a_form_and_json_have_the_score_in_a_field(post: Post, content_type: str, body: str) -> None:
    assert post(content_type, body) == (200, "", [(1500,)])


def test_a_multipart_form_of_unity_is_read(post: Post) -> None:
    boundary = "qUFJ1tCxOP5wHXhCNNcxAIEyOCZAY2DXCAWXZEZ5"
    part = 'Content-Type: text/plain; charset="utf-8"\r\nContent-disposition: form-data; name="score"\r\n\r\n1500\r\n'

    stored = post(f'multipart/form-data; boundary="{boundary}"', f"--{boundary}\r\n{part}--{boundary}--\r\n")

    assert stored == (200, "", [(1500,)])


# Numbers that are none

NO_NUMBERS = ("", " ", "+5", "-1", "1_0", "0x3", "٣", "1e3", "1500.5", "1500.", ".0", "1 2", "2147483648", "9" * 11)


@pytest.mark.parametrize(
    "number", [*NO_NUMBERS, "'1500\"", '"1500', '""1500""', "1500.0.0", "1500\0", "00000001500", "NaN"]
)
@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("", "{}"),
        ("text/plain", "{}"),
        (FORM, "{}"),
        (FORM, "{}="),
        (FORM, "score={}"),
        (FORM, "score={}&level=2"),
        (MULTIPART, "{}"),
        (MULTIPART, multipart('name="score"\r\n\r\n{}')),
    ],
)
def test_what_is_no_number_is_refused_with_the_three_ways_that_are_right(
    post: Post, content_type: str, body: str, number: str
) -> None:
    status, sentence, scores = post(content_type, body.format(number))

    assert (status, scores) == (400, [])
    assert sentence.startswith("score must be a whole number from 0 to 2147483647")
    assert sentence.endswith('send 1500 alone, a form with score=1500, or JSON such as {"score": 1500}')


@pytest.mark.parametrize(
    "value",
    [
        *(json.dumps(number) for number in NO_NUMBERS),
        "-1",
        "1e3",
        "15.5",
        "2147483648",
        "-0",
        "true",
        "null",
        "[1]",
        "{}",
    ],
)
@pytest.mark.parametrize("body", ["VALUE", '{"score": VALUE}', '{"Score": 1500, "score": VALUE}'])
def test_what_is_no_number_in_json_is_refused(post: Post, body: str, value: str) -> None:
    status, sentence, scores = post(JSON, body.replace("VALUE", value))

    assert (status, scores) == (400, [])
    assert '{"score": 1500}' in sentence


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (FORM, "score=%2B5"),
        (FORM, "Score=1500"),
        (FORM, "=1500"),
        (FORM, "1500&level=2"),
        (FORM, "%31"),
        (FORM, '{"score": 1500}'),
        ("", "score=1500"),
        ("text/plain", '{"score": 1500}'),
        (JSON, "score=1500"),
        (JSON, '[{"score": 1500}]'),
        (JSON, '{"level": {"score": 1500}}'),
        (MULTIPART, "score=1500"),
        (MULTIPART, multipart('name="Score"\r\n\r\n1500')),
        (MULTIPART, multipart('filename="score"\r\n\r\n1500')),
    ],
)
def test_a_score_somewhere_else_is_none(post: Post, content_type: str, body: str) -> None:
    status, sentence, scores = post(content_type, body)

    assert (status, scores) == (400, [])
    assert "a form with score=1500" in sentence


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (FORM, "score=1500&score=1500"),
        (FORM, "score=1500&sc%6Fre=1"),
        (JSON, '{"score": 1500, "score": 1500}'),
        (JSON, '{"score": 1500, "score": null}'),
        (MULTIPART, multipart(SCORE_PART, SCORE_PART)),
    ],
)
def test_a_score_comes_once(post: Post, content_type: str, body: str) -> None:
    assert post(content_type, body) == (400, "score is given more than once; give it once", [])


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (JSON, "0001500"),
        (JSON, "{"),
        (JSON, "{'score': 1500}"),
        (JSON, '{"score": 1500,}'),
        (JSON, '{"score": 1500} 1'),
        (JSON, '{"score": 1500, "level": NaN}'),
        (JSON, b'{"score": 1500, "name": "\xff"}'),
        (JSON, "[" * 1024),
        ("multipart/form-data", multipart(SCORE_PART)),
        ("multipart/form-data; boundary=", multipart(SCORE_PART)),
        ("multipart/form-data; boundary=b0", multipart(SCORE_PART)),
        (MULTIPART, multipart(SCORE_PART).removesuffix("--b0b--\r\n")),
        (MULTIPART, multipart(SCORE_PART).removesuffix("--\r\n")),
        (MULTIPART, multipart(SCORE_PART) + "1500"),
        (MULTIPART, multipart(SCORE_PART).replace("\r\n", "\n")),
        (MULTIPART, multipart(SCORE_PART).replace("--b0b\r", "--b0b:\r", 1)),
        (MULTIPART, multipart('name="score"\r\n1500')),
        (MULTIPART, multipart('name="score"\r\n=Content-Type: text/plain\r\n\r\n1500')),
        (MULTIPART, multipart('name="score"\r\nContent-Type\r\n\r\n1500')),
        (MULTIPART, multipart('name="score"\nX: x\r\n\r\n1500')),
        (MULTIPART, multipart('name="score\r\n\r\n1500')),
        (MULTIPART, multipart('name="score"\r\ncontent-disposition: form-data; name="level"\r\n\r\n1500')),
        (MULTIPART, multipart('name="score"\r\nContent-Transfer-Encoding: base64\r\n\r\n1500')),
        (MULTIPART, "--b0b--\r\n" + multipart(SCORE_PART)),
    ],
)
def test_a_body_that_is_not_what_its_type_says_is_refused(post: Post, content_type: str, body: str | bytes) -> None:
    status, sentence, scores = post(content_type, body)

    assert (status, scores) == (400, [])
    assert "as its Content-Type says" in sentence
    assert "send 1500 alone" in sentence


# What is not read


@pytest.mark.parametrize("content_type", ["", "text/plain", FORM, JSON, MULTIPART])
@pytest.mark.parametrize("charset", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
def test_a_body_in_utf_16_is_refused_by_name(post: Post, content_type: str, charset: str) -> None:
    assert post(content_type, "1500".encode(charset)) == (
        415,
        "the body is in UTF-16 or UTF-32; send it in UTF-8",
        [],
    )


@pytest.mark.parametrize("charset", ["utf-16", "UTF-16LE", '"utf-16be"', "ucs-2", "UTF-32", "UTF16"])
def test_a_charset_of_wide_characters_is_refused_whatever_the_body(post: Post, charset: str) -> None:
    status, sentence, scores = post(f"text/plain; charset={charset}", "1500")

    assert (status, scores) == (415, [])
    assert "send it in UTF-8" in sentence


@pytest.mark.parametrize("charset", ["utf-8", "UTF8", "us-ascii", "iso-8859-1", "windows-1252"])
def test_digits_are_the_same_in_other_charsets(post: Post, charset: str) -> None:
    assert post(f"text/plain; charset={charset}", "1500") == (200, "", [(1500,)])


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "identity, gzip"])
@pytest.mark.parametrize("body", [b"1500", gzip.compress(b"1500", mtime=0)])
def test_a_content_encoding_is_refused(app: TestApp, key: str, query: Query, coding: str, body: bytes) -> None:
    headers = {"Content-Encoding": coding}

    response = app.post(f"/2/score?sessionkey={key}", body, headers=headers, status=415)

    assert "without Content-Encoding" in response.text
    assert response.headers["Accept-Encoding"] == "identity"
    assert query("SELECT * FROM scores") == []


@pytest.mark.parametrize("coding", ["identity", "Identity", ""])
def test_a_body_that_is_not_encoded_may_say_so(post: Post, coding: str) -> None:
    assert post("", "1500", Content_Encoding=coding) == (200, "", [(1500,)])


@pytest.mark.parametrize("content_type", ["", "text/plain", FORM, JSON, MULTIPART])
def test_a_compressed_body_is_refused_without_its_header(post: Post, content_type: str) -> None:
    status, sentence, scores = post(content_type, gzip.compress(b"1500", mtime=0))

    assert (status, scores) == (415, [])
    assert "compressed" in sentence


@pytest.mark.parametrize(
    ("content_type", "body"), [(FORM, "score=1500"), (MULTIPART, multipart(SCORE_PART)), (JSON, "1500")]
)
def test_a_body_of_any_type_has_at_most_1_kib(post: Post, content_type: str, body: str) -> None:
    assert post(content_type, body.ljust(1025))[0] == 413
    assert post(content_type, body.ljust(1024)) == (200, "", [(1500,)])


# The key

WITH_KEY = [
    (FORM, "score=1500&sessionkey=KEY"),
    (FORM, "sessionkey=KEY&score=1500"),
    (JSON, '{"score": 1500, "sessionkey": "KEY"}'),
    (MULTIPART, multipart(SCORE_PART, 'name="sessionkey"\r\n\r\nKEY')),
]


@pytest.mark.parametrize(("content_type", "body"), WITH_KEY)
def test_a_form_and_json_may_have_the_key(app: TestApp, key: str, post: Post, content_type: str, body: str) -> None:
    assert post(content_type, body.replace("KEY", key), key="") == (200, "", [(1500,)])


@pytest.mark.parametrize(("content_type", "body"), WITH_KEY)
def test_the_key_comes_from_one_place(post: Post, key: str, content_type: str, body: str) -> None:
    refused = (400, "the session key is given more than once; give it once", [])

    assert post(content_type, body) == refused
    assert post(content_type, body.replace("KEY", ""), key) == refused
    assert post(content_type, body, key="", Authorization=f"Bearer {key}") == refused


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (FORM, "score=1500&sessionkey=NOSUCH"),
        (FORM, "score=1500&sessionkey="),
        (FORM, "score=1500&sessionkey=%ff%00"),
        (FORM, b"score=1500&sessionkey=\xff"),
        (JSON, '{"score": 1500, "sessionkey": "\\ud800"}'),
        (JSON, '{"score": 1500, "sessionkey": 7}'),
        (JSON, '{"score": 1500, "sessionkey": null}'),
        (JSON, '{"score": 1500, "sessionkey": ["KEY"]}'),
        (MULTIPART, multipart(SCORE_PART, 'name="sessionkey"\r\n\r\né')),
    ],
)
def test_a_key_in_the_body_that_is_not_valid_is_refused(post: Post, content_type: str, body: str | bytes) -> None:
    status, sentence, scores = post(content_type, body, key="")

    assert (status, scores) == (401, [])
    assert "session key" in sentence


def test_a_key_comes_once_in_the_body(post: Post) -> None:
    status, sentence, _ = post(FORM, "score=1500&sessionkey=a&sessionkey=a", key="")

    assert (status, sentence) == (400, "sessionkey is given more than once; give it once")


def test_the_score_is_checked_before_the_key(post: Post) -> None:
    assert post(FORM, "score=x&sessionkey=a", key="")[0] == 400
    assert post(FORM, "score=1&sessionkey=a", key="")[0] == 401


def test_the_body_matters_only_where_a_call_reads_it(store: Store) -> None:
    app = make_app(store)

    app.request("/2/highscorelist", method="GET", body=b"\xff\xfe", headers={"Content-Encoding": "gzip"}, status=200)
