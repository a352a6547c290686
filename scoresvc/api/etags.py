"""Entity tags: RFC 9110, 8.8.3 and 13.1.2."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache

TAG_BYTES = 12  # of the hash of a body
TEXTS_CACHED = 4096
TEXT_LENGTH_CACHED_MAX = 2048

_TAG = re.compile(r'(?:W/)?("[^"]*")')


def tag(text: str | bytes) -> tuple[bytes, str]:
    """Returns the body that a text is, in UTF-8, and its strong tag."""
    return _tag_cached(text) if len(text) <= TEXT_LENGTH_CACHED_MAX else _tag(text)


def _tag(text: str | bytes) -> tuple[bytes, str]:
    body = text.encode() if isinstance(text, str) else text
    return body, f'"{hashlib.blake2b(body, digest_size=TAG_BYTES).hexdigest()}"'


_tag_cached = lru_cache(TEXTS_CACHED)(_tag)


def matches(if_none_match: str, etag: str) -> bool:
    """Returns whether the client has this body already; a weak tag is as good as a strong one here."""
    return if_none_match.strip() == "*" or etag in _TAG.findall(if_none_match)
