from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoresvc.tcp.frames import FrameReader, FrameTooLong


def feed_all(reader: FrameReader, segments: list[bytes]) -> bytes | None:
    """Feeds segments until a frame is complete."""
    return next((frame for frame in map(reader.feed, segments) if frame is not None), None)


def test_a_frame_ends_at_its_nul() -> None:
    assert FrameReader(10).feed(b"{}\0") == b"{}"


def test_a_frame_without_its_nul_is_incomplete() -> None:
    assert FrameReader(10).feed(b"{}") is None


def test_a_frame_may_come_byte_by_byte() -> None:
    frame = '{"method": "GET", "path": "/é"}'.encode()

    assert feed_all(FrameReader(100), [bytes([byte]) for byte in frame + b"\0"]) == frame


def test_a_character_may_be_split_over_two_segments() -> None:
    reader = FrameReader(10)

    reader.feed('"é'.encode()[:2])

    assert reader.feed('é"'.encode()[1:] + b"\0") == '"é"'.encode()


def test_an_empty_frame_is_a_frame() -> None:
    assert FrameReader(10).feed(b"\0") == b""


def test_of_two_frames_at_once_the_first_counts() -> None:
    reader = FrameReader(10)

    assert reader.feed(b"1\x002\0") == b"1"
    assert reader.has_trailing_data


def test_a_segment_that_ends_with_the_nul_has_no_trailing_data() -> None:
    reader = FrameReader(10)

    reader.feed(b"1\0")

    assert not reader.has_trailing_data


def test_a_frame_may_be_as_long_as_the_limit() -> None:
    assert FrameReader(10).feed(b"0123456789\0") == b"0123456789"


@pytest.mark.parametrize("segments", [[b"0123456789A\0"], [b"0123456789A"], [b"0123456789", b"A"]])
def test_a_frame_one_byte_too_long_is_refused_before_it_ends(segments: list[bytes]) -> None:
    with pytest.raises(FrameTooLong):
        feed_all(FrameReader(10), segments)


def test_bytes_after_the_nul_do_not_count() -> None:
    assert FrameReader(10).feed(b"1\0" + b"x" * 100) == b"1"


def test_a_long_frame_takes_no_more_time_a_byte_than_a_short_one() -> None:
    def seconds(count: int, length: int) -> float:
        started = time.perf_counter()
        for _ in range(count):
            reader = FrameReader(length)
            for _ in range(length):
                reader.feed(b"x")
        return time.perf_counter() - started

    short = min(seconds(300, 2_000) for _ in range(2))
    long = min(seconds(1, 600_000) for _ in range(2))

    assert long < 5 * short


@settings(deadline=None)
@given(st.lists(st.binary()), st.integers(0, 40))
def test_how_a_frame_is_cut_into_segments_makes_no_difference(segments: list[bytes], limit: int) -> None:
    def outcome(segments: list[bytes]) -> bytes | str | None:
        try:
            return feed_all(FrameReader(limit), segments)
        except FrameTooLong:
            return "too long"

    whole = b"".join(segments)
    frame, nul, _ = whole.partition(b"\0")
    expected = "too long" if len(frame) > limit else frame if nul else None

    assert outcome(segments) == expected
