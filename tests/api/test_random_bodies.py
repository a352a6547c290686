"""Bodies at random: a score is stored only where another library reads the same number from the same bytes."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator
from io import BytesIO
from urllib.parse import parse_qsl, quote, quote_plus

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from python_multipart import parse_form
from python_multipart.exceptions import FormParserError
from webtest import TestApp

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=b0b"
JSON = "application/json"

Body = tuple[str, bytes]

levels = itertools.count()

# What another library reads


def read_number(value: object) -> int | None:
    """The whole number in a value, without what may be around it."""
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    if isinstance(value, int):
        return None if isinstance(value, bool) else value
    text = str(value).strip("\ufeff").strip().strip("\"'")
    return int(text.split(".")[0]) if re.fullmatch(r"[0-9]+(\.0+)?", text, re.ASCII) else None


def values_of_form(body: bytes) -> Iterator[object]:
    text = body.decode("utf-8", "replace").lstrip("\ufeff")
    pairs = parse_qsl(text, keep_blank_values=True)
    yield from (value for name, value in pairs if name == "score")
    yield from (name for name, value in pairs if len(pairs) == 1 and not value.strip())


def values_of_multipart(body: bytes) -> Iterator[object]:
    fields: list[tuple[bytes | None, bytes]] = []
    files: list[tuple[bytes | None, bytes]] = []
    headers = {"Content-Type": MULTIPART.encode(), "Content-Length": str(len(body)).encode()}
    try:
        parse_form(
            headers,
            BytesIO(body.removeprefix(b"\xef\xbb\xbf").lstrip()),
            lambda field: fields.append((field.field_name, field.value or b"")),
            lambda file: files.append((file.field_name, file.file_object.getvalue())),
        )
    except FormParserError:
        return
    yield from (value.decode("utf-8", "replace") for name, value in [*fields, *files] if name == b"score")


def values_of_json(body: bytes) -> Iterator[object]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return
    yield value.get("score") if isinstance(value, dict) else value


def values_of_text(body: bytes) -> Iterator[object]:
    yield body.decode("utf-8", "replace")


READERS: dict[str, Callable[[bytes], Iterator[object]]] = {
    FORM: values_of_form,
    MULTIPART: values_of_multipart,
    JSON: values_of_json,
    "text/plain": values_of_text,
}


def numbers_in(content_type: str, body: bytes) -> set[int | None]:
    """The numbers that other libraries find; a body that is a number alone has that in a form of any type."""
    values = [*READERS[content_type](body), *(() if content_type == JSON else values_of_text(body))]
    return {read_number(value) for value in values}


# Bodies

numbers = st.one_of(
    st.integers(0, 2**31 - 1).map(str),
    st.sampled_from(["1500.0", "1500.00", '"1500"', " 1500\r\n", "\ufeff1500", "0007", "'7'"]),
)
wrong_numbers = st.one_of(
    st.sampled_from(["+5", "-1", "1_0", "0x3", "٣", "1e3", "", "1500.5", "2147483648", "9" * 11, "NaN", "1 2", "5\0"]),
    st.text(max_size=8),
)
values = st.one_of(numbers, numbers, wrong_numbers)
names = st.sampled_from(["score", "score", "level", "", "sc%6Fre", "Score", "name", "score "])
pairs = st.lists(st.tuples(names, values), max_size=4)
others = st.lists(st.tuples(st.sampled_from(["level", "player", "x"]), st.text(max_size=8)), max_size=3)
json_leaves = st.one_of(st.none(), st.booleans(), st.integers(-5, 2**32), st.floats(), values)
json_values = st.recursive(
    json_leaves, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=3))
)


def write_form(fields: list[tuple[str, str]], escape: Callable[[str], str] = quote) -> bytes:
    return "&".join(f"{escape(name)}={escape(value)}" for name, value in fields).encode("utf-8", "replace")


def write_multipart(fields: list[tuple[str, str]], header: str = "") -> bytes:
    part = '--b0b\r\nContent-Disposition: form-data; name="{}"\r\n{}\r\n{}\r\n'
    return ("".join(part.format(name, header, value) for name, value in fields) + "--b0b--\r\n").encode()


escapes = st.sampled_from([quote, quote_plus, str])
part_headers = st.sampled_from(
    ["", "Content-Type: text/plain\r\n", "Content-Transfer-Encoding: base64\r\n", "content-transfer-encoding: 8bit\r\n"]
)
contents = {
    "text/plain": values.map(str.encode),
    FORM: st.builds(write_form, pairs, escapes),
    MULTIPART: st.builds(write_multipart, pairs, part_headers),
    JSON: st.one_of(
        json_values.map(lambda value: json.dumps(value).encode()),
        pairs.map(lambda each: ("{" + ", ".join(f'"{name}": {value}' for name, value in each) + "}").encode()),
    ),
}
pieces = st.sampled_from(
    [b"&", b"=", b"+", b"\0", b"\r\n", b'"', b"--b0b", b"\r\n--b0b--", b"%31", b"1", b"\xff", b"}"]
)


@st.composite
def bodies(draw: st.DrawFn) -> Body:
    """Most are of their type; one may have lost a part, or have something else in its place."""
    content_type = draw(st.sampled_from(list(contents)))
    content = draw(st.one_of(contents[content_type], contents[content_type], *contents.values()))
    for _ in range(draw(st.integers(0, 2))):
        start = draw(st.integers(0, len(content)))
        end = draw(st.integers(start, min(len(content), start + 8)))
        content = content[:start] + draw(st.one_of(st.just(b""), pieces)) + content[end:]
    return content_type, content


def post(app: TestApp, key: str, content_type: str, body: bytes) -> tuple[int, str]:
    """Posts to a level that nobody has posted to. Returns the status and the list after it."""
    level = next(levels)
    headers = {"Content-Type": content_type, "Authorization": f"Bearer {key}"}
    response = app.post(f"/{level}/score", body, headers=headers, expect_errors=True)
    return response.status_int, app.get(f"/{level}/highscorelist").text


quickly = settings(
    max_examples=1000,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@quickly
@given(bodies())
@example((FORM, b"score=+5"))
@example((FORM, b"0=\r\n"))
@example((MULTIPART, write_multipart([("score", "1500")], "Content-Transfer-Encoding: base64\r\n")))
@example((MULTIPART, write_multipart([("score", "15"), ("level", "2")]) + b"00"))
@example((JSON, b'{"score": 1, "score": 2}'))
@example((JSON, b'{"score": 1, "x": "\xff"}'))
def test_a_score_is_stored_only_where_another_library_reads_it(app: TestApp, key: str, body: Body) -> None:
    status, scores = post(app, key, *body)

    assert status in (200, 400, 413, 415)
    stored = {int(score.partition("=")[2]) for score in scores.split(",") if score}
    assert len(stored) == (status == 200)
    assert stored <= numbers_in(*body)


@settings(quickly, max_examples=200)
@given(number=st.integers(0, 2**31 - 1), before=others, after=others, escape=st.sampled_from([quote, quote_plus]))
def test_a_score_among_other_fields_is_stored(
    app: TestApp, key: str, number: int, before: list[tuple[str, str]], after: list[tuple[str, str]], escape: object
) -> None:
    fields = [*before, ("score", str(number)), *after]

    for content_type, body in (
        (FORM, write_form(fields, escape)),
        (MULTIPART, write_multipart([(name, quote(value)) for name, value in fields])),
        (JSON, json.dumps({**dict(fields), "score": number}).encode()),
    ):
        assert numbers_in(content_type, body) >= {number}
        assert post(app, key, content_type, body) == (200, f"4711={number}")


@pytest.mark.parametrize(
    ("content_type", "body", "number"),
    [
        (FORM, b"score=1500&level=2", 1500),
        (MULTIPART, write_multipart([("score", "1500")]), 1500),
        (JSON, b'{"score": 1500.0}', 1500),
        ("text/plain", b"'1500'\n", 1500),
        (FORM, b"score=1e3", None),
        (JSON, b'{"score": true}', None),
    ],
)
def test_the_other_libraries_read_numbers(content_type: str, body: bytes, number: int | None) -> None:
    assert number in numbers_in(content_type, body)
