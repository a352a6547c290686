"""What a name may be."""
# ruff: noqa: RUF001 - letters that look like others are what this is about

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scoresvc.names import read_name

ZWNJ = "\u200c"
ZWJ = "\u200d"
FORBIDDEN_CATEGORIES = {"Cc", "Cs", "Co", "Cn", "Zl", "Zp"}

# What names are made of, with what trolls put into them, far more often than chance would have it.
NAMES = st.text(
    st.one_of(
        st.sampled_from(
            "aZ3 \u0301\u0336\u0489\u200c\u200d\ufe0f\u20e3\u202e\u034f\u094d\u0915\u0645\u1100\u1161\u11a8"
        ),
        st.sampled_from("👩🚀🏴🇩👍🏽\u3164\u3099\uff76\u00ad\n\u2028\U000e0067\U000e007f\ue000\ufdd0\ud800"),
        st.characters(),
    ),
    max_size=30,
)


def refusal(text: str, bytes_max: int = 96) -> str | None:
    """Returns which rule a text breaks."""
    try:
        read_name(text, 24, bytes_max)
    except ValueError as error:
        return str(error)
    return None


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Ada", "Ada"),
        ("  Ada \t\r\n", "Ada"),
        ("Ada \u3000 \u00a0 Lovelace", "Ada Lovelace"),
        ("A\u030angstro\u0308m", "Ångström"),
        ("Nguye\u0302\u0303n", "Nguyễn"),
        ("\u1112\u1161\u11ab\u1100\u1173\u11af", "한글"),
    ],
)
def test_a_name_is_kept_composed_with_single_blanks(text: str, name: str) -> None:
    assert read_name(text, 24, 96) == name


@pytest.mark.parametrize(
    "name",
    [
        "7 of 9",
        "-5",
        "<b>",
        "x" * 24,
        "Ｗｉｄｅ",
        "Nguyễn",
        "ẹ̀kọ́",
        "ที่นี่",
        "ผู้เล่น",
        "ເຫຼົ້າ",
        "नमस्ते",
        "ज़िंदगी",
        "ज़ें",
        "গাঁজাড়ুঁ",
        "لَيْلَى",
        "اللَّٰه",
        "שלום",
        "הַשָּׁנָה",
        "སྒྲུབ",
        "လျှို့ဝှက်",
        "អ៊ុំ",
        "ㅋㅋㅋ",
        "習近平",
    ],
)
def test_a_name_may_be_in_any_script(name: str) -> None:
    assert read_name(name, 24, 96) == unicodedata.normalize("NFC", name)


@pytest.mark.parametrize(
    "name",
    [
        f"می{ZWNJ}خواهم",
        f"خانه{ZWNJ}ها",
        f"لَ{ZWNJ}ب",
        f"क्{ZWJ}ष",
        f"र्{ZWJ}य",
        f"क्{ZWNJ}ष",
        f"ශ්{ZWJ}රී",
        f"അര്{ZWJ}ജുന്{ZWJ}",
        f"র{ZWJ}্যাব",
        "ᠠ\u180b",
        "葛\U000e0100城",
    ],
)
def test_scripts_have_the_invisible_characters_that_they_need(name: str) -> None:
    assert read_name(name, 24, 96) == name


@pytest.mark.parametrize(
    "name",
    [
        "👾",
        "👍🏽",
        "❤\ufe0f",
        "☎\ufe0e",
        f"👩{ZWJ}🚀",
        f"👩🏽{ZWJ}🚀",
        f"👩{ZWJ}❤\ufe0f{ZWJ}👨",
        f"👨{ZWJ}👩{ZWJ}👧{ZWJ}👦",
        f"🏳\ufe0f{ZWJ}🌈",
        f"🏴{ZWJ}☠\ufe0f",
        f"🐻{ZWJ}❄\ufe0f",
        "🇩🇪",
        "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
        "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
        "R2\ufe0f\u20e3",
        "#\ufe0f\u20e3",
        "©\ufe0f",
    ],
)
def test_emoji_have_the_invisible_characters_that_they_need(name: str) -> None:
    assert read_name(name, 24, 96) == name


@pytest.mark.parametrize(
    "text",
    [
        "A\u200bda",  # zero width space
        "A\u2060da",  # word joiner
        "\ufeffAda",  # byte order mark, first and within
        "A\ufeffda",
        "A\u00adda",  # soft hyphen
        "A\u034fda",  # combining grapheme joiner
        "A\u2063da",  # invisible separator
        "A\ufff9d\ufffaa\ufffb",  # interlinear annotation
        "A\ufffcda",  # object replacement
        "\u3164",  # fillers of Hangul
        "A\u115fda",
        "A\u1160da",
        "A\uffa0da",
        "\u2800",  # blank pattern of Braille
        "A\U0001d159da",  # null note head
        "A\u17b4da",  # inherent vowel of Khmer
        "\u200d",
        f"ad{ZWJ}min",
        f"ad{ZWNJ}min",
        f"A{ZWJ}{ZWJ}da",
        f"Ada{ZWNJ}",
        f"क्{ZWJ}{ZWJ}ष",
        f"م{ZWNJ}{ZWNJ}م",
        f"م{ZWNJ}",
        f"{ZWNJ}م",
        f"م{ZWNJ} م",
        f"م{ZWJ}م",
        f"क{ZWJ}ष",
        f"👩{ZWJ}",
        f"{ZWJ}👩",
        f"👩{ZWJ}a",
        f"a{ZWJ}👩",
        f"👩{ZWJ}{ZWJ}🚀",
        "a\ufe0f",  # variation selectors on letters
        "क\ufe0f",
        "3\ufe0f a",
        "❤\ufe0f\ufe0f",
        "葛\ufe00",
        "a\U000e0100",
        "葛\U000e0100\U000e0101",
        "A\u180bda",
        "A\u180eda",
        "A\U000e0061da",  # tags outside of flags
        "👍\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
        "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067",
        "🏴\U000e0075\U000e0073\U000e0074\U000e0078\U000e007f",
    ],
)
def test_nothing_in_a_name_is_invisible_without_need(text: str) -> None:
    assert refusal(text) == "must not have invisible characters"


