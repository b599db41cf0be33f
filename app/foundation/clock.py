"""The only place that asks for the time. Moments are aware UTC datetimes or whole Unix milliseconds."""

import time
from datetime import UTC, datetime

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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
    since = moment - EPOCH  # exact, and three times as fast as by `timestamp`
    return since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000


def from_ms(ms: int) -> datetime:
    """Turn Unix milliseconds into an aware UTC moment."""
    return datetime.fromtimestamp(ms // 1000, UTC).replace(microsecond=ms % 1000 * 1000)
