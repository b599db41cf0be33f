"""RSMF 2.0: a conversation's day as one file that review platforms read (evidence research 2.3).

An RFC 5322 message with the readable transcript as its text and one attachment `rsmf.zip` holding the manifest. Pure:
the same events give the same bytes.
"""

import base64
import io
import json
import zipfile
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

VERSION = "2.0.0"
MOST_EVENTS = 10_000  # in one file
_EPOCH = (1980, 1, 1, 0, 0, 0)
_LINE = 76
_BOUNDARY = "=_liuhen_rsmf"
_KINDS = {"agree": "disclaimer", "disagree": "disclaimer"}


class Event(NamedTuple):
    """One message; `text` is None where its content is withheld."""

    seq: int
    msg_id: str
    sent_at: datetime
    sender: tuple[str, str, str | None]
    direction: str
    kind: str
    action: str
    text: str | None
    recalls: str | None
    recalled_at: datetime | None
    leaf_hash: str


class Slice(NamedTuple):
    """What one file holds."""

    collection: str  # the same for all files of a package
    place: str  # the conversation's tag, hex
    room: str | None
    is_group: bool
    participants: tuple[tuple[str, str, str | None], ...]
    events: tuple[Event, ...]


def manifest(part: Slice, zone: ZoneInfo) -> dict[str, Any]:
    """The `rsmf_manifest.json` of a slice."""
    conversation = {
        "id": part.place,
        "platform": "WeCom",
        "type": "channel" if part.is_group else "direct",
        "display": part.room or part.place,
        "participants": [_person(each) for each in part.participants],
    }
    return {
        "version": VERSION,
        "eventcollectionid": part.collection,
        "participants": [
            {
                "id": _person(each),
                "display": each[2] or each[1],
                "account_id": each[1],
                "custom": [{"name": "type", "value": each[0]}],
            }
            for each in part.participants
        ],
        "conversations": [conversation],
        "events": [_event(each, part, zone) for each in part.events],
    }


def write(part: Slice, zone: ZoneInfo) -> bytes:
    """The whole file."""
    told = json.dumps(manifest(part, zone), ensure_ascii=False, separators=(",", ":"))
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        entry = zipfile.ZipInfo("rsmf_manifest.json", _EPOCH)
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry.create_system = 3
        archive.writestr(entry, told)
    times = sorted(event.sent_at for event in part.events)
    first, last = times[0], times[-1]
    names = ", ".join(_word(each[2] or each[1]) for each in part.participants)
    headers = {
        "X-RSMF-Version": VERSION,
        "X-RSMF-Generator": "Liuhen",
        "X-RSMF-BeginDate": _iso(first, zone),
        "X-RSMF-EndDate": _iso(last, zone),
        "X-RSMF-EventCount": str(len(part.events)),
        "X-RSMF-AttachmentCount": "0",
        "X-RSMF-Application": "WeCom",
        "X-RSMF-Participants": names,
        "X-RSMF-EventCollectionID": part.collection,
        "From": "archive@liuhen.invalid",
        "To": "review@liuhen.invalid",
        "Subject": _word(f"{part.room or part.place} {first.astimezone(zone):%Y-%m-%d}"),
        "Date": f"{first.astimezone(zone):%a, %d %b %Y %H:%M:%S %z}",
        "Message-ID": f"<{part.place}.{part.events[0].seq}@liuhen.invalid>",
        "MIME-Version": "1.0",
        "Content-Type": f'multipart/mixed; boundary="{_BOUNDARY}"',
    }
    lines = [f"{name}: {value}" for name, value in headers.items()]
    lines += [
        "",
        f"--{_BOUNDARY}",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: base64",
        "",
        *_wrapped(_transcript(part, zone).encode()),
        f"--{_BOUNDARY}",
        "Content-Type: application/zip",
        "Content-Transfer-Encoding: base64",
        'Content-Disposition: attachment; filename="rsmf.zip"',
        "",
        *_wrapped(zipped.getvalue()),
        f"--{_BOUNDARY}--",
        "",
    ]
    return "\r\n".join(lines).encode()


def _event(event: Event, part: Slice, zone: ZoneInfo) -> dict[str, Any]:
    custom = {
        "log_index": str(event.seq - 1),
        "leaf_hash": event.leaf_hash,
        "source_msg_id": event.msg_id,
        "kind": event.kind,
        "action": event.action,
    }
    if event.recalled_at is not None:
        custom["revoked_at"] = _iso(event.recalled_at, zone)
    if event.recalls:
        custom["recalls"] = event.recalls
    told: dict[str, Any] = {
        "type": _KINDS.get(event.action, "message"),
        "id": str(event.seq),
        "conversation": part.place,
        "participant": _person(event.sender),
        "timestamp": _iso(event.sent_at, zone),
        "body": _shown(event),
        "custom": [{"name": name, "value": value} for name, value in custom.items()],
    }
    if event.direction in ("inbound", "outbound"):
        told["direction"] = "incoming" if event.direction == "inbound" else "outgoing"
    if event.recalled_at is not None:
        told["deleted"] = True
    return told


def _transcript(part: Slice, zone: ZoneInfo) -> str:
    return "".join(
        f"[{_iso(event.sent_at, zone)}] {event.sender[2] or event.sender[1]}: {_shown(event)}\n"
        for event in part.events
    )


def _shown(event: Event) -> str:
    return "〔内容未披露〕" if event.text is None else event.text


def _person(party: tuple[str, str, str | None]) -> str:
    return f"{party[0]}:{party[1]}"


def _iso(moment: datetime, zone: ZoneInfo) -> str:
    return moment.astimezone(zone).isoformat(timespec="milliseconds")


def _word(text: str) -> str:
    """A header's value in ASCII (RFC 2047), whatever characters it has."""
    if text.isascii() and text.isprintable():
        return text
    pieces = [text[start : start + 15] for start in range(0, len(text), 15)]
    return "\r\n ".join(
        f"=?utf-8?b?{base64.b64encode(each.encode()).decode()}?=" for each in pieces
    )


def _wrapped(data: bytes) -> Sequence[str]:
    text = base64.b64encode(data).decode()
    return [text[start : start + _LINE] for start in range(0, len(text), _LINE)]
