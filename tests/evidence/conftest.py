"""An archive whose logs are sealed step by step, on a fresh database of each kind."""

from collections.abc import Callable

import pytest

from app.bootstrap import Services
from app.evidence.follower import SealFollower
from tests.archive.samples import envelope, put


def seal(services: Services) -> None:
    """Seal both kinds of logs to their ends."""
    for follower in services.followers:
        if isinstance(follower, SealFollower):
            for log, end in services.tails_of(follower).items():
                after = follower.position(log)
                while after < end:
                    after = follower.step(log, after, end)


@pytest.fixture
def fill(services: Services) -> Callable[[int], None]:
    """Appends that many messages to the log of `ww0001`."""
    numbers = iter(range(1_000_000))

    def fill(count: int) -> None:
        put(services.door, *(envelope(f"m{next(numbers)}") for _ in range(count)))

    return fill
