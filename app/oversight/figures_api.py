"""Figures over HTTP: JSON, CSV and XLSX, each within the caller's scope."""

from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Response
from pydantic import AwareDatetime, BaseModel

from app.access import Action, Caller, Event, record
from app.access.api import Gate
from app.foundation import clock
from app.foundation.database import Database
from app.foundation.errors import BadInput
from app.oversight.figures import Figures, figures
from app.oversight.learning_api import PrecisionOut
from app.oversight.sheets import write_csv, write_xlsx

USUAL, LONGEST = timedelta(days=30), timedelta(days=400)
_SHEETS = {
    "csv": (write_csv, "text/csv; charset=utf-8"),
    "xlsx": (write_xlsx, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
}


class RowOut(BaseModel):
    """Alerts of one department or category; a department without a name is nobody's."""

    key: str
    alerts: int
    confirmed: int
    false_alarms: int
    per_thousand: float | None


class TimesOut(BaseModel):
    """Minutes from the alert."""

    alerts: int
    median: float | None
    p90: float | None


class BacklogOut(BaseModel):
    """What is not resolved now."""

    red: int
    orange: int
    yellow: int
    late: int


class WeekOut(BaseModel):
    """A week, by its Monday."""

    monday: date
    alerts: int
    confirmed: int
    false_alarms: int


class FiguresOut(BaseModel):
    """The figures of a span; messages and alerts are counted by when they came in."""

    since: datetime
    until: datetime
    messages: int
    alerts: int
    per_thousand: float | None
    departments: list[RowOut]
    categories: list[RowOut]
    rules: list[PrecisionOut]
    to_claim: TimesOut
    to_close: TimesOut
    backlog: BacklogOut
    weeks: list[WeekOut]


def routes(db: Database, zone: ZoneInfo, gate: Gate) -> APIRouter:
    """Routes of the figures."""
    router = APIRouter(tags=["统计"])

    @router.get("/alert-figures", summary="预警统计")
    def read_figures(
        caller: Annotated[Caller, gate.needs(Action.SEE_ALERTS)],
        since: AwareDatetime | None = None,
        until: AwareDatetime | None = None,
    ) -> FiguresOut:
        first, last = _span(since, until)
        found = _counted(db, caller, first, last, zone)
        return FiguresOut(since=first, until=last, **_plain(found))

    @router.get("/alert-figures/{form}", summary="预警统计表", response_class=Response)
    def read_sheet(
        caller: Annotated[Caller, gate.needs(Action.SEE_ALERTS)],
        form: Literal["csv", "xlsx"],
        since: AwareDatetime | None = None,
        until: AwareDatetime | None = None,
    ) -> Response:
        first, last = _span(since, until)
        write, kind = _SHEETS[form]
        data = write(_counted(db, caller, first, last, zone))
        headers = {"content-disposition": f'attachment; filename="alert-figures.{form}"'}
        return Response(data, media_type=kind, headers=headers)

    return router


def _counted(
    db: Database, caller: Caller, since: datetime, until: datetime, zone: ZoneInfo
) -> Figures:
    with db.write() as connection:
        record(connection, Event.ALERT_FIGURES, caller, "figures", since=since, until=until)
    with db.read() as connection:
        return figures(connection, caller.scope, since, until, zone)


def _span(since: datetime | None, until: datetime | None) -> tuple[datetime, datetime]:
    last = until or clock.now()
    try:
        first = since or last - USUAL
        length = last - first
    except OverflowError:
        raise BadInput("时间超出范围") from None
    if not timedelta(0) < length <= LONGEST:
        raise BadInput(f"统计区间须在 {LONGEST.days} 天以内，且结束晚于开始")
    return first, last


def _plain(found: Figures) -> dict[str, Any]:
    lists = {
        name: [each._asdict() for each in getattr(found, name)]
        for name in ("departments", "categories", "rules", "weeks")
    }
    ones = {name: getattr(found, name)._asdict() for name in ("to_claim", "to_close", "backlog")}
    return {**found._asdict(), **lists, **ones}
