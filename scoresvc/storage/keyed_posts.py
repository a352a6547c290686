"""Answers to posts that came with an idempotency key, as they are stored.

A key is a user's own, and good for KEY_LIFETIME from the first post with it. It is stored in the transaction of that
post, with the answer: whoever repeats the post gets it again, whichever node is asked.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from scoresvc.errors import KeyReused
from scoresvc.scores import PostResult

KEY_LIFETIME = 24 * 3600  # seconds


class KeyedPost(NamedTuple):
    level_id: int
    score: int
    answer: bytes

    def replay(self, level_id: int, score: int) -> bytes:
        """Returns the answer. Raises KeyReused where this is another post."""
        if (level_id, score) != (self.level_id, self.score):
            raise KeyReused
        return self.answer


def write_answer(result: PostResult, is_held: bool) -> bytes:
    """Returns MessagePack; whether a player learns that a score is held, is asked when it is read."""
    return msgspec.msgpack.encode((result, is_held), enc_hook=int)


def read_answer(answer: bytes, tells_held: bool) -> PostResult:
    result, is_held = _DECODER.decode(answer)
    return msgspec.structs.replace(result, held=True) if is_held and tells_held else result


def _decode_special(kind: type, value: Any) -> Any:
    return kind(value)


_DECODER = msgspec.msgpack.Decoder(tuple[PostResult, bool], dec_hook=_decode_special)
