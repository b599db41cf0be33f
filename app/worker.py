"""Followers and jobs, running beside the door or in a process of their own."""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.bootstrap import NOTES, Services
from app.foundation import followers, jobs, metrics
from app.foundation.followers import TOPIC as RECORDS
from app.foundation.followers import Runner
from app.oversight.clockwork import Clock
from app.screening.releases import Keeper
from app.search.opensearch import ClusterFollower, ClusterNotesFollower

WAITING = (ClusterFollower, ClusterNotesFollower)  # for a cluster; nobody else waits with them

if TYPE_CHECKING:
    from app.search.care import Care


@dataclass(frozen=True, slots=True)
class Staff:
    """The threads at work in this process."""

    runners: tuple[Runner, ...]

    def failures(self) -> dict[str, str]:
        """Followers that cannot go on, and the kind of error that stops them."""
        return {each.follower.name: each.failure for each in self.runners if each.failure}


@contextmanager
def at_work(services: Services) -> Generator[Staff]:
    """Run every follower and every job until the block ends."""
    released = services.lexicons.released
    released.begin()  # a mistake in the first word lists is better told before than after
    services.db.listen()
    turn = threading.Lock()
    runners = tuple(
        Runner(
            services.db,
            follower,
            lambda follower=follower: services.tails_of(follower),  # type: ignore[misc]
            holder=services.holder,
            is_busy=services.door.is_busy,
            topic=NOTES[follower.name].topic if follower.name in NOTES else RECORDS,
            turn=None if isinstance(follower, WAITING) else turn,
        )
        for follower in services.followers
    )
    others = (
        services.care,
        Keeper(services.db, released),
        jobs.Worker(services.db, services.handlers, name=services.holder),
        jobs.Worker(services.db, services.notifier.handlers(), name=services.holder),
        Clock(services.db, services.settings.calendar, services.holder),
    )
    threads: tuple[Runner | Keeper | jobs.Worker | Care | Clock, ...] = (*runners, *others)
    for thread in threads:
        thread.start()
    try:
        yield Staff(runners)
    finally:
        for thread in threads:
            thread.stop()


def lags(services: Services) -> dict[str, int]:
    """How far behind each follower is, in records."""
    found = {}
    for follower in services.followers:
        lag = found[follower.name] = followers.lag(follower, services.tails_of(follower))
        metrics.FOLLOWER_LAG.labels(follower.name).set(lag)
    return found
