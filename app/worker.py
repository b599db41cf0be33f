"""Followers, running beside the door or in a process of their own."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from app.bootstrap import NOTES, Services, load_lexicon, wordlists
from app.foundation import followers, metrics
from app.foundation.followers import TOPIC as RECORDS
from app.foundation.followers import Runner
from app.oversight.alerts import TOPIC as ALERTS


@dataclass(frozen=True, slots=True)
class Staff:
    """The threads at work in this process."""

    runners: tuple[Runner, ...]

    def failures(self) -> dict[str, str]:
        """Followers that cannot go on, and the kind of error that stops them."""
        return {each.follower.name: each.failure for each in self.runners if each.failure}


@contextmanager
def at_work(services: Services) -> Generator[Staff]:
    """Run every follower until the block ends."""
    load_lexicon(
        wordlists(services.settings)
    )  # a mistake in a word list is better told before than after
    services.db.listen()
    runners = tuple(
        Runner(
            services.db,
            follower,
            lambda follower=follower: services.tails_of(follower),  # type: ignore[misc]
            holder=services.holder,
            is_busy=services.door.is_busy,
            topic=ALERTS if follower.name in NOTES else RECORDS,
        )
        for follower in services.followers
    )
    for runner in runners:
        runner.start()
    try:
        yield Staff(runners)
    finally:
        for runner in runners:
            runner.stop()


def lags(services: Services) -> dict[str, int]:
    """How far behind each follower is, in records."""
    found = {
        follower.name: followers.lag(follower, services.tails_of(follower))
        for follower in services.followers
    }
    for name, lag in found.items():
        metrics.FOLLOWER_LAG.labels(name).set(lag)
    return found
