"""Session keys: made at random, and stored only as their hash."""

from __future__ import annotations

import base64
import hashlib
import secrets

KEY_BYTES = 20  # 160 random bits: 32 letters and digits in base 32


def make_key() -> str:
    """Returns 32 letters and digits that nobody can guess."""
    return base64.b32encode(secrets.token_bytes(KEY_BYTES)).decode("ascii")


def hash_key(key: str) -> bytes:
    """Returns the SHA-256 of a key, 32 bytes; a fast hash is enough for what cannot be guessed."""
    return hashlib.sha256(key.encode()).digest()
