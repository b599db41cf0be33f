"""Saved searches over HTTP."""

from datetime import datetime
from typing import Annotated, Literal, NamedTuple

from fastapi import APIRouter, Path, Query, Response
from pydantic import AfterValidator, BaseModel, Field

from app.access import Action, Caller, Event, record
from app.access.api import Gate, storable
from app.foundation import paging
from app.foundation.database import Database
from app.search import query as language
from app.search import saved
from app.search.asked import Asked, AskedPage
from app.search.finder import Finder
from app.search.saved import Saved, Wish
from app.search.shapes import MessagePage


class SavedIn(BaseModel):
    """A search to keep; `alert_at` tells the owner after so many new messages."""

    name: Annotated[str, Field(min_length=1, max_length=200), AfterValidator(storable)]
    asked: Asked
    shared: bool = False
    alert_at: Annotated[int | None, Field(ge=1, le=1_000_000)] = None

    def wish(self) -> Wish:
        """As the store takes it; raises `BadQuery` for words that cannot be read."""
        language.parse(self.asked.q, literal=self.asked.literal)
        return Wish(self.name, self.asked, self.shared, self.alert_at)


class Growth(BaseModel):
    """How a watched search has grown since its owner looked; `reached_at` is when it came to `alert_at`."""

    alert_at: int
    new: int
    checked_at: datetime | None
    reached_at: datetime | None


class SavedOut(BaseModel):
    """A saved search; `growth` is for its owner, who asked to be told."""

    id: str
    name: str
    owner: str
    owner_name: str
    is_own: bool
    shared: bool
    asked: Asked
    growth: Growth | None
    created_at: datetime
    changed_at: datetime


class SavedPage(BaseModel):
    """Saved searches, newest first; `next` asks for the following ones."""

    items: list[SavedOut]
    next: str | None


class Turn(BaseModel):
    """Which page of what a saved search finds."""

    order: Literal["newest", "oldest", "relevance"] = "newest"
    count: Literal["capped", "exact"] = "capped"
    limit: Annotated[int, Query(ge=1, le=200)] = 50
    cursor: str | None = None


class _List(NamedTuple):
    owner: str


SavedName = Annotated[str, Path(max_length=64)]


def routes(db: Database, finder: Finder, gate: Gate) -> APIRouter:
    """Routes of saved searches."""
    router = APIRouter(prefix="/searches", tags=["检索"])

    @router.post("", summary="保存检索", status_code=201)
    def save_search(
        caller: Annotated[Caller, gate.needs(Action.SEARCH)], given: SavedIn
    ) -> SavedOut:
        with db.write() as connection:
            made = saved.add(connection, caller, given.wish())
            record(connection, Event.SAVED_CREATE, caller, made.id, shared=made.shared)
        return _shown(made, caller)

    @router.get("", summary="已保存的检索")
    def list_searches(
        caller: Annotated[Caller, gate.needs(Action.SEARCH)],
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        cursor: str | None = None,
    ) -> SavedPage:
        of = _List(caller.id)
        before = None if cursor is None else paging.decode_number(cursor, of=of)
        with db.write() as connection:
            record(connection, Event.SAVED_READ, caller)
        with db.read() as connection:
            found = saved.read_page(connection, caller, before=before, limit=limit + 1)
        more = paging.encode(found[limit - 1].number, of=of) if len(found) > limit else None
        return SavedPage(items=[_shown(each, caller) for each in found[:limit]], next=more)

    @router.get("/{name}", summary="一个已保存的检索")
    def read_search(
        caller: Annotated[Caller, gate.needs(Action.SEARCH)], name: SavedName
    ) -> SavedOut:
        with db.write() as connection:
            record(connection, Event.SAVED_READ, caller, name)
        with db.read() as connection:
            return _shown(saved.read_one(connection, name, caller), caller)

    @router.put("/{name}", summary="修改已保存的检索")
    def change_search(
        caller: Annotated[Caller, gate.needs(Action.SEARCH)], name: SavedName, given: SavedIn
    ) -> SavedOut:
        with db.write() as connection:
            changed = saved.change(connection, name, caller, given.wish())
            record(connection, Event.SAVED_CHANGE, caller, name, shared=changed.shared)
        return _shown(changed, caller)

    @router.delete("/{name}", summary="删除已保存的检索", status_code=204)
    def delete_search(
        caller: Annotated[Caller, gate.needs(Action.SEARCH)], name: SavedName
    ) -> Response:
        with db.write() as connection:
            saved.remove(connection, name, caller)
            record(connection, Event.SAVED_DELETE, caller, name)
        return Response(status_code=204)

    @router.get("/{name}/messages", summary="运行已保存的检索")
    def run_search(
        caller: Annotated[Caller, gate.needs(Action.SEARCH)],
        name: SavedName,
        turn: Annotated[Turn, Query()],
    ) -> MessagePage:
        with db.read() as connection:
            found = saved.read_one(connection, name, caller)
        asked = AskedPage(**found.wanted.model_dump(), **turn.model_dump())
        words = asked.model_dump(mode="json", exclude_defaults=True)
        with db.write() as connection:
            record(connection, Event.MESSAGE_SEARCH, caller, name, asked=words)
        return finder.page(asked, caller.scope)

    @router.post("/{name}/seen", summary="标记为已看，重新累计")
    def mark_seen(
        caller: Annotated[Caller, gate.needs(Action.SEARCH)], name: SavedName
    ) -> SavedOut:
        with db.write() as connection:
            seen = saved.note_seen(connection, name, caller)
            record(connection, Event.SAVED_CHANGE, caller, name, seen=True)
        return _shown(seen, caller)

    return router


def _shown(each: Saved, caller: Caller) -> SavedOut:
    is_own = each.owner == caller.id
    growth = None
    if is_own and each.alert_at is not None:
        growth = Growth(
            alert_at=each.alert_at,
            new=each.grown,
            checked_at=each.checked_at,
            reached_at=each.reached_at,
        )
    return SavedOut(
        id=each.id,
        name=each.name,
        owner=each.owner,
        owner_name=each.owner_name,
        is_own=is_own,
        shared=each.shared,
        asked=each.wanted,
        growth=growth,
        created_at=each.created_at,
        changed_at=each.changed_at,
    )
