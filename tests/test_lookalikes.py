"""Which names look alike."""
# ruff: noqa: RUF001 - letters that look like others are what this is about

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scoresvc.lookalikes import fold

WIDE = str.maketrans({chr(code): chr(code + 0xFEE0) for code in range(ord("!"), ord("~") + 1)})
NAMES = st.text(
    st.one_of(st.characters(), st.sampled_from("aK\u0141İıßςÅ\u0345\u0301\u3099はガ한ก็มีกिज़ёЙ٣")), max_size=24
)
ACCENTS = st.text(st.sampled_from("\u0300\u0301\u0308\u0327\u0336\u0489\u20dd\u20e3\ufe0f\u034f"), max_size=2)


@pytest.mark.parametrize(
    "name",
    [
        "ADMIN",
        " Ad  min ",
        "ádmïn",
        "a\u0336d\u0336m\u0336i\u0336n\u0336",
        "аdmіn",  # with two letters of Cyrillic
        "ΑDΜΙΝ",  # Greek but for D
        "ａｄｍｉｎ",
        "𝐚𝐝𝐦𝐢𝐧",
        "𝔞𝔡𝔪𝔦𝔫",
        "𝒶𝒹𝓂𝒾𝓃",
        "ⓐⓓⓜⓘⓝ",
        "🅰🅳🅼🅸🅽",
        "🅐🅓🅜🅘🅝",
        "🇦🇩🇲🇮🇳",
        "ᴀᴅᴍɪɴ",
        "ªdmıñ",
        "ad\u00admin",
        "ad\u200dmin",
        "ad\u2060min\ufeff",
        "admin\U000e0061",
        "ad\u3164min",
        "a\u3099d\u094dmi\u0903n",  # the marks of kana and Hindi on Latin letters
    ],
)
def test_who_poses_as_another_has_the_same_name(name: str) -> None:
    assert fold(name) == "admin"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("РОМА", "poma"),
        ("Ёлка", "елка"),
        ("ΝΙΚΟΣ", "νίκος"),
        ("Łódź", "lodz"),
        ("Straße", "STRASSE"),
        ("Ærø", "aero"),
        ("Þór", "thor"),
        ("ﬁn", "fin"),
        ("İSTANBUL", "ıstanbul"),
        ("O’Neil", "O'Neil"),
        ("علی", "علي"),
        ("عـــلي", "عَلِي"),
        ("می\u200cخواهم", "میخواهم"),
        ("שָׁלוֹם", "שלום"),
        ("ｶﾞ", "ガ"),
        ("葛\U000e0100城", "葛城"),
        ("❤\ufe0f", "❤"),
        ("Ada٣", "ada3"),
        ("7️⃣up", "7UP"),
    ],
)
def test_names_that_look_alike_are_one(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ada", "ado"),
        ("ada", "ada_"),
        ("मीना", "मोना"),
        ("มี", "มา"),
        ("มา", "ม้า"),
        ("はは", "ばば"),
        ("ハハ", "パパ"),
        ("가", "각"),
        ("👍", "👎"),
    ],
)
def test_names_that_sound_otherwise_are_two(one: str, other: str) -> None:
    assert fold(one) != fold(other)


@given(NAMES)
@example("\u0e31\u0e38\u0e48")
@example("한글")
def test_a_folded_name_folds_to_itself(name: str) -> None:
    assert fold(fold(name)) == fold(name) == unicodedata.normalize("NFC", fold(name))


@given(NAMES)
def test_case_counts_for_nothing(name: str) -> None:
    assert fold(name) == fold(name.upper()) == fold(name.lower()) == fold(name.casefold())


@given(NAMES)
def test_the_way_to_compose_counts_for_nothing(name: str) -> None:
    assert {fold(unicodedata.normalize(form, name)) for form in ("NFC", "NFD", "NFKC", "NFKD")} == {fold(name)}


@given(st.text(st.characters(max_codepoint=0x7E)))
def test_width_counts_for_nothing(name: str) -> None:
    assert fold(name.translate(WIDE)) == fold(name)


@given(st.lists(st.tuples(st.characters(categories=["L", "N", "P", "S"]), ACCENTS), max_size=12))
def test_accents_count_for_nothing(letters: list[tuple[str, str]]) -> None:
    plain = "".join([letter for letter, _ in letters])

    assert fold("".join([letter + accents for letter, accents in letters])) == fold(plain)


def test_every_letter_folds_to_itself_in_any_case() -> None:
    for character in map(chr, range(0x20000)):
        folded = fold(character)

        assert {fold(folded), fold(character.upper()), fold(character.lower())} == {folded}
        assert len(folded) <= 15
