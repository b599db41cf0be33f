"""Public ids: a type prefix and a time-ordered random part, so that a log line explains itself."""

import os

from app.foundation import clock

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford base 32


def new_id(prefix: str) -> str:
    """Make an id such as `alt_01k3…`: 48 bits of milliseconds, then 72 random bits (UUIDv7's idea)."""
    number = clock.now_ms() << 72 | int.from_bytes(os.urandom(9))
    digits = [_ALPHABET[number >> shift & 31] for shift in range(115, -1, -5)]
    return f"{prefix}_{''.join(digits)}"
