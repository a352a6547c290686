"""Places in a level's order as text that only this database can make."""

from __future__ import annotations

import base64
import hmac
import struct
from typing import NamedTuple

from scoresvc.errors import BadCursor

SIGNATURE_BYTES = 12  # nobody guesses one in 2**96

_PLACE = struct.Struct(">IqI")


class Place(NamedTuple):
    """Where an entry stands in its level: by score downwards, then by time, then by user."""

    score: int
    reached_at: int  # Unix microseconds
    user_id: int


class Cursors:
    """Writes and reads cursors: 38 URL-safe characters, signed with `key` for one level."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def write(self, level_id: int, place: Place) -> str:
        packed = _PLACE.pack(*place)
        return base64.urlsafe_b64encode(packed + self._sign(level_id, packed)).rstrip(b"=").decode("ascii")

    def read(self, level_id: int, cursor: str) -> Place:
        """Returns the place that `write` made `cursor` for. Raises BadCursor for any other text."""
        try:
            place = Place._make(_PLACE.unpack(base64.urlsafe_b64decode(f"{cursor}==")[: _PLACE.size]))
        except (ValueError, struct.error):
            raise BadCursor from None
        if not hmac.compare_digest(self.write(level_id, place).encode(), cursor.encode()):
            raise BadCursor
        return place

    def _sign(self, level_id: int, packed: bytes) -> bytes:
        return hmac.digest(self._key, level_id.to_bytes(4, "big") + packed, "sha256")[:SIGNATURE_BYTES]
