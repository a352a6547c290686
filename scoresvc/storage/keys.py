"""Session keys, secrets and tokens: made at random, and stored only as their hash."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

NO_HASH = bytes(32)

KEY_BYTES = 20  # 160 random bits: 32 letters and digits in base 32


def make_key() -> str:
    """Returns 32 letters and digits that nobody can guess."""
    return base64.b32encode(secrets.token_bytes(KEY_BYTES)).decode("ascii")


def hash_key(key: str) -> bytes:
    """Returns the SHA-256 of a key, 32 bytes; a fast hash is enough for what cannot be guessed."""
    return hashlib.sha256(key.encode()).digest()


def hash_again(secret_hash: bytes, key_hash: bytes) -> bytes:
    """Returns a hash that only who knows both can tell."""
    return hashlib.sha256(secret_hash + key_hash).digest()


def is_hash_of(key_hash: bytes | None, key: str | None) -> bool:
    """Returns whether `key` has this hash, in a time that tells nothing of either, nor whether there is a hash."""
    is_equal = hmac.compare_digest(key_hash or NO_HASH, hash_key(key or ""))
    return is_equal and key_hash is not None
