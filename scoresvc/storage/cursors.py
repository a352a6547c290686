"""Positions in a level's order as text that only this database can make."""

from __future__ import annotations

import base64
import hmac
import struct

from scoresvc.errors import BadCursor
from scoresvc.scores import Position

SIGNATURE_BYTES = 12  # nobody guesses one in 2**96

_POSITION = struct.Struct(">IqI")


class Cursors:
    """Writes and reads cursors: 38 URL-safe characters, signed with `key` for one board."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def write(self, level_id: int, position: Position, period: int = 0) -> str:
        packed = _POSITION.pack(position.score, position.reached_at, position.user_id)
        return base64.urlsafe_b64encode(packed + self._sign(level_id, period, packed)).rstrip(b"=").decode("ascii")

    def read(self, level_id: int, cursor: str, period: int = 0) -> Position:
        """Returns the position that `write` made `cursor` for. Raises BadCursor for any other text."""
        try:
            position = Position(*_POSITION.unpack(base64.urlsafe_b64decode(f"{cursor}==")[: _POSITION.size]))
        except (ValueError, struct.error):
            raise BadCursor from None
        if not hmac.compare_digest(self.write(level_id, position, period).encode(), cursor.encode()):
            raise BadCursor
        return position

    def _sign(self, level_id: int, period: int, packed: bytes) -> bytes:
        board = level_id.to_bytes(4, "big") + (period.to_bytes(4, "big") if period else b"")
        return hmac.digest(self._key, board + packed, "sha256")[:SIGNATURE_BYTES]
