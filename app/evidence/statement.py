"""What a package states and signs: who asked for what, on which heads of the logs it rests, what it holds."""

import base64
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from app import __version__
from app.evidence.exports import One
from app.evidence.logs import Sealed
from app.evidence.selection import moment
from app.evidence.signer import Signer

TYPE = "application/vnd.liuhen.statement+json"
VERSION = 1


class Heads(NamedTuple):
    """The signed heads a package rests on."""

    records_origin: str
    records: Sealed
    audit_origin: str
    audit: Sealed


class Facts(NamedTuple):
    """What a package holds, counted; times are Unix milliseconds."""

    corp: str
    included: int
    disclosed: int
    not_selected: int
    redacted: int
    key_destroyed: int
    conversations: int
    custody: int
    first_sent: int | None
    last_sent: int | None


def statement(
    found: One, facts: Facts, heads: Heads, vkeys: Mapping[str, str], origin: str
) -> dict[str, Any]:
    """The statement but for the digests of the bag's files."""
    counts = {
        name: value
        for name, value in facts._asdict().items()
        if name not in ("corp", "first_sent", "last_sent")
    }
    wanted = {name: value for name, value in found.asked.items() if name != "redactions"}
    return {
        "version": VERSION,
        "type": "liuhen-evidence",
        "export": found.id,
        "package": found.file_name,
        "origin": origin,
        "corp": facts.corp,
        "suite": "intl",
        "request": wanted,
        "requested_by": {"id": found.requested_by, "name": found.requested_by_name},
        "requested_at": _iso(found.requested_at),
        "approved_by": {"id": found.decided_by, "name": found.decided_by_name},
        "approved_at": _iso(found.decided_at),
        "approval_note": found.decision_note,
        "four_eyes": found.requested_by != found.decided_by,
        "first_sent_at": _iso(moment(facts.first_sent)),
        "last_sent_at": _iso(moment(facts.last_sent)),
        "records_log": _log(heads.records_origin, heads.records),
        "audit_log": _log(heads.audit_origin, heads.audit),
        "completeness": "by_words" if found.selected().is_by_words else "conversations",
        "counts": counts,
        "keys": dict(vkeys),
        "tool": {"name": "liuhen", "version": __version__},
    }


def envelope(told: Mapping[str, Any], signer: Signer, vkeys: Mapping[str, str]) -> str:
    """The statement in a DSSE envelope."""
    payload = json.dumps(told, ensure_ascii=False, sort_keys=True, indent=1).encode()
    pae = b"DSSEv1 %d %s %d %s" % (len(TYPE), TYPE.encode(), len(payload), payload)
    signature = {
        "keyid": vkeys["statement"].rsplit("+", 1)[0],
        "sig": _b64(signer.sign_bytes(pae)),
    }
    whole = {"payload": _b64(payload), "payloadType": TYPE, "signatures": [signature]}
    return json.dumps(whole, indent=1) + "\n"


def _log(origin: str, sealed: Sealed) -> dict[str, Any]:
    return {"origin": origin, "size": sealed.size, "root": sealed.root.hex()}


def _iso(at: Any) -> str | None:
    return at.isoformat(timespec="milliseconds") if at else None


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
