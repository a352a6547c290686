"""Which names have a word that an operator does not want."""
# ruff: noqa: RUF001 - letters that look like others are what this is about

from __future__ import annotations

import re
import time
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoresvc.blocked_names import BlockedWords, read_blocked_word, read_blocked_words

WAYS = {"b": "bB8Ьβ𝐛🅱", "a": "aA4@аäᴀ", "d": "dDⓓｄ"}  # to write bad


def blocked(*words: str) -> BlockedWords:
    return BlockedWords(read_blocked_word(word, line) for line, word in enumerate(words, 1))


@pytest.mark.parametrize(
    "name",
    [
        "bad",
        "BAD",
        "BaD",
        "bäd",
        "b\u0336a\u0336d\u0336",
        "bаd",  # the a of Cyrillic
        "ＢＡＤ",
        "𝖇𝖆𝖉",
        "🅱🅰🅳",
        "🇧🇦🇩",
        "ʙᴀᴅ",
        "b\u200dad",
        "b4d",
        "8@d",
        "baaad",
        "BBaaDD",
        "b.a.d",
        "b a d",
        "b_a_d",
        "b-a-d",
        "b...ad",
        "b|a|d",
        "b+a+d",
        "ba d",
        "b ad",
        "so b ad",
        "so ba d",
        "bad\u0903",  # a mark of Hindi
        "b a a d",
        "so bad",
        "bad boy",
        "bad_boy",
        "bad!boy",
        "xX_bad_Xx",
        "!bad!",
        "bad4",
        "007bad007",
        "BadBoy",
        "BADboy",
        "BADBoy",
        "tooBad",
        "tooBAD",
        "कीBad",
    ],
)
def test_a_word_is_found_however_it_is_written(name: str) -> None:
    assert blocked("bad").find(name) == "bad"


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("o", "0"),
        ("will", "w1ll"),
        ("will", "wi11"),
        ("will", "w||l"),
        ("will", "vvill"),
        ("wow", "vv0w"),
        ("evil", "3v!l"),
        ("ass", "@$$"),
        ("ass", "4.5.5"),
        ("tit", "+i7"),
        ("bag", "849"),
        ("a$$", "ass"),
        ("хуй", "ХУЙ"),
        ("хуй", "х.y.й"),
        ("кс", "KC"),
        ("бля", "Б_Л_Я"),
        ("كلب", "كَلْب"),
        ("گربه‌ها", "گربه\u200cها"),
        ("साला", "साला"),
        ("Straße", "STRASSE"),
        ("bad word", "bad word"),
        ("bad word", "BadW0rd"),
        ("bad word", "bad_word"),
        ("bad-word", "badword"),
        ("BadWord", "badword"),
    ],
)
def test_a_digit_or_a_look_alike_stands_for_a_letter(word: str, name: str) -> None:
    assert blocked(word).blocks(name)


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("cunt", "Scunthorpe"),
        ("ass", "class"),
        ("ass", "assassin"),
        ("ass", "cl4ss"),
        ("ass", "p455"),
        ("ass", "as"),
        ("ass", "as soon"),
        ("ass", "as_soon"),
        ("hell", "hello"),
        ("hell", "shell"),
        ("hell", "heil"),
        ("tit", "Titan"),
        ("cum", "Cumberland"),
        ("penis", "pen is mine"),
        ("shit", "is hit"),
        ("kkk", "kk"),
        ("साला", "सोला"),
        ("bad", ""),
        ("bad", "👾"),
        ("bad", "天bad天"),
    ],
)
def test_a_word_is_not_found_within_another(word: str, name: str) -> None:
    assert not blocked(word).blocks(name)


@pytest.mark.parametrize(
    ("word", "blocks", "allows"),
    [
        ("*bad*", ["sobadly", "bad", "s0b4dly", "so.b.a.d.ly", "天bad天"], ["so ba dly", "ba"]),
        ("*bad", ["sobad", "bad", "sobad1", "SoBadBoy"], ["badly", "sobadly"]),
        ("bad*", ["badly", "bad", "soBadly", "so badly"], ["sobad", "sobadly"]),
        ("*習近平*", ["我愛習近平啊", "習近平", "習-近-平"], ["習近"]),
        ("習近平", ["習近平", "習近平!"], ["我愛習近平啊"]),
    ],
)
def test_a_word_with_an_asterisk_is_found_within_others(word: str, blocks: list[str], allows: list[str]) -> None:
    words = blocked(word)

    assert [name for name in blocks if not words.blocks(name)] == []
    assert [name for name in allows if words.blocks(name)] == []


