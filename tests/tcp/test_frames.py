from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoresvc.api.request import Request
from scoresvc.tcp import frames
from scoresvc.tcp.frames import BadRequestFrame, FrameError, FrameReader, FrameTooLong, NotJSON

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=10,
)


def feed_all(reader: FrameReader, segments: list[bytes]) -> bytes | None:
    """Feeds segments until a frame is complete."""
    return next((frame for frame in map(reader.feed, segments) if frame is not None), None)


def request_frame(**members: Any) -> bytes:
    return json.dumps({"method": "GET", "path": "/"} | members).encode()


def parse_request(frame: bytes) -> Request:
    return frames.parse_request(frame, "127.0.0.1")


def parse(**members: Any) -> Request:
    return parse_request(request_frame(**members))


class TestReadingFrames:
    def test_a_frame_ends_at_its_nul(self) -> None:
        assert FrameReader(10).feed(b"{}\0") == b"{}"

    def test_a_frame_without_its_nul_is_incomplete(self) -> None:
        assert FrameReader(10).feed(b"{}") is None

    def test_a_frame_may_come_byte_by_byte(self) -> None:
        frame = request_frame(path="/é")

        assert feed_all(FrameReader(100), [bytes([byte]) for byte in frame + b"\0"]) == frame

    def test_a_character_may_be_split_over_two_segments(self) -> None:
        reader = FrameReader(10)

        reader.feed('"é'.encode()[:2])

        assert reader.feed('é"'.encode()[1:] + b"\0") == '"é"'.encode()

    def test_an_empty_frame_is_a_frame(self) -> None:
        assert FrameReader(10).feed(b"\0") == b""

    def test_of_two_frames_at_once_the_first_counts(self) -> None:
        assert FrameReader(10).feed(b"1\x002\0") == b"1"

    def test_a_frame_may_be_as_long_as_the_limit(self) -> None:
        assert FrameReader(10).feed(b"0123456789\0") == b"0123456789"

    @pytest.mark.parametrize("segments", [[b"0123456789A\0"], [b"0123456789A"], [b"0123456789", b"A"]])
    def test_a_frame_one_byte_too_long_is_refused_before_it_ends(self, segments: list[bytes]) -> None:
        with pytest.raises(FrameTooLong):
            feed_all(FrameReader(10), segments)

    def test_bytes_after_the_nul_do_not_count(self) -> None:
        assert FrameReader(10).feed(b"1\0" + b"x" * 100) == b"1"

    def test_a_long_frame_takes_no_more_time_a_byte_than_a_short_one(self) -> None:
        def seconds(count: int, length: int) -> float:
            started = time.perf_counter()
            for _ in range(count):
                reader = FrameReader(length)
                for _ in range(length):
                    reader.feed(b"x")
            return time.perf_counter() - started

        short = min(seconds(100, 3_000) for _ in range(2))
        long = min(seconds(1, 300_000) for _ in range(2))

        assert long < 5 * short

    @settings(deadline=None)
    @given(st.lists(st.binary()), st.integers(0, 40))
    def test_how_a_frame_is_cut_into_segments_makes_no_difference(self, segments: list[bytes], limit: int) -> None:
        def outcome(segments: list[bytes]) -> bytes | str | None:
            try:
                return feed_all(FrameReader(limit), segments)
            except FrameTooLong:
                return "too long"

        whole = b"".join(segments)
        frame, nul, _ = whole.partition(b"\0")
        expected = "too long" if len(frame) > limit else frame if nul else None

        assert outcome(segments) == expected


