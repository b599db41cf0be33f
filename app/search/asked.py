"""What a caller asks for, and what it means to an engine: people, departments and conversations by their numbers."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal, NamedTuple

from fastapi import Query as Parameter
from pydantic import AwareDatetime, BaseModel, Field
from sqlalchemy import Connection

from app.access import Scope
from app.archive.domain import Direction
from app.archive.store import conversation_named
from app.foundation.clock import to_ms
from app.foundation.errors import BadInput
from app.people import (
    called,
    departments_called,
    departments_named,
    employee_key,
    subtree,
    visible_departments,
)
from app.search import query as language
from app.search import tree
from app.search.domain import party_key
from app.search.filters import Filters, Visible

NOWHERE = -1  # a number that no row has: what is asked for does not exist
_PARTIES = {"adviser": "employee", "client": "client"}
_WHAT = {
    "from": "没有叫「{}」的人",
    "to": "没有叫「{}」的人",
    "adviser": "没有叫「{}」的员工",
    "client": "没有叫「{}」的客户",
    "department": "没有叫「{}」的部门",
}


class NothingAsked(BadInput):
    """Neither words nor a filter."""

    code = "nothing_asked"
    title = "请输入检索词或至少一个筛选条件"


class Asked(BaseModel):
    """What one search looks for: the filters of `GET /messages` (contract, section 4)."""

    q: Annotated[str, Field(description="检索词；语法见说明")] = ""
    literal: Annotated[
        bool, Field(description="原样：区分大小写、全半角、繁简，不可见字符也算")
    ] = False
    adviser: list[str] = []
    client: list[str] = []
    department: list[str] = []
    conversation: str | None = None
    direction: Direction | None = None
    kind: str | None = None
    category: list[str] = []
    severity: list[Literal["red", "orange", "yellow"]] = []
    state: list[str] = []
    has_media: bool | None = None
    recalled: bool | None = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None


class AskedPage(Asked):
    """Which page of it, and in which order."""

    order: Annotated[
        Literal["newest", "oldest", "relevance"],
        Field(description="relevance 只在最新的 1000 条命中中排序"),
    ] = "newest"
    count: Literal["capped", "exact"] = "capped"
    limit: Annotated[int, Parameter(ge=1, le=200)] = 50
    cursor: str | None = None


class Search(NamedTuple):
    """A search as an engine takes it; `words` is the query as it was typed."""

    words: tree.Query | None
    tree: tree.Query | None
    filters: Filters
    literal: bool


def read(connection: Connection, asked: Asked, scope: Scope) -> Search:
    """What was asked for, looked up; raises `BadQuery`, `NothingAsked`."""
    words = language.parse(asked.q, literal=asked.literal)
    filters = filters_of(connection, asked, scope)
    if words is None and not filters.narrowing():
        raise NothingAsked
    if words is None:
        return Search(None, None, filters, asked.literal)
    resolved = language.resolve(words, lambda field: _values(connection, field, scope))
    wanted = language.candidates(resolved) if asked.literal else resolved
    return Search(words, wanted, filters, asked.literal)


def filters_of(connection: Connection, asked: Asked, scope: Scope) -> Filters:
    """The filters with the scope inside."""
    return Filters(
        advisers=tuple(name.lower() for name in asked.adviser),
        clients=tuple(asked.client),
        departments=_departments(connection, asked.department),
        conversation=_conversation(connection, asked.conversation),
        direction=asked.direction,
        kind=asked.kind,
        since=_ms(asked.since),
        until=_ms(asked.until),
        categories=tuple(asked.category),
        severities=tuple(asked.severity),
        states=tuple(asked.state),
        has_media=asked.has_media,
        recalled=asked.recalled,
        visible=visible(connection, scope),
    )


def visible(connection: Connection, scope: Scope) -> Visible | None:
    """A scope as engines compile it; None is everything."""
    departments = visible_departments(connection, scope)
    if departments is None:
        return None
    own = None if scope.employee is None else employee_key(connection, scope.employee)
    return Visible(departments, own)


def _values(connection: Connection, field: tree.Field, scope: Scope) -> tuple[str, ...]:
    """What a field term stands for. Who may not see everything is not told whether somebody exists."""
    (word,) = field.values
    if field.name == "kind":
        return (word.lower(),)
    if field.name == "department":
        found = tuple(map(str, sorted(subtree(connection, departments_called(connection, word)))))
    elif field.name in _PARTIES:
        kind = _PARTIES[field.name]
        found = tuple(identifier for each, identifier in called(connection, word) if each == kind)
    else:
        found = tuple(party_key(*each) for each in called(connection, word))
    if not found and scope.is_everything:
        what = _WHAT[field.name].format(word)
        raise language.BadQuery(field.at, f"{what}，请填账号或全名；要查这些字本身，请加引号")
    return found


def _departments(connection: Connection, names: Sequence[str]) -> tuple[int, ...]:
    """The departments meant, by number or code, with everything under them."""
    if not names:
        return ()
    found = subtree(connection, departments_named(connection, names))
    return tuple(sorted(found)) or (NOWHERE,)


def _conversation(connection: Connection, name: str | None) -> int | None:
    """The conversation meant, by our number or the room's own id."""
    if name is None:
        return None
    number = conversation_named(connection, name)
    return NOWHERE if number is None else number


def _ms(moment: datetime | None) -> int | None:
    return None if moment is None else to_ms(moment)