@pytest.mark.parametrize("name", ["1488", "x1488y", "14-88", "Ada 1488", "x1488"])
def test_digits_in_a_word_are_those_digits(name: str) -> None:
    assert blocked("1488").find(name) == "1488"
    assert not blocked("1488").blocks(name.replace("8", "b"))
    assert not blocked("1488").blocks(name.replace("14", "314"))
    assert not blocked("1488").blocks(name.replace("88", "880"))


def test_the_first_word_of_the_file_is_named_as_it_stands_there() -> None:
    words = blocked("worse", "*Bad*", "bad")

    assert words.find("bad") == "*Bad*"
    assert words.find("bad worse") == "worse"
    assert words.find("good") is None


def test_no_words_block_nothing() -> None:
    assert not BlockedWords().blocks("bad")


@given(st.data())
def test_no_way_to_write_a_word_hides_it(data: st.DataObject) -> None:
    gap = st.sampled_from(["", "", ".", "_", "--", "\u200b", "\u0301"])
    letters = [data.draw(st.text(WAYS[letter], min_size=1, max_size=3)) for letter in "bad"]
    name = "".join([each + data.draw(gap) for letter in letters for each in letter])

    before, after = (
        data.draw(st.sampled_from(["", "so ", "so_", "9.", "👾"])),
        data.draw(st.sampled_from(["", " boy", "-x", "👾"])),
    )

    assert blocked("bad").blocks(before + name + after)


@given(st.lists(st.text("abd", min_size=2, max_size=6), max_size=4))
def test_of_plain_words_only_the_word_itself_is_found(tokens: list[str]) -> None:
    name = " ".join(tokens)

    assert blocked("bad").blocks(name) == bool(re.search(r"\bb+a+d+\b", name))
    assert blocked("*bad*").blocks(name) == bool(re.search("b+a+d+", name))
    assert blocked("add").blocks(name) == bool(re.search(r"\ba+dd+\b", name))


@given(st.text(max_size=24), st.text(min_size=1, max_size=8))
def test_any_name_may_be_searched_for_any_word(name: str, word: str) -> None:
    try:
        read = read_blocked_word(word)
    except ValueError:
        return

    words = BlockedWords([read])

    assert words.blocks(word.strip("*"))
    assert words.find(name) in (None, word)


def test_a_thousand_words_take_microseconds() -> None:
    words = blocked(*("".join(each) for each in product("bcdfghkmnp", "aeiou", "rstxz", "aeiu")))
    name = "Ada Lovelace the 1st"
    words.blocks(name)
    begun = time.thread_time()

    for _ in range(200):
        words.blocks(name)

    assert (time.thread_time() - begun) / 200 < 0.0003


@pytest.mark.parametrize("name", ["b" + "!" * 22 + "x", "|1!l" * 6, "v" * 24, "vV.w" * 6])
def test_no_name_takes_long(name: str) -> None:
    words = blocked("bitch", "lil", "*illi*", "wvw", "*vvw*", "ill")
    begun = time.thread_time()

    words.blocks(name)

    assert time.thread_time() - begun < 1


def test_a_file_has_a_word_a_line(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes("\ufeffbad\r\n# worse\n\n  *Wörst*  # of all\n#\nvery bad\n".encode())

    words = read_blocked_words(path)

    assert words.find("bad") == "bad"
    assert words.find("the worstest") == "*Wörst*"
    assert words.find("VeryBad") == "bad"
    assert not words.blocks("worse")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"bad\nb\xe4d\n", "line 2: must be UTF-8"),
        ("bad\n".encode("utf-16"), "line 1: must be UTF-8"),
        ("bad\n".encode("utf-16-le"), "line 1: must not have control characters"),
        (b"bad\n\n# all:\n*\n", "line 4: must have a letter or a digit"),
        (b"...\n", "line 1: must have a letter or a digit"),
        ("🖕\n".encode(), "line 1: must have a letter or a digit"),
        (b"b*d\n", "line 1: must have * only before or after a word"),
        (b"**bad**\n", "line 1: must have * only before or after a word"),
        (b"bad\tworse\n", "line 1: must not have control characters"),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_its_line(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes(content)

    with pytest.raises(ValueError, match="words") as refused:
        read_blocked_words(path)

    assert str(refused.value) == f"{path}, {sentence}"


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="No such file or directory") as refused:
        read_blocked_words(tmp_path / "words.txt")

    assert str(refused.value) == f"{tmp_path / 'words.txt'}: No such file or directory"