class TestRefusingFrames:
    @pytest.mark.parametrize(
        "frame",
        [
            b"",
            b" ",
            b"GET / HTTP/1.1\r\n\r\n",
            b'{"method": "GET", "path": "/"',
            b'{"method": "GET", "path": "/"} {}',
            b"{'method': 'GET', 'path': '/'}",
            b'{"method": "GET", "path": "\xff"}',
            b'{"method": "GET", "path": "\xed\xa0\x80"}',
            b'{"method": "GET", "path": "/", "data": NaN}',
            b'{"method": "GET", "path": "/", "data": -Infinity}',
            b'{"method": "GET", "path": "/", "data": 1e999}',
            b'{"method": "GET", "path": "/", "data": [-1e999]}',
            b'{"method": "GET", "path": "/", "data": "a\nb"}',
            b'{"method": "GET", "path": "/", "data": ' + b"9" * 5000 + b"}",
            b"[" * 30_000,
            b"[" * 30_000 + b"]" * 30_000,
            b'{"method": "GET", "path": "/", "data": ' + b"[" * 500 + b"]" * 500 + b"}",
            b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
            b"\xef\xbb\xbf" + request_frame(),
            request_frame().decode().encode("utf-16"),
            request_frame().decode().encode("utf-32-le"),
        ],
        ids=lambda frame: repr(frame[:60]),
    )
    def test_anything_but_json_in_utf_8_is_refused(self, frame: bytes) -> None:
        with pytest.raises(NotJSON):
            parse_request(frame)

    @pytest.mark.parametrize("place", ["method", "path", "data", "headers", "unknown"])
    @pytest.mark.parametrize("escape", [r"\ud800", r"\udc00", r"a\udfffb"])
    def test_a_lone_surrogate_is_refused_wherever_it_stands(self, place: str, escape: str) -> None:
        frame = request_frame(**{place: "HERE"}).replace(b"HERE", escape.encode())

        with pytest.raises(NotJSON):
            parse_request(frame)

    def test_a_surrogate_pair_is_a_character(self) -> None:
        frame = request_frame(data="HERE").replace(b"HERE", rb"\ud83c\udfae")

        assert parse_request(frame).body == "🎮".encode()

    def test_nesting_is_allowed_up_to_its_limit(self) -> None:
        deepest: list[Any] = []
        for _ in range(frames.NESTING_MAX - 3):
            deepest = [deepest]

        assert parse(data=[deepest, []]).body == json.dumps([deepest, []]).encode()

    @pytest.mark.parametrize("brackets", ["[" * 600, "{" * 600])
    def test_brackets_in_a_string_do_not_nest(self, brackets: str) -> None:
        assert parse(data=brackets).body == brackets.encode()

    def test_many_arrays_side_by_side_do_not_nest(self) -> None:
        assert parse(data=[[]] * 1000).body == json.dumps([[]] * 1000).encode()

    @pytest.mark.parametrize(
        "frame",
        [
            b"null",
            b'"GET /"',
            b"[]",
            b"{}",
            b'{"method": "GET"}',
            b'{"path": "/"}',
            *(request_frame(method=method) for method in (None, 1, ["GET"], "", "get", "HEAD", "OPTIONS", "GET ")),
            *(request_frame(path=path) for path in (None, 1, ["/"], "", "x", "http://host/", "*")),
            *(request_frame(path=path) for path in ("/a b", "/\t", "/\r\nX: y", "/\0", "/\x7f", "/?a b", "/?\n")),
            *(request_frame(headers=headers) for headers in (None, 1, "Accept: a", ["Accept"])),
            *(request_frame(headers={"Accept": value}) for value in (None, 1, ["a"], "a\r\nB: c", "\n", "\0", "€")),
            *(request_frame(headers={name: "a"}) for name in ("", "A B", "A:", "A\n", "é", "X_Forwarded_For")),
            *(request_frame(headers={name: "1"}) for name in ("Content-Length", "connection", "TRANSFER-ENCODING")),
            request_frame(headers={"Accept": "a", "accept": "b"}),
        ],
        ids=repr,
    )
    def test_json_of_another_shape_is_a_bad_request(self, frame: bytes) -> None:
        with pytest.raises(BadRequestFrame):
            parse_request(frame)

    @settings(max_examples=50, deadline=None)
    @given(st.binary() | json_values.map(lambda value: json.dumps(value).encode()))
    def test_any_frame_is_a_request_or_is_refused(self, frame: bytes) -> None:
        try:
            outcome: object = parse_request(frame)
        except FrameError as error:
            outcome = error

        assert isinstance(outcome, Request | BadRequestFrame | NotJSON)


