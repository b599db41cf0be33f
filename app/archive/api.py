"""One message: itself, its surroundings, its exact bytes. Every look is audited before the answer."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel
from sqlalchemy import Connection

from app.access import Action, Caller, Event, record
from app.access.api import Gate
from app.archive.domain import Action as MessageAction
from app.archive.domain import ConversationKind, Direction, Party, PartyType
from app.archive.models import record_id
from app.archive.sealed import read_raw
from app.archive.store import Message, context, message_id, read_one, recalled_by
from app.foundation.database import Database
from app.foundation.keys import KeyRing

MessageName = Annotated[str, Path(max_length=64)]


class PartyOut(BaseModel):
    """Somebody who took part."""

    type: PartyType
    id: str
    name: str | None


class ConversationOut(BaseModel):
    """A conversation; `number` is ours, `id` the room's own."""

    number: int
    kind: ConversationKind
    id: str | None
    name: str | None


class MessageOut(BaseModel):
    """A message as every list and page shows it."""

    id: str
    seq: int
    corp: str
    source: str
    source_msg_id: str
    sent_at: datetime
    received_at: datetime
    conversation: ConversationOut
    counter: int
    sender: PartyOut
    recipients: list[PartyOut]
    direction: Direction
    kind: str
    action: MessageAction
    text: str
    has_media: bool
    recalls: str | None
    recalled_by: str | None


class OneMessage(MessageOut):
    """One message opened; `digest` is the hex SHA-256 of its raw bytes, `content` what belongs to its kind."""

    digest: str
    content: dict[str, Any]


class Context(BaseModel):
    """The surroundings of a message, oldest first."""

    items: list[MessageOut]
    has_before: bool
    has_after: bool


def shown(message: Message, recalls: dict[tuple[int, str, str], tuple[int, int]]) -> dict[str, Any]:
    """The fields of `MessageOut`; `recalls` is what `recalled_by` found."""
    place = recalls.get((message.corp_id, message.source, message.source_msg_id))
    return {
        "id": message.id,
        "seq": message.seq,
        "corp": message.corp,
        "source": message.source,
        "source_msg_id": message.source_msg_id,
        "sent_at": message.sent_at,
        "received_at": message.received_at,
        "conversation": ConversationOut(
            number=message.conversation_id,
            kind=message.conversation_kind,
            id=message.conversation_external_id,
            name=message.conversation_name,
        ),
        "counter": message.counter,
        "sender": _party(message.sender),
        "recipients": [_party(each) for each in message.recipients],
        "direction": message.direction,
        "kind": message.kind,
        "action": message.action,
        "text": message.text,
        "has_media": message.has_media,
        "recalls": message.recalls,
        "recalled_by": message_id(*place) if place else None,
    }


ContentOf = Callable[[bytes, str], dict[str, Any]]


def routes(db: Database, keyring: KeyRing, content_of: ContentOf, gate: Gate) -> APIRouter:
    """Routes of the archive room. `content_of(raw, source)` reads what belongs to a message's kind."""
    router = APIRouter(prefix="/messages", tags=["消息"])

    def raw_of(connection: Connection, message: Message) -> bytes:
        number = record_id(message.corp_id, message.seq)
        return read_raw(connection, keyring, number, message.corp)

    def audited(event: Event, caller: Caller, subject: str) -> None:
        with db.write() as connection:
            record(connection, event, caller, subject)

    @router.get("/{name}", summary="打开一条消息")
    def open_message(
        caller: Annotated[Caller, gate.needs(Action.OPEN)], name: MessageName
    ) -> OneMessage:
        audited(Event.MESSAGE_OPEN, caller, name)
        with db.read() as connection:
            message = read_one(connection, name, caller.scope)
            recalls = recalled_by(connection, [message])
            content = content_of(raw_of(connection, message), message.source)
        return OneMessage(**shown(message, recalls), digest=message.digest.hex(), content=content)

    @router.get("/{name}/context", summary="一条消息的上下文")
    def open_context(
        caller: Annotated[Caller, gate.needs(Action.OPEN)],
        name: MessageName,
        before: Annotated[int, Query(ge=0, le=200)] = 20,
        after: Annotated[int, Query(ge=0, le=200)] = 20,
    ) -> Context:
        audited(Event.MESSAGE_CONTEXT, caller, name)
        with db.read() as connection:
            message = read_one(connection, name, caller.scope)
            found = context(connection, message, caller.scope, before=before + 1, after=after + 1)
            recalls = recalled_by(connection, found)
        place = next(index for index, each in enumerate(found) if each.seq == message.seq)
        items = found[max(0, place - before) : place + after + 1]
        return Context(
            items=[MessageOut(**shown(each, recalls)) for each in items],
            has_before=place > before,
            has_after=len(found) - place - 1 > after,
        )

    @router.get("/{name}/raw", summary="一条消息的原始字节", response_class=Response)
    def open_raw(
        caller: Annotated[Caller, gate.needs(Action.OPEN_RAW)], name: MessageName
    ) -> Response:
        audited(Event.MESSAGE_RAW, caller, name)
        with db.read() as connection:
            message = read_one(connection, name, caller.scope)
            raw = raw_of(connection, message)
        headers = {"Content-Disposition": f'attachment; filename="{message.id}.raw"'}
        return Response(raw, media_type="application/octet-stream", headers=headers)

    return router


def _party(party: Party) -> PartyOut:
    return PartyOut(type=party.type, id=party.id, name=party.name)
