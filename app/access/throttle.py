"""How long a sign-in must wait, from the moments of those that failed before."""

from collections.abc import Sequence

WINDOW = 15 * 60 * 1000  # milliseconds in which failures count
LOGIN_LIMIT = 5  # failures of one login
ADDRESS_LIMIT = 30  # failures from one address; an office may share one


def wait(failures: Sequence[int], limit: int, now: int) -> int:
    """Seconds until another attempt is allowed, 0 for at once; moments in Unix milliseconds.

    Allowed again as soon as fewer than `limit` failures lie within the window.
    """
    counted = sorted(moment for moment in failures if moment > now - WINDOW)
    if len(counted) < limit:
        return 0
    return max(1, -((now - WINDOW - counted[-limit]) // 1000))
