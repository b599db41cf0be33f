"""Failed sign-ins as rows: counted under the login and under the address, forgotten after the window.

An attempt is written before the password is looked at, so that many at once do not slip through; success
takes it back together with everything counted under its login. A refused attempt is not counted, so that a
flood cannot keep a login shut, and only the first refusal of a window is told, so that it cannot fill the trail.
"""

import hashlib
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection

from app.access import store, throttle
from app.foundation import clock

_WINDOW = timedelta(milliseconds=throttle.WINDOW)


class Refusal(NamedTuple):
    """Why an attempt may not be made yet: `by` is `login` or `address`."""

    seconds: int
    by: str
    is_news: bool


def admit(
    connection: Connection, attempt: str, login: str, address: str, now: datetime
) -> Refusal | None:
    """Count an attempt, or refuse it because of those that failed before."""
    store.forget_attempts(connection, now - _WINDOW)
    refused = max(
        (_seconds(connection, _under_login(login), throttle.LOGIN_LIMIT, now), _under_login(login)),
        (
            _seconds(connection, _under_address(address), throttle.ADDRESS_LIMIT, now),
            _under_address(address),
        ),
    )
    if refused[0]:
        return _refuse(connection, *refused, now)
    rows = [_row(attempt, under, now) for under in (_under_login(login), _under_address(address))]
    store.add_attempts(connection, rows)
    return None


def forgive(connection: Connection, attempt: str, login: str) -> None:
    """Take back an attempt that succeeded and the failures of its login."""
    store.clear_attempts(connection, attempt, _under_login(login))


def _seconds(connection: Connection, under: str, limit: int, now: datetime) -> int:
    tried = store.attempts(connection, under, now - _WINDOW, was_refused=False)
    return throttle.wait([clock.to_ms(moment) for moment in tried], limit, clock.to_ms(now))


def _refuse(connection: Connection, seconds: int, under: str, now: datetime) -> Refusal:
    told = store.attempts(connection, under, now - _WINDOW, was_refused=True)
    if not told:
        store.add_attempts(connection, [_row("", under, now) | {"was_refused": True}])
    return Refusal(seconds, under.partition(":")[0], not told)


def _row(attempt: str, under: str, now: datetime) -> dict[str, Any]:
    return {"attempt": attempt, "counted_under": under, "at": now, "was_refused": False}


def _under_login(login: str) -> str:
    # hashed: people type passwords into the field of the login
    return f"login:{hashlib.sha256(login.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"


def _under_address(address: str) -> str:
    return f"address:{address[:64]}"
