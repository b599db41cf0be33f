"""Packages for tests: conversations of several kinds, requested by one, approved by another, built."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from app.access import EVERYTHING, Action, Caller
from app.archive.domain import Action as Deed
from app.archive.domain import Party, PartyType
from app.bootstrap import Services
from app.evidence import exports
from app.evidence.exports import One, Request
from app.evidence.selection import Asked
from tests.archive.samples import SENT_AT, between, envelope, in_group, put
from tests.evidence.conftest import seal

OFFICER = Caller("user", "usr_a", "合规甲", frozenset({Action.EXPORT}), EVERYTHING)
APPROVER = Caller("user", "usr_b", "主管乙", frozenset({Action.APPROVE_EXPORT}), EVERYTHING)
DAY = 86_400_000
SINCE = SENT_AT + DAY


def talk(services: Services, rounds: int = 6) -> None:
    """Two single chats and a group over three days, with a recall, rare characters and an emoji."""
    messages = []
    for number in range(rounds):
        at = SENT_AT + number * DAY // 2
        client = Party(PartyType.CLIENT, "wmA", "样例甲")
        messages += [
            envelope(f"a{number}", sent_at=at, text=f"第{number}次：净值以公告为准，𠮷😀"),
            between(f"b{number}", "wmB", sent_at=at + 1000, text="好的\n收到"),
            in_group(f"g{number}", sent_at=at + 2000, sender=client, text="保本吗？"),
        ]
    messages.append(
        envelope("r1", sent_at=SENT_AT + 2 * DAY, action=Deed.RECALL, recalls="a3", text="")
    )
    put(services.door, *messages)


def request(**changes: Any) -> Request:
    """A request for the whole log of the sample corp, with the given fields in place of its own."""
    fields: dict[str, Any] = {
        "corp": "ww1",
        "case": "〔2026〕12号",
        "legal_basis": "证券投资基金法第一百一十二条",
        "purpose": "现场检查",
        "recipient": "监管局",
        "jurisdiction": "CN",
        "foreign_approval": "",
        "asked": Asked(),
        "redactions": {},
    }
    return Request(**fields | changes)


def build(services: Services, wanted: Request) -> tuple[One, Path]:
    """Request, approve by another, seal, build."""
    name = exports.request(services.db, OFFICER, wanted).id
    exports.approve(services.db, APPROVER, name, "同意")
    seal(services)
    assert services.builder.build(name)
    with services.db.read() as connection:
        found = exports.one(connection, name)
    return found, services.builder.package(found)


def moment(ms: int) -> datetime:
    """A moment of Unix milliseconds."""
    return datetime.fromtimestamp(ms / 1000, UTC)
