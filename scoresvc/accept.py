"""Which form of an answer a client wishes for: RFC 9110, section 12.5.1."""

from __future__ import annotations

import re
from functools import lru_cache

PLAIN_TYPES = ("text/plain", "text/csv")
HEADERS_KEPT = 256  # whose meaning is remembered

_WEIGHT = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")


@lru_cache(HEADERS_KEPT)
def prefers_json(accept: str) -> bool:
    """Tells from the header `Accept` whether JSON is wished for more than plain text.

    What is no media range, or has no right weight, is left out.
    """
    weights = _weights(accept)
    return _weight(weights, "application/json") > max(_weight(weights, plain) for plain in PLAIN_TYPES)


def _weights(accept: str) -> dict[str, float]:
    """The weights of the media ranges, by lower-case name; parameters other than `q` do not matter here."""
    weights: dict[str, float] = {}
    for wish in accept.split(","):
        media_range, *parameters = [part.strip().lower() for part in wish.split(";")]
        qualities = [value for name, _, value in (each.partition("=") for each in parameters) if name == "q"] or ["1"]
        if _WEIGHT.fullmatch(qualities[0]):
            weights[media_range] = max(float(qualities[0]), weights.get(media_range, 0.0))
    return weights


def _weight(weights: dict[str, float], media_type: str) -> float:
    """The most exact range counts."""
    ranges = (media_type, media_type.partition("/")[0] + "/*", "*/*")
    return next((weights[each] for each in ranges if each in weights), 0.0)