@pytest.mark.parametrize("control", "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
def test_nothing_in_a_name_turns_the_direction_of_writing(control: str) -> None:
    for text in (f"{control}Ada", f"A{control}da", f"م{control}م"):
        assert refusal(text) == "must not have characters that turn the direction of writing"


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "must be 1 to 24 characters"),
        (" \n ", "must be 1 to 24 characters"),
        ("x" * 25, "must be 1 to 24 characters"),
        ("A\nda", "must not have line ends"),
        ("A\rda", "must not have line ends"),
        ("A\x85da", "must not have line ends"),
        ("A\u2028da", "must not have line ends"),
        ("A\u2029da", "must not have line ends"),
        ("A\tda", "must not have control characters"),
        ("A\0da", "must not have control characters"),
        ("A\x1cda", "must not have control characters"),
        ("A\x7fda", "must not have control characters"),
        ("\ue000", "must not have private characters"),
        ("\U000f0000", "must not have private characters"),
        ("\u0378", "must not have unassigned characters"),
        ("\ufdd0", "must not have unassigned characters"),
        ("Ada\uffff", "must not have unassigned characters"),
        ("A\U0010ffff", "must not have unassigned characters"),
        ("\ud800", "must not have broken characters"),
        ("Ad\udcffa", "must not have broken characters"),
        ("Ada\ufffd", "must not have broken characters"),
    ],
)
def test_what_is_no_name_is_refused_by_its_rule(text: str, rule: str) -> None:
    assert refusal(text) == rule


@pytest.mark.parametrize(
    ("text", "marks_max"),
    [
        ("x\u0336\u0337\u0338", 2),
        ("Z\u0351\u036b\u0343a\u0363l\u0300go", 2),
        ("a\u20dd\u20de\u20df", 2),
        ("д\u0306\u0489\u0488", 2),
        ("\u0e2a\u0e47\u0e47\u0e47", 2),
        ("\u0e01\u0e47\u0e48\u0e49", 2),
        ("\u0644\u064e\u064e\u064e", 2),
        ("ज\u093c\u0947\u0947", 2),
        ("ज\u093c\u0947\u0336", 2),
        ("\u0644\u064e\u064f\u0650\u0651", 3),
        ("\u1001\u102d\u102f\u1037\u103a\u103e", 4),
        (f"र{ZWJ}\u09cd\u0981\u0336", 2),
        ("\uac01\u11a8\u11a8\u11a8", 2),
        ("☠\ufe0f\u0336\u0337\u0338", 2),
    ],
)
def test_marks_do_not_tower_over_a_letter(text: str, marks_max: int) -> None:
    assert refusal(text) == f"must not have more than {marks_max} marks on a letter"


@pytest.mark.parametrize(
    "text", ["\u0301a", "a \u0301", "a\u3000\u0301", "\u093f\u0915", "\u20e3", "\u1161", "a \u11a8"]
)
def test_a_mark_stands_on_a_letter(text: str) -> None:
    assert refusal(text) == "must not have marks without a letter"


@pytest.mark.parametrize(
    "text",
    [
        "4711",
        "47 11",
        "٤٧",
        "४७",
        "４７",
        "²³",
        "①②",
        "⑩",
        "𝟒𝟕",
        "𝟺𝟽",
        "4\u03367\u0336",
        "4\ufe0f\u20e37\ufe0f\u20e3",
        "๔๗",
    ],
)
def test_digits_alone_are_no_name(text: str) -> None:
    assert refusal(text) == "must not be digits alone"


def test_the_bytes_of_a_name_are_bounded() -> None:
    assert read_name("👾" * 24, 24, 96)
    assert refusal("👾" * 24, 95) == "must be at most 95 bytes of UTF-8"


@given(NAMES)
@example("a\u0315\u0300\u05ae\u0300b")
def test_a_name_that_is_kept_is_kept_as_it_is_the_next_time(text: str) -> None:
    try:
        name = read_name(text, 24, 96)
    except ValueError:
        return

    assert read_name(name, 24, 96) == name == unicodedata.normalize("NFC", name)
    assert name.splitlines() == [name] == [" ".join(name.split())]
    assert 1 <= len(name) <= 24
    assert len(name.encode()) <= 96


@given(NAMES)
def test_what_is_invisible_in_a_name_stands_beside_what_needs_it(text: str) -> None:
    try:
        name = read_name(text, 24, 96)
    except ValueError:
        return

    assert FORBIDDEN_CATEGORIES.isdisjoint(map(unicodedata.category, name))
    if all(character < "\u0590" for character in name):
        assert "Cf" not in map(unicodedata.category, name)


@given(NAMES)
def test_white_space_around_a_name_is_not_part_of_it(text: str) -> None:
    assert refusal(f" \u3000{text}\r\n") == refusal(text)
