"""Free moments of half a year: busy in working hours, never two conversations at once in one room."""

import datetime as dt
from collections import defaultdict
from itertools import accumulate
from random import Random
from typing import Final

from app.sample.company import FIRST_DAY
from app.sample.roster import SHANGHAI

HOURS: Final = (
    *(0.05, 0.02, 0.02, 0.02, 0.02, 0.05, 0.4, 2, 5, 9, 10, 9),
    *(5, 6, 8, 9, 9, 7, 5, 4, 4, 3, 1, 0.3),
)  # how busy each hour of a day is, in Shanghai
WEEKEND: Final = 0.2  # as busy as a working day

SATURDAY: Final = 5
_QUIET: Final = dt.timedelta(minutes=30)  # between two conversations in one room


class Diary:
    """The days up to `until`; day 0 is its own, as far as it has gone."""

    def __init__(self, until: dt.datetime) -> None:
        """Take an aware moment; a naive one is a ValueError."""
        if until.tzinfo is None:
            raise ValueError("a moment needs its UTC offset")
        self._until = until
        local = until.astimezone(SHANGHAI)
        self._midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
        self._days = range(FIRST_DAY, 1)
        self._busy = tuple(accumulate(self._weight(day) for day in self._days))
        self._hours = tuple(accumulate(HOURS))
        self._taken: defaultdict[str, list[tuple[dt.datetime, dt.datetime]]] = defaultdict(list)

    def moment(self, rng: Random) -> tuple[int, dt.datetime]:
        """Draw a day and a moment of it."""
        day = rng.choices(self._days, cum_weights=self._busy)[0]
        return day, self.on(day, rng)

    def on(self, day: int, rng: Random, hour: int | None = None) -> dt.datetime:
        """Draw a moment of `day`, in `hour` where one is given."""
        if hour is None:
            hour = rng.choices(range(24), cum_weights=self._hours)[0]
        past = dt.timedelta(hours=hour, milliseconds=rng.randrange(3_600_000))
        return self._midnight + dt.timedelta(days=day) + past

    def workday(self, day: int) -> int:
        """The latest working day that is not after `day`."""
        while self._weight(day) < 1:
            day -= 1
        return day

    def book(self, room: str, start: dt.datetime, length: dt.timedelta) -> bool:
        """Keep the room for a conversation; False where it is taken or would not be over in time."""
        end = start + length
        if end >= self._until or self._clashes(room, start, end):
            return False
        self._taken[room].append((start - _QUIET, end + _QUIET))
        return True

    def _clashes(self, room: str, start: dt.datetime, end: dt.datetime) -> bool:
        return any(start < closes and opens < end for opens, closes in self._taken[room])

    def _weight(self, day: int) -> float:
        weekday = (self._midnight + dt.timedelta(days=day)).weekday()
        return WEEKEND if weekday >= SATURDAY else 1
