"""Where messages are pushed in. Answers come after the durable commit and in the order sent."""

import json
from collections.abc import Sequence
from json.encoder import encode_basestring_ascii
from typing import Annotated, Literal

from fastapi import APIRouter, Header, Path, Query, Response
from pydantic import BaseModel

from app.access import Action, Caller, Event, record
from app.access.api import Gate
from app.archive import quarantine
from app.archive.append import Receipt, Status
from app.capture.bodies import MAX_MESSAGES, Rejected, split_body, split_ndjson
from app.capture.receive import Capture, tally
from app.foundation.database import Database
from app.foundation.errors import BadInput, TooLarge
from app.foundation.http import Body

NDJSON = "application/x-ndjson"


class UnreadableBody(BadInput):
    """The request body as a whole cannot be read; nothing of it was accepted."""

    code = "unreadable_body"
    title = "请求体无法识别"


class TooManyMessages(TooLarge):
    """More messages than one request may carry; nothing of it was accepted."""

    code = "too_many_messages"
    title = "消息条数超过上限"


class MessageResult(BaseModel):
    """What became of one message."""

    source_msg_id: str | None
    status: Status
    seq: int | None
    digest: str | None
    error: str | None
    detail: str | None


class Outcome(BaseModel):
    """The answer for a batch, results in the order sent."""

    results: list[MessageResult]
    accepted: int
    duplicate: int
    quarantined: int
    rejected: int


class QuarantinePage(BaseModel):
    """Quarantined inputs, newest first, without their bytes."""

    items: list[dict[str, object]]
    next: int | None


def routes(capture: Capture, db: Database, gate: Gate) -> APIRouter:
    """Routes of the capture room."""
    router = APIRouter(tags=["接入"])
    ingest = gate.needs(Action.INGEST)

    @router.post("/messages", response_model=Outcome, summary="推送消息")
    def push_messages(
        caller: Annotated[Caller, ingest],  # noqa: ARG001  (declares the permission)
        body: Body,
        content_type: Annotated[str, Header()] = "",
    ) -> Response:
        return _answer(capture.receive(_split(body, content_type)))

    @router.post("/wecom/messages", response_model=Outcome, summary="推送解密后的企业微信消息")
    def push_wecom_messages(
        caller: Annotated[Caller, ingest],  # noqa: ARG001  (declares the permission)
        body: Body,
        corp: Annotated[str, Query(min_length=1, max_length=256)],
        content_type: Annotated[str, Header()] = "",
    ) -> Response:
        return _answer(capture.receive_wecom(_split(body, content_type), corp))

    @router.get("/quarantine", summary="隔离区列表")
    def list_quarantine(
        caller: Annotated[Caller, gate.needs(Action.SEE_QUARANTINE)],
        state: quarantine.State | None = None,
        cursor: Annotated[int | None, Query(ge=1, le=2**53)] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> QuarantinePage:
        with db.write() as connection:
            record(connection, Event.QUARANTINE_LIST, caller)
        with db.read() as connection:
            found = quarantine.items(connection, state=state, before=cursor, limit=limit + 1)
        following = found[limit - 1].id if len(found) > limit else None
        return QuarantinePage(items=[each._asdict() for each in found[:limit]], next=following)

    @router.get("/quarantine/{number}/raw", summary="隔离区原始字节")
    def open_quarantined(
        caller: Annotated[Caller, gate.needs(Action.SEE_QUARANTINE)],
        number: Annotated[int, Path(ge=1, le=2**53)],
    ) -> Response:
        with db.write() as connection:
            record(connection, Event.QUARANTINE_OPEN, caller, str(number))
        return Response(capture.quarantined_bytes(number), media_type="application/octet-stream")

    @router.post("/quarantine/{number}/{step}", summary="重放或放弃一项")
    def settle_quarantined(
        caller: Annotated[Caller, gate.needs(Action.REPLAY_QUARANTINE)],
        number: Annotated[int, Path(ge=1, le=2**53)],
        step: Literal["replay", "discard"],
    ) -> MessageResult | None:
        with db.write() as connection:
            record(connection, Event.QUARANTINE_REPLAY, caller, str(number), step=step)
        if step == "discard":
            capture.discard(number)
            return None
        return MessageResult(**capture.replay(number)._asdict())

    return router


def _split(body: bytes, content_type: str) -> list[bytes]:
    is_lines = content_type.partition(";")[0].strip().lower() == NDJSON
    try:
        lines = list(split_ndjson(body) if is_lines else split_body(body))
    except Rejected as error:
        if error.code == TooManyMessages.code:
            raise TooManyMessages(error.detail, limit=MAX_MESSAGES) from None
        raise UnreadableBody(error.detail, reason=error.code) from None
    if len(lines) > MAX_MESSAGES:
        raise TooManyMessages(f"一次最多 {MAX_MESSAGES} 条；请分批发送", limit=MAX_MESSAGES)
    return lines


def _answer(receipts: Sequence[Receipt]) -> Response:
    results = ",".join([_result(receipt) for receipt in receipts])
    counts = json.dumps(tally(receipts))
    return Response(f'{{"results":[{results}],{counts[1:]}', media_type="application/json")


def _result(receipt: Receipt) -> str:
    """The JSON of a `MessageResult`; thousands stand in one answer, nearly all of this shape."""
    if receipt.error is None and receipt.source_msg_id is not None:
        name = encode_basestring_ascii(receipt.source_msg_id)
        return (
            f'{{"source_msg_id":{name},"status":"{receipt.status}","seq":{receipt.seq},'
            f'"digest":"{receipt.digest}","error":null,"detail":null}}'
        )
    return json.dumps(receipt._asdict(), ensure_ascii=False)
