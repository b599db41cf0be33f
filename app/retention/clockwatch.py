"""Whether the clock can be trusted with what cannot be undone."""

import time
from datetime import datetime, timedelta

from sqlalchemy import Connection, select

from app.access.models import AuditEvent
from app.foundation import clock
from app.foundation.errors import Conflict

LONGEST_JUMP = timedelta(hours=1)


class ClockJumped(Conflict):
    """The clock cannot be trusted."""

    code = "clock_jumped"
    title = "系统时钟不可信，销毁已停止"


class ClockWatch:
    """Tells when the clock was set while this process ran."""

    def __init__(self) -> None:
        self._wall, self._steady = clock.now_ms(), time.monotonic()

    def require_steady(self, connection: Connection) -> None:
        """Raise `ClockJumped` when the clock was moved, or stands before the newest audit entry."""
        passed = (time.monotonic() - self._steady) * 1000
        drift = clock.now_ms() - self._wall - passed
        if abs(drift) > LONGEST_JUMP.total_seconds() * 1000:
            raise ClockJumped(f"时钟被拨动约 {round(drift / 60_000)} 分钟；核对时间后重启服务")
        newest = _newest_entry(connection)
        if newest is not None and newest > clock.now():
            raise ClockJumped("时钟早于最新的审计记录")


def _newest_entry(connection: Connection) -> datetime | None:
    return connection.execute(
        select(AuditEvent.at).order_by(AuditEvent.seq.desc()).limit(1)
    ).scalar()
