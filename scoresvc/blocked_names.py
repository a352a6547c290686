"""The words that an operator does not want in names.

A file has one word a line; `#` begins a comment. A word is compared as `lookalikes.fold` has it, and further:

- A digit or a symbol may stand for a letter: `b4d`, `b@d`. It may as well stand beside a word: `bad4`, `$bad$`.
- Letters may be repeated: `baaad`. A word with a letter twice needs it twice: `as` is not `ass`.
- Punctuation may stand between letters, and so may a blank where a letter stands alone: `b.a.d`, `b a d`, `b ad`.
- A word is a whole word: it ends at white space, punctuation, a digit, or where case changes as in `BadBoy` and
  `BADboy`. `*bad` ends words, `bad*` begins them, `*bad*` is anywhere in them. Scripts that put no blanks between words
  need the last. A blank in a word stands for blanks or nothing: `bad word`.
- In the file itself a digit is a digit, so that `88` is not `bb`, and a symbol is the letter that it stands for.

To search a name for each word would take milliseconds. So all ways to write a letter are first made one, its skeleton,
which never misses a word but finds too many (`lily` has the skeleton of `illy`); the pattern of each of those decides.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache
from itertools import groupby, pairwise
from pathlib import Path
from typing import NamedTuple

from scoresvc.lookalikes import fold_character, without_marks_on_latin

# Which letters a character may stand for.
_READINGS = {
    "0": "o",
    "1": "il",
    "3": "e",
    "4": "a",
    "5": "s",
    "7": "t",
    "8": "b",
    "9": "g",
    "@": "a",
    "$": "s",
    "!": "i",
    "|": "il",
    "+": "t",
}
_SYMBOLS = "@$!|+"
_SYMBOLS_AS_LETTERS = {ord(symbol): _READINGS[symbol][0] for symbol in _SYMBOLS}
_SYMBOLS_AS_PUNCTUATION = dict.fromkeys(map(ord, _SYMBOLS), ".")

# All that one letter may be written as becomes the same: vv and w are v.
_SKELETON = str.maketrans(
    {each: letters[0] for each, letters in _READINGS.items()} | {"l": "i", "w": "v", " ": None, ".": None}
)
_REPEATED = re.compile(r"(.)\1+")

_CASE_CHANGES = re.compile("(?<=l)(?=u)|(?<=uu)(?=l)|(?<=u)(?=ul)")  # of lower and upper: badBoy, BADboy, BADBoy
_BLANK_BY_A_LETTER = re.compile(r"(?<=^[^ .]) |(?<= [^ .]) | (?=[^ .](?: |$))")
_NO_LETTER = f" .0-9{re.escape(_SYMBOLS)}"
_NO_LETTERS = re.compile(f"[{_NO_LETTER}]*")


class BlockedWord(NamedTuple):
    """A word as it is compared, with how it stands in the file."""

    line: int
    text: str
    spelled: str
    skeleton: str


class BlockedWords:
    """Finds words in names, within microseconds however many words there are."""

    def __init__(self, words: Iterable[BlockedWord] = ()) -> None:
        self._by_start: defaultdict[str, list[BlockedWord]] = defaultdict(list)  # by two letters, or the only one
        for word in words:
            self._by_start[word.skeleton[:2]].append(word)

    def find(self, name: str) -> str | None:
        """Returns the first word of the file that a name has, as it stands there."""
        spelled = _spell(name)
        found = self._search(spelled)
        plain = spelled.translate(_SYMBOLS_AS_PUNCTUATION)
        if plain != spelled:
            found += self._search(plain)
        return min(found).text if found else None

    def blocks(self, name: str) -> bool:
        return self.find(name) is not None

    def _search(self, spelled: str) -> list[BlockedWord]:
        skeleton = _skeleton(spelled)
        starts = {*skeleton, *map("".join, pairwise(skeleton))}
        return [
            word
            for start in self._by_start.keys() & starts
            for word in self._by_start[start]
            if word.skeleton in skeleton and _pattern(word).search(spelled)
        ]


def read_blocked_words(path: Path) -> BlockedWords:
    """Reads a file of UTF-8. Raises ValueError that names it and the line that is wrong."""
    try:
        lines = path.read_bytes().removeprefix(codecs.BOM_UTF8).splitlines()
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    words = []
    for number, line in enumerate(lines, 1):
        try:
            if text := line.decode().partition("#")[0].strip():
                words.append(read_blocked_word(text, number))
        except UnicodeDecodeError:
            raise ValueError(f"{path}, line {number}: must be UTF-8") from None
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {error}") from None
    return BlockedWords(words)


def read_blocked_word(text: str, line: int = 1) -> BlockedWord:
    """Reads a word such as `bad` or `*bad*`. Raises ValueError that says what would be right."""
    if re.search("[\0-\x1f\x7f]", text):
        raise ValueError("must not have control characters")
    letters = text.removeprefix("*").removesuffix("*")
    if "*" in letters:
        raise ValueError("must have * only before or after a word")
    spelled = _spell(letters).translate(_SYMBOLS_AS_LETTERS).replace(".", "").strip()
    if not spelled:
        raise ValueError("must have a letter or a digit")
    return BlockedWord(line, text, spelled, _skeleton(spelled))


def _spell(name: str) -> str:
    """Returns a name in the letters, digits and symbols of words, all else as a blank or a dot.

    There is a dot too where case changes, and for a blank beside a letter that stands alone.
    """
    spellings = [_spell_character(character) for character in name]
    spelled = "".join([letters for letters, _ in spellings])
    cases = "".join([case for _, case in spellings])
    for change in reversed([match.start() for match in _CASE_CHANGES.finditer(cases)]):
        spelled = f"{spelled[:change]}.{spelled[change:]}"
    return _BLANK_BY_A_LETTER.sub(".", " ".join(without_marks_on_latin(spelled).split()))


@lru_cache(4096)
def _spell_character(character: str) -> tuple[str, str]:
    """Returns what a character is in `_spell`, with u for each upper-case letter, l for others, a dot for all else."""
    if character.isspace():
        return " ", "."
    letters = "".join([each if _is_spelled(each) else "." for each in fold_character(character)])
    case = "." if _NO_LETTERS.fullmatch(letters) else "u" if character.isupper() else "l"
    return letters, case * len(letters)


def _is_spelled(character: str) -> bool:
    return character.isalnum() or character in _SYMBOLS or unicodedata.category(character) in ("Mn", "Mc")


def _skeleton(spelled: str) -> str:
    return _REPEATED.sub(r"\1", spelled.translate(_SKELETON))


@lru_cache(4096)
def _pattern(word: BlockedWord) -> re.Pattern[str]:
    """Returns what a word looks like in `_spell` of a name."""
    parts = [
        r"\.*".join(_run(letter, len(list(run))) for letter, run in groupby(part)) for part in word.spelled.split()
    ]
    begin = "" if word.text.startswith("*") else _edge("(?<!", word.spelled[0])
    end = "" if word.text.endswith("*") else _edge("(?!", word.spelled[-1])
    return re.compile(begin + "[ .]*".join(parts) + end)


def _run(letter: str, count: int) -> str:
    """Returns the pattern of a letter that stands at least `count` times."""
    one = "".join([each for each, letters in _READINGS.items() if letter in letters])
    one = r"(?:w|v\.*v)" if letter == "w" else f"[{re.escape(letter + one)}]"
    return rf"{one}(?:\.*{one}){{{count - 1},}}"


def _edge(look: str, letter: str) -> str:
    """Returns the pattern of the edge of a word: beyond it no letter goes on, or no digit where it is a number."""
    return f"{look}[0-9])" if letter.isdigit() else f"{look}[^{_NO_LETTER}])"
