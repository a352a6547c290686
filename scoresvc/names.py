"""The rules of names that players see, of users and of levels.

A name must look like what it is on any screen, beside other text: so nothing in it is invisible, turns the direction of
writing, ends a line or is stacked over its neighbours, and it cannot be taken for a number.

Some scripts cannot be written without characters that show nothing by themselves. Each may stand only where it changes
what is seen; anywhere else it would make two names of one look. Which characters are assigned is up to the Unicode
version of the Python that runs.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

MARKS_MAX = 2  # on a letter, as Vietnamese and Thai need them

# Scripts that write parts of a letter, its vowel and its tone all as marks, as in ज़ें, שָּׁ, اللَّٰه, ເຫຼົ້າ, སྒྲུ and လျှို့.
_MARKS_MAX_BY_SCRIPT = {
    **dict.fromkeys(("ARABIC", "BALINESE", "BENGALI", "DEVANAGARI", "GUJARATI", "GURMUKHI", "HEBREW", "JAVANESE"), 3),
    **dict.fromkeys(("KANNADA", "KHMER", "LAO", "ORIYA"), 3),
    **dict.fromkeys(("MYANMAR", "TAI", "TIBETAN"), 4),
}

_FORBIDDEN = {
    "Cc": "control characters",
    "Cf": "invisible characters",
    "Cs": "broken characters",
    "Co": "private characters",
    "Cn": "unassigned characters",
    "Zl": "line ends",
    "Zp": "line ends",
}
_LINE_ENDS = re.compile("[\n\r\x0b\x0c\x85]")
_DIRECTION_CONTROLS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_BROKEN = "\ufffd"  # what decoders put for bytes that are no character

# Fillers, blank symbols and selectors that Unicode counts as letters, symbols or marks.
INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\ufffc"
    "\U00016fe4\U0001d159\U000e0100-\U000e01ef]"
)

_VIRAMAS = "\u094d\u09cd\u0a4d\u0acd\u0b4d\u0bcd\u0c4d\u0ccd\u0d4d\u0dca"
_INDIC = "\u0900-\u0dff"
_ARABIC = "\u0620-\u065f\u066e-\u06d3\u06d5\u06ee\u06ef\u06fa-\u06ff\u0750-\u077f\u08a0-\u08c9"
_MONGOLIAN = "\u1820-\u18aa"
_HAN = "\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U000323af"
_EMOJI = (
    "\xa9\xae\u203c\u2049\u2122\u2139\u2190-\u21ff\u2300-\u23ff\u24c2\u25a0-\u27bf\u2900-\u297f\u2b00-\u2bff"
    "\u3030\u303d\u3297\u3299\U0001f000-\U0001faff"
)

# RFC 5892, appendix A, has the first and the third line for domain names; UTS 51 has those of emoji.
_NEEDED = re.compile(
    f"(?<=[{_VIRAMAS}])[\u200c\u200d]"  # Hindi, Malayalam, Sinhala: how two consonants join
    f"|(?<=[{_INDIC}])[\u200c\u200d](?=[{_VIRAMAS}])"  # Bengali: ya after ra
    f"|(?<=[{_ARABIC}])\u200c(?=[{_ARABIC}])"  # Persian: parts of a word that do not join
    f"|(?<=[{_MONGOLIAN}])[\u180b-\u180f]"  # the form of a letter
    f"|(?<=[{_HAN}])[\U000e0100-\U000e01ef]"  # the form of a character in Japanese names
    f"|(?<=[{_EMOJI}])[\ufe0e\ufe0f]"  # as text or in colour
    f"|(?<=[{_EMOJI}\ufe0f])\u200d(?=[{_EMOJI}])"  # professions, families
    "|(?<=[0-9#*])\ufe0f(?=\u20e3)"  # keycaps
    "|(?<=\U0001f3f4)(?:\U000e0067\U000e0062(?:"  # the flags of England, Scotland and Wales: a black one with gb...
    "\U000e0065\U000e006e\U000e0067|\U000e0073\U000e0063\U000e0074|\U000e0077\U000e006c\U000e0073)\U000e007f)"
)

_JOINING_JAMO = re.compile("[\u1161-\u11ff\ud7b0-\ud7fb]")  # vowels and finals, drawn into the syllable before


def read_name(text: str, characters_max: int, bytes_max: int | None = None) -> str:
    """Returns a name as it is kept: NFC, without white space around it and with single blanks within.

    Raises ValueError that says which rule it breaks. `bytes_max` counts UTF-8.
    """
    name = unicodedata.normalize("NFC", text.strip())
    visible = _NEEDED.sub("", name)
    for character in visible:
        if rule := _broken_rule(character):
            raise ValueError(f"must not have {rule}")
    name = " ".join(name.split())
    if not 1 <= len(name) <= characters_max:
        raise ValueError(f"must be 1 to {characters_max} characters")
    if bytes_max is not None and len(name.encode()) > bytes_max:
        raise ValueError(f"must be at most {bytes_max} bytes of UTF-8")
    _check_marks(visible)
    if _is_digits_alone(visible):
        raise ValueError("must not be digits alone")
    return name


@lru_cache(4096)
def _broken_rule(character: str) -> str | None:
    """Returns what no name may have and this character is."""
    if _LINE_ENDS.match(character):
        return _FORBIDDEN["Zl"]
    if _DIRECTION_CONTROLS.match(character):
        return "characters that turn the direction of writing"
    if INVISIBLE.match(character):
        return _FORBIDDEN["Cf"]
    if character == _BROKEN:
        return _FORBIDDEN["Cs"]
    return _FORBIDDEN.get(unicodedata.category(character))


def _check_marks(text: str) -> None:
    sorts = "".join([_sort(character) for character in text])
    if re.search("(?:^| )[MS]", sorts):
        raise ValueError("must not have marks without a letter")
    for stack in re.finditer("M{2,}", sorts):
        marks = text[stack.start() : stack.end()]
        if len(marks) > _marks_max(marks):
            raise ValueError(f"must not have more than {_marks_max(marks)} marks on a letter")


@lru_cache(4096)
def _sort(character: str) -> str:
    """Returns M for a mark on a letter, S for one with a space of its own, a blank for white space, L for all else."""
    if character.isspace():
        return " "
    category = unicodedata.category(character)
    if category in ("Mn", "Me") or _JOINING_JAMO.match(character):
        return "M"
    return "S" if category == "Mc" else "L"


def _marks_max(marks: str) -> int:
    """Returns how many of such marks a letter may have. More than MARKS_MAX must all differ."""
    if len(set(marks)) < len(marks):
        return MARKS_MAX
    scripts = [unicodedata.name(mark, "").partition(" ")[0] for mark in marks]
    return min(_MARKS_MAX_BY_SCRIPT.get(script, MARKS_MAX) for script in scripts)


def _is_digits_alone(text: str) -> bool:
    """Tells digits of any script and form, whatever stands on or between them."""
    plain = unicodedata.normalize("NFKC", "".join([character for character in text if _sort(character) == "L"]))
    return bool(plain) and all(unicodedata.digit(character, None) is not None for character in plain)
