"""Content negotiation: RFC 9110, section 12.5.1."""

from __future__ import annotations

import re
from functools import lru_cache

HTML_TYPE = "text/html"
JSON_TYPE = "application/json"
PLAIN_TYPES = ("text/plain", "text/csv")
PLAIN_RANGES = (*PLAIN_TYPES, "text/*", "*/*")
ACCEPT_CHARACTERS_MAX = 512  # that are looked at; a browser sends some 150
HEADERS_CACHED = 256
CHARACTERS_CACHED_MAX = 200  # of a header that is cached

_LAST_PART = re.compile("[,;][^,;]*$")
_WEIGHT = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")


def prefers_json(accept: str) -> bool:
    """Returns from the header `Accept` whether JSON is preferred to plain text.

    The higher weight decides, each type taking that of the most specific range that covers it: so `application/*` and
    `application/json` alone mean JSON. Equal weights mean JSON where `application/json` is named before any range that
    covers plain text, as in `application/json, text/plain, */*`, which common JavaScript libraries send by default.
    Otherwise they mean plain text: for `*/*`, for `text/plain, application/json`, and for `application/*, */*`, which
    does not name JSON. What is no media range, or has no valid weight, is ignored.
    """
    return _prefers_json_cached(accept) if len(accept) <= CHARACTERS_CACHED_MAX else _prefers_json(accept)


def _prefers_json(accept: str) -> bool:
    weights = _weights(_cut(accept))
    json, plain = _weight(weights, JSON_TYPE), max(_weight(weights, each) for each in PLAIN_TYPES)
    return json > plain or (json == plain > 0 and _first(weights, (JSON_TYPE, *PLAIN_RANGES)) == JSON_TYPE)


_prefers_json_cached = lru_cache(HEADERS_CACHED)(_prefers_json)


def prefers_html(accept: str) -> bool:
    """Returns whether `Accept` names `text/html` with a higher weight than JSON and plain text have, as browsers do."""
    return _prefers_html_cached(accept) if len(accept) <= CHARACTERS_CACHED_MAX else _prefers_html(accept)


def _prefers_html(accept: str) -> bool:
    weights = _weights(_cut(accept))
    others = max(_weight(weights, each) for each in (JSON_TYPE, *PLAIN_TYPES))
    return weights.get(HTML_TYPE, 0.0) > others


_prefers_html_cached = lru_cache(HEADERS_CACHED)(_prefers_html)


def _cut(accept: str) -> str:
    """Returns what is looked at of a header, without the element that it may break off in."""
    return accept if len(accept) <= ACCEPT_CHARACTERS_MAX else _LAST_PART.sub("", accept[:ACCEPT_CHARACTERS_MAX])


def _weights(accept: str) -> dict[str, float]:
    """The weights of the media ranges, by lower-case name in their order; parameters but `q` do not matter here."""
    weights: dict[str, float] = {}
    for element in filter(None, accept.split(",")):
        media_range, *parameters = [part.strip().lower() for part in element.split(";")]
        qualities = [value for name, _, value in (each.partition("=") for each in parameters) if name == "q"] or ["1"]
        if _WEIGHT.fullmatch(qualities[0]):
            weights[media_range] = max(float(qualities[0]), weights.get(media_range, 0.0))
    return weights


def _weight(weights: dict[str, float], media_type: str) -> float:
    """The most specific range counts."""
    ranges = (media_type, media_type.partition("/")[0] + "/*", "*/*")
    return next((weights[each] for each in ranges if each in weights), 0.0)


def _first(weights: dict[str, float], ranges: tuple[str, ...]) -> str | None:
    return next((each for each in weights if each in ranges), None)
