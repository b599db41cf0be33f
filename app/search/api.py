"""Finding messages. Every search is audited before it runs, its scope is inside the query."""

from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query
from pydantic import AwareDatetime

from app.access import Action, Caller, Event, record
from app.access.api import Gate
from app.foundation.database import Database
from app.search.asked import Asked, AskedPage
from app.search.finder import Finder
from app.search.shapes import FacetsOut, MessagePage, Thread

Side = Annotated[int, Query(ge=0, le=200)]
Mark = Annotated[str | None, Query(max_length=200)]


def routes(db: Database, finder: Finder, zone: ZoneInfo, gate: Gate) -> APIRouter:
    """Routes of the search room; months are those of `zone`."""
    router = APIRouter(tags=["检索"])

    def audited(event: Event, caller: Caller, **facts: Any) -> None:
        with db.write() as connection:
            record(connection, event, caller, **facts)

    @router.get("/messages", summary="检索消息")
    def search_messages(
        caller: Annotated[Caller, gate.needs(Action.SEARCH)],
        asked: Annotated[AskedPage, Query()],
    ) -> MessagePage:
        words = asked.model_dump(mode="json", exclude_defaults=True)
        audited(Event.MESSAGE_SEARCH, caller, asked=words)
        return finder.page(asked, caller.scope)

    @router.get("/messages/facets", summary="按员工、部门、类别和月份计数")
    def count_messages(
        caller: Annotated[Caller, gate.needs(Action.SEARCH)],
        asked: Annotated[Asked, Query()],
    ) -> FacetsOut:
        words = asked.model_dump(mode="json", exclude_defaults=True)
        audited(Event.MESSAGE_COUNT, caller, asked=words)
        return finder.facets(asked, caller.scope, zone)

    @router.get("/threads", summary="一位客户与所有员工、或一个会话的往来，可跳到某日")
    def read_thread(
        caller: Annotated[Caller, gate.needs(Action.SEARCH)],
        client: Annotated[str | None, Query(max_length=256)] = None,
        conversation: Annotated[str | None, Query(max_length=256)] = None,
        at: AwareDatetime | None = None,
        around: Annotated[str | None, Query(max_length=64)] = None,
        before: Side = 20,
        after: Side = 20,
        earlier: Mark = None,
        later: Mark = None,
    ) -> Thread:
        asked = Asked(client=[client] if client else [], conversation=conversation)
        words = asked.model_dump(mode="json", exclude_defaults=True)
        audited(Event.THREAD_READ, caller, asked=words, at=at and at.isoformat(), around=around)
        return finder.thread(
            asked,
            caller.scope,
            at=at,
            around=around,
            before=before,
            after=after,
            earlier=earlier,
            later=later,
        )

    return router


__all__ = ["routes"]
