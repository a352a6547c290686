"""What a name may be."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoresvc.names import read_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Ada", "Ada"),
        ("  Ada \t\r\n", "Ada"),
        ("Ada \u3000 \u00a0 Lovelace", "Ada Lovelace"),
        ("A\u030angstro\u0308m", "Ångström"),
        ("7 of 9", "7 of 9"),
        ("Nguyễn", "Nguyễn"),
        ("ที่นี่", "ที่นี่"),
        ("नमस्ते", "नमस्ते"),
        ("क्\u200dष", "क्\u200dष"),
        ("👩\u200d🚀", "👩\u200d🚀"),
        ("❤\ufe0f", "❤\ufe0f"),
        ("<b>", "<b>"),
        ("x" * 24, "x" * 24),
    ],
)
def test_a_name_is_kept_composed_with_single_blanks(text: str, name: str) -> None:
    assert read_name(text, 24) == name


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "1 to 24 characters"),
        (" \n ", "1 to 24 characters"),
        ("x" * 25, "1 to 24 characters"),
        ("A\nda", "line ends"),
        ("A\u2028da", "line ends"),
        ("A\tda", "control characters"),
        ("A\0da", "control characters"),
        ("\u202eadA", "invisible characters"),
        ("\u2067Ada", "invisible characters"),
        ("A\u200bda", "invisible characters"),
        ("\u3164", "invisible characters"),
        ("\u200d", "invisible characters"),
        ("A\u200d\u200dda", "invisible characters"),
        ("Ada\u200c", "invisible characters"),
        ("\ue000", "private characters"),
        ("\u0378", "unassigned characters"),
        ("\ufdd0", "unassigned characters"),
        ("\ud800", "broken characters"),
        ("x\u0336\u0337\u0338", "more than 2 marks"),
        ("x\u0336\u0337\u200d\u0338", "more than 2 marks"),
        ("\u0301a", "marks"),
        ("a \u0301", "marks"),
        ("4711", "digits alone"),
        ("47 11", "digits alone"),
        ("٤٧", "digits alone"),
    ],
)
def test_what_is_no_name_is_refused_by_its_rule(text: str, rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        read_name(text, 24)


def test_the_bytes_of_a_name_are_bounded() -> None:
    assert read_name("👾" * 24, 24, 96)
    with pytest.raises(ValueError, match="at most 95 bytes"):
        read_name("👾" * 24, 24, 95)


@given(st.text(max_size=30))
def test_a_name_that_is_kept_is_kept_as_it_is_the_next_time(text: str) -> None:
    try:
        name = read_name(text, 24)
    except ValueError:
        return

    assert read_name(name, 24) == name == unicodedata.normalize("NFC", name)
    assert name.splitlines() == [name]
