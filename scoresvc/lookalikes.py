"""The form in which names are compared, so that none can pose as another.

Case, width, accents and white space count for nothing, and the letters that pass for Latin ones are those. Where case
gives a letter two looks, the one that is the same in every typeface counts: Greek nu is n, not v.

The marks of Thai, Hindi and their like are vowels, without which names of different sound would be one; they count
where they stand on letters of such scripts. The dots of kana count too: は is not ば.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from scoresvc.names import INVISIBLE

_ALPHABET = "abcdefghijklmnopqrstuvwxyz"
_EMOJI_ALPHABETS = (0x1F150, 0x1F170, 0x1F1E6)  # white letters in circles and squares; letters of flags

_LOOKALIKES = {
    **dict(zip("авсԁеԍнһіјкӏмоԛргѕтѵԝхуүь", "abcdeghhijklmoqprstvwxyyb", strict=True)),
    **dict(zip("αβεζηικμνορτυχωϳ", "abezhikmnoptyxwj", strict=True)),
    **dict(zip("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ", "abcdefghijklmnoprstuvwyz", strict=True)),
    **dict(zip("ɑƀđðɇƒɡħɨıȷłøŧʉɏƶ", "abddefghiijlotuyz", strict=True)),
    "æ": "ae",
    "œ": "oe",
    "þ": "th",
    **dict(zip("یىکہھە", "ييكههه", strict=True)),
    **dict.fromkeys("‘’ʼ", "'"),  # noqa: RUF001
    **dict.fromkeys("‐‒–—―−", "-"),  # noqa: RUF001
    **{chr(first + index): letter for first in _EMOJI_ALPHABETS for index, letter in enumerate(_ALPHABET)},
}
_STRETCH = "\u0640"  # lengthens an Arabic word


def fold(name: str) -> str:
    """Returns the form of a name that it shares with all that look like it; its own form is itself.

    It is empty for a name of accents alone, and has at most 15 characters for one of the name.
    """
    if name.isascii():
        return "".join(name.split()).lower()
    text = unicodedata.normalize("NFKD", "".join(map(fold_character, name)))
    return unicodedata.normalize("NFC", without_marks_on_latin(text))


@lru_cache(4096)
def fold_character(character: str) -> str:
    """Returns what is left of a character, which may be several or nothing."""
    text = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", character).casefold())
    return "".join([_look(each) for each in text if not _is_left_out(each)])


def without_marks_on_latin(text: str) -> str:
    """Leaves out the marks that fold_character keeps for other scripts."""
    kept: list[str] = []
    for character in text:
        if not (kept and kept[-1].isascii() and unicodedata.category(character) in ("Mn", "Mc")):
            kept.append(character)
    return "".join(kept)


def _look(character: str) -> str:
    digit = unicodedata.decimal(character, None)
    return _LOOKALIKES.get(character, character) if digit is None else str(digit)


def _is_left_out(character: str) -> bool:
    if character.isspace() or character == _STRETCH or INVISIBLE.match(character):
        return True
    category = unicodedata.category(character)
    return category in ("Cf", "Me") or (category == "Mn" and _is_accent(character))


def _is_accent(mark: str) -> bool:
    """Tells accents, Hebrew points, harakat and nuktas from vowels, by their combining classes.

    See https://www.unicode.org/reports/tr44/#Canonical_Combining_Class_Values.
    """
    place = unicodedata.combining(mark)
    return place in (1, 6, 7) or 10 <= place <= 36 or place >= 200
