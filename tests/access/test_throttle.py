"""How long a sign-in waits, from the moments of earlier failures."""

from hypothesis import given
from hypothesis import strategies as st

from app.access.throttle import WINDOW, wait

NOW = 10 * WINDOW
MOMENTS = st.lists(st.integers(NOW - 2 * WINDOW, NOW), max_size=12)


def test_below_the_limit_nobody_waits() -> None:
    assert wait([NOW] * 4, 5, NOW) == 0


def test_at_the_limit_the_oldest_failure_must_leave_the_window() -> None:
    assert wait([NOW - WINDOW + 1, *[NOW] * 4], 5, NOW) == 1
    assert wait([NOW - 60_000, *[NOW] * 4], 5, NOW) == WINDOW // 1000 - 60


def test_failures_outside_the_window_do_not_count() -> None:
    assert wait([NOW - WINDOW] * 50, 5, NOW) == 0


@given(MOMENTS, st.integers(1, 6))
def test_after_the_wait_the_attempt_is_allowed_and_a_second_earlier_it_is_not(
    failures: list[int], limit: int
) -> None:
    seconds = wait(failures, limit, NOW)
    assert wait(failures, limit, NOW + seconds * 1000) == 0
    if seconds > 1:
        assert wait(failures, limit, NOW + (seconds - 1) * 1000) > 0