class TestParsingRequests:
    @pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
    def test_a_request_has_a_method_and_a_path(self, method: str) -> None:
        assert parse(method=method, path="/2/score") == Request(method, "/2/score", "", {}, b"", "127.0.0.1")

    def test_a_string_is_sent_as_it_is(self) -> None:
        request = parse(data='say "é"')

        assert (request.headers, request.body) == ({"content-type": "text/plain; charset=utf-8"}, 'say "é"'.encode())

    @pytest.mark.parametrize("data", [1500, 0, 1.5, True, False, [], {}, ["é", None], {"a": {"b": 1}}, 10**4000])
    def test_any_other_value_is_sent_as_its_json(self, data: object) -> None:
        request = parse(data=data)

        assert request.headers == {"content-type": "application/json"}
        assert request.body == json.dumps(data, ensure_ascii=False).encode()

    @pytest.mark.parametrize("members", [{}, {"data": None}])
    def test_a_request_without_data_has_an_empty_body(self, members: dict[str, None]) -> None:
        request = parse(**members)

        assert (request.headers, request.body) == ({}, b"")

    def test_an_unknown_key_is_ignored(self) -> None:
        assert parse(version=2) == parse()

    def test_the_last_of_two_equal_keys_counts(self) -> None:
        request = parse_request(b'{"method": "GET", "path": "/first", "path": "/last"}')

        assert request.path == "/last"

    @pytest.mark.parametrize(
        ("path", "parsed", "query"),
        [
            ("/4711/#", "/4711/#", ""),
            ("/4711/%23", "/4711/#", ""),
            ("/a?b=c", "/a", "b=c"),
            ("/a?", "/a", ""),
            ("/a?b?c", "/a", "b?c"),
            ("/a%3Fb?c%3Fd%zz", "/a?b", "c%3Fd%zz"),
            ("/a%2", "/a%2", ""),
            ("/é", "/Ã©", ""),
            ("/%C3%A9", "/Ã©", ""),
            ("/%ff", "/ÿ", ""),
            ("/?é=€", "/", "%C3%A9=%E2%82%AC"),
            ("//host/a", "//host/a", ""),
        ],
    )
    def test_a_path_is_split_and_decoded_as_an_http_server_does(self, path: str, parsed: str, query: str) -> None:
        request = parse(path=path)

        assert (request.path, request.query) == (parsed, query)

    def test_headers_are_kept_by_lower_case_name(self) -> None:
        request = parse(headers={"Authorization": "Bearer x", "X-1": " é "})

        assert request.headers == {"authorization": "Bearer x", "x-1": "é"}

    def test_a_header_may_name_the_type_of_the_body(self) -> None:
        request = parse(data="a=1", headers={"Content-Type": "application/x-www-form-urlencoded"})

        assert request.headers == {"content-type": "application/x-www-form-urlencoded"}


class TestWritingResponses:
    def test_a_response_has_its_keys_in_order(self) -> None:
        response = frames.make_response("200 OK", "text/plain", b"Hello, World!")

        assert response.to_bytes() == b'{"code": 200, "message": "OK", "data": "Hello, World!"}'

    def test_a_response_is_ascii(self) -> None:
        response = frames.make_response("200 OK", "text/plain", "é\0".encode())

        assert response.to_bytes() == rb'{"code": 200, "message": "OK", "data": "\u00e9\u0000"}'

    def test_an_error_response_has_no_data(self) -> None:
        assert frames.refuse(422).to_bytes() == b'{"code": 422, "message": "Unprocessable Entity", "data": null}'

    @pytest.mark.parametrize(
        ("status", "message"),
        [
            ("201 Fine", "Created"),
            ("413 X", "Request Entity Too Large"),
            ("414 X", "Request-URI Too Long"),
            ("416 X", "Requested Range Not Satisfiable"),
            ("422 X", "Unprocessable Entity"),
            ("299 Of my own", "Of my own"),
            ("299", ""),
        ],
    )
    def test_the_message_is_the_standard_phrase_where_there_is_one(self, status: str, message: str) -> None:
        assert frames.make_response(status, "", b"").message == message

    @pytest.mark.parametrize(
        ("content_type", "body", "data"),
        [
            ("application/json", b"", None),
            ("application/json", b'{"a": [1]}', {"a": [1]}),
            ("Application/JSON; charset=utf-8", b'"\xc3\xa9"', "é"),
            ("application/json", b"null", None),
            ("text/json", b"[1]", "[1]"),
            ("text/plain", b"[1]", "[1]"),
            ("", b"\xc3\xa9", "é"),
            ("text/plain; charset=latin-1", b"\xe9", "é"),
            ('text/plain; a=b; CHARSET="iso-8859-1"', b"\xe9", "é"),
            ("image/png", b"\x89PNG", "\ufffdPNG"),
        ],
    )
    def test_data_is_the_json_or_the_text_of_the_body(self, content_type: str, body: bytes, data: object) -> None:
        assert frames.make_response("200 OK", content_type, body).data == data

    @pytest.mark.parametrize(
        ("body", "reason"),
        [(b"{", "Expecting"), (b"NaN", "NaN"), (b"\xff", "utf-8"), (b"[" * 600 + b"]" * 600, "nested too deep")],
    )
    def test_a_body_that_is_not_json_as_its_type_says_is_an_error(self, body: bytes, reason: str) -> None:
        with pytest.raises(ValueError, match=reason):
            frames.make_response("200 OK", "application/json", body)

    @settings(max_examples=50, deadline=None)
    @given(json_values.filter(lambda value: value is not None and value != ""))
    def test_every_value_makes_the_round_trip_unchanged(self, value: object) -> None:
        request = parse(data=value)
        assert isinstance(request.body, bytes)

        response = frames.make_response("200 OK", request.headers["content-type"], request.body)

        assert json.loads(response.to_bytes()) == {"code": 200, "message": "OK", "data": value}
