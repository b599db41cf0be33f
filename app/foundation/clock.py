"""The only place that asks for the time. Moments are aware UTC datetimes or whole Unix milliseconds."""

import time
from datetime import UTC, datetime


def now() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.fromtimestamp(time.time_ns() // 1_000_000 / 1000, UTC)


def now_ms() -> int:
    """The present moment in Unix milliseconds."""
    return time.time_ns() // 1_000_000


def to_ms(moment: datetime) -> int:
    """Turn an aware moment into Unix milliseconds; a naive one is refused with ValueError."""
    if moment.tzinfo is None:
        raise ValueError("a moment needs its UTC offset")
    whole = int(moment.replace(microsecond=0).timestamp())
    return whole * 1000 + moment.microsecond // 1000


def from_ms(ms: int) -> datetime:
    """Turn Unix milliseconds into an aware UTC moment."""
    return datetime.fromtimestamp(ms // 1000, UTC).replace(microsecond=ms % 1000 * 1000)
