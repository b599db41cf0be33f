"""The logs over HTTP: heads, tiles, consistency, and the proof of one message."""

import base64
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel
from sqlalchemy import select

from app.access import Action, Caller, Event, record
from app.access.api import Gate
from app.archive.leaf import FIELDS, decode, salts
from app.archive.models import Record, record_id
from app.archive.sealed import unseal
from app.archive.store import read_one
from app.evidence import logs, merkle, note, tiles
from app.evidence.signer import Signer
from app.foundation.database import Database
from app.foundation.errors import BadInput
from app.foundation.keys import KeyRing, KeyUnusable
from app.foundation.paging import LARGEST

LogName = Annotated[str, Path(max_length=64)]
Size = Annotated[int | None, Query(ge=0, le=LARGEST)]


class LogOut(BaseModel):
    """A log, `audit` or `records-<corp>`, and its newest signed head; null fields until the first is signed."""

    log: str
    origin: str
    vkey: str
    entries: int
    size: int
    root: str | None
    signed_at: datetime | None


class Logs(BaseModel):
    """The audit trail's log and every corp's."""

    items: list[LogOut]


class Consistency(BaseModel):
    """The proof that the tree of `size` begins with the tree of `old`; hashes in base64."""

    old: int
    size: int
    old_root: str
    root: str
    path: list[str]


class FieldProof(BaseModel):
    """One committed field: its commitment in the leaf, and the salt that opens it; null once the key is destroyed."""

    commitment: str
    salt: str | None


class Proof(BaseModel):
    """That a message is in its log. All bytes in base64; `proof` is the same as a C2SP tlog-proof."""

    id: str
    log: str
    origin: str
    vkey: str
    index: int
    leaf: str
    leaf_hash: str
    size: int
    root: str
    path: list[str]
    checkpoint: str
    proof: str
    suite: int
    counter: int
    fields: dict[str, FieldProof]


def routes(db: Database, keyring: KeyRing, signer: Signer, origin: str, gate: Gate) -> APIRouter:
    """Routes of the logs; `origin` is the installation's name in them."""
    router = APIRouter(tags=["证据"])

    @router.get("/logs", summary="日志与最新的签名检查点", dependencies=[gate.signed_in()])
    def list_logs() -> Logs:
        return list_of(db, signer, origin)

    @router.get(
        "/logs/{log}/checkpoint",
        summary="签名检查点（C2SP），缺省为最新",
        response_class=Response,
        dependencies=[gate.signed_in()],
    )
    def read_checkpoint(log: LogName, size: Size = None) -> Response:
        with db.read() as connection:
            number = logs.named(connection, log)
            found = (
                logs.latest(connection, number)
                if size is None
                else logs.at_size(connection, number, size)
            )
        if found is None:
            raise logs.NotSealed(retry_after=1)
        return Response(found.note, media_type="text/plain; charset=utf-8")

    @router.get(
        "/logs/{log}/consistency",
        summary="两个大小之间的一致性证明",
        dependencies=[gate.signed_in()],
    )
    def prove_consistency(
        log: LogName, old: Annotated[int, Query(ge=0, le=LARGEST)], size: Size = None
    ) -> Consistency:
        return consistency_of(db, log, old, size)

    @router.get(
        "/logs/{log}/tile/{level}/{name:path}",
        summary="散列块（C2SP tlog-tiles）",
        response_class=Response,
        dependencies=[gate.signed_in()],
    )
    def read_tile(log: LogName, level: Annotated[int, Path(ge=0, le=63)], name: str) -> Response:
        with db.read() as connection:
            number = logs.named(connection, log)
            data = tiles.read_named(connection, number, level, name)
        return Response(data, media_type="application/octet-stream")

    @router.get("/messages/{name}/proof", summary="一条消息的包含证明")
    def prove_message(
        caller: Annotated[Caller, gate.needs(Action.OPEN)],
        name: Annotated[str, Path(max_length=64)],
    ) -> Proof:
        return proof_of(db, keyring, signer, origin, caller, name)

    return router


def list_of(db: Database, signer: Signer, origin: str) -> Logs:
    """Every log with its newest head."""
    items = []
    with db.read() as connection:
        for number, name in logs.origins(connection, origin).items():
            head = logs.latest(connection, number)
            items.append(
                LogOut(
                    log=logs.name_of(number),
                    origin=name,
                    vkey=signer.vkey(name),
                    entries=logs.end(connection, number),
                    size=head.size if head else 0,
                    root=head.root.hex() if head else None,
                    signed_at=head.signed_at if head else None,
                )
            )
    return Logs(items=items)


def consistency_of(db: Database, log: str, old: int, size: int | None) -> Consistency:
    """The proof between two sizes, the newer one the newest signed unless given."""
    with db.read() as connection:
        number = logs.named(connection, log)
        head = logs.latest(connection, number)
        if head is None:
            raise logs.NotSealed(retry_after=1)
        to = head.size if size is None else size
        if not old <= to <= head.size:
            raise BadInput(f"须 old ≤ size ≤ {head.size}")
        node = tiles.Reader(connection, number).node
        return Consistency(
            old=old,
            size=to,
            old_root=_b64(merkle.root(node, old)),
            root=_b64(merkle.root(node, to)),
            path=[_b64(each) for each in merkle.consistency(node, old, to)],
        )


def proof_of(
    db: Database, keyring: KeyRing, signer: Signer, origin: str, caller: Caller, name: str
) -> Proof:
    """The proof of a message the caller may see; raises `MessageNotFound`, `NotSealed`."""
    with db.write() as connection:
        record(connection, Event.MESSAGE_PROOF, caller, name)
    with db.read() as connection:
        message = read_one(connection, name, caller.scope)
        log = message.corp_id
        sealed = logs.covering(connection, log, message.seq)
        row = connection.execute(
            _sealed_row().where(Record.id == record_id(log, message.seq))
        ).one()
        bucket = keyring.by_id(connection, [row.bucket_id]).get(row.bucket_id)
        path = merkle.inclusion(tiles.Reader(connection, log).node, message.seq - 1, sealed.size)
        own = logs.origins(connection, origin)[log]
    opened: list[str | None] = [None] * len(FIELDS)
    if bucket is not None:
        try:
            opened = [_b64(salt) for salt in salts(unseal(row, bucket, message.corp)[0])]
        except KeyUnusable:
            opened = [None] * len(FIELDS)
    leaf = decode(row.leaf)
    return Proof(
        id=message.id,
        log=logs.name_of(log),
        origin=own,
        vkey=signer.vkey(own),
        index=message.seq - 1,
        leaf=_b64(row.leaf),
        leaf_hash=_b64(merkle.hash_leaf(row.leaf)),
        size=sealed.size,
        root=_b64(sealed.root),
        path=[_b64(each) for each in path],
        checkpoint=sealed.note,
        proof=note.proof_text(message.seq - 1, path, sealed.note),
        suite=leaf.suite,
        counter=leaf.counter,
        fields={
            field: FieldProof(commitment=_b64(commitment), salt=salt)
            for field, commitment, salt in zip(FIELDS, leaf.commitments, opened, strict=True)
        },
    )


def _sealed_row() -> Any:
    return select(
        Record.source,
        Record.source_msg_id,
        Record.suite,
        Record.bucket_id,
        Record.wrapped_key,
        Record.sealed,
        Record.leaf,
    )


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
