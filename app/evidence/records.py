"""The records of a package: one JSON line each, and their raw bytes beside it.

    {"index":…,"leaf":…,"raw":<length>,"text":…,"sender":[…],"recipients":[…],"facts":[…],"salts":{…}}

`raw` is the length of the record's bytes in `15-raw/raw-N.jsonl`, where they follow each other in the same order, each
followed by a newline. What is not given is named in `withheld`, with its `reason`. Values are the JSON that was
committed to: written again without blanks they are the committed bytes.
"""

import base64
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple

from sqlalchemy import Connection

from app.archive.domain import Action, ConversationKind, Direction, Envelope, Party, PartyType
from app.archive.leaf import FIELDS, facts_json, json_word, salts
from app.archive.sealed import unseal
from app.evidence.selection import Row
from app.foundation.keys import Bucket, KeyRing, KeyUnusable

NOT_SELECTED, REDACTED, KEY_DESTROYED = "not_selected", "redacted", "key_destroyed"
_CONTENT = ("raw", "text")
_NOBODY = Party(PartyType.UNKNOWN, "")


class Withheld(NamedTuple):
    """A record that is not given whole; `place` is its index in the log."""

    place: int
    reason: str
    fields: tuple[str, ...]
    note: str = ""


class Opener:
    """Opens sealed records; keeps the bucket keys it has met."""

    def __init__(self, keyring: KeyRing, corp: str) -> None:
        self._keyring, self._corp = keyring, corp
        self._buckets: dict[int, Bucket | None] = {}

    def load(self, connection: Connection, rows: Iterable[Row]) -> None:
        """Look up the keys of these rows at once."""
        wanted = {row.bucket_id for row in rows} - self._buckets.keys()
        if not wanted:
            return
        found = self._keyring.by_id(connection, wanted)
        self._buckets |= {number: found.get(number) for number in wanted}

    def open(self, row: Row) -> tuple[bytes, bytes] | None:
        """Seed and raw bytes; None once the key is gone."""
        bucket = self._buckets[row.bucket_id]
        if bucket is None:
            return None
        try:
            return unseal(row, bucket, self._corp)
        except KeyUnusable:
            return None


def write(
    rows: Iterable[tuple[Row, bool]],
    opener: Opener,
    place_of: Mapping[int, tuple[str, str | None]],
    redactions: Mapping[int, str],
    lines: BinaryIO,
    raws: BinaryIO,
    corp: str,
) -> list[Withheld]:
    """Write rows and whether each is bare; gives those that people must be told of."""
    told = []
    for row, is_bare in rows:
        opened = None if is_bare else opener.open(row)
        if is_bare or opened is None:
            reason = NOT_SELECTED if is_bare else KEY_DESTROYED
            lines.write(_bare(row, reason))
            if not is_bare:
                told.append(Withheld(row.seq - 1, reason, FIELDS))
            continue
        note = redactions.get(row.seq)
        hidden = () if note is None else _CONTENT
        lines.write(_line(row, salts(opened[0]), len(opened[1]), place_of, hidden, corp))
        if note is None:
            raws.write(opened[1] + b"\n")
        else:
            told.append(Withheld(row.seq - 1, REDACTED, hidden, note))
    return told


def facts_of(row: Row, place_of: Mapping[int, tuple[str, str | None]], corp: str) -> str:
    """The committed facts of a row, as they were written when it came in."""
    kind, room = place_of[row.conversation_id]
    envelope = Envelope(
        corp,
        row.source,
        row.source_msg_id,
        row.source_seq,
        row.sent_at,
        ConversationKind(kind),
        room if kind == ConversationKind.GROUP else None,
        None,
        _NOBODY,
        (),
        row.kind,
        Action(row.action),
        row.recalls,
        "",
        row.has_media,
        b"",
    )
    return facts_json(envelope, Direction(row.direction))


def _line(
    row: Row,
    salted: list[bytes],
    length: int,
    place_of: Mapping[int, tuple[str, str | None]],
    hidden: tuple[str, ...],
    corp: str,
) -> bytes:
    values = {
        "raw": str(length),
        "text": json_word(row.text),
        "sender": row.sender,
        "recipients": row.recipients,
        "facts": facts_of(row, place_of, corp),
    }
    given = [field for field in FIELDS if field not in hidden]
    shown = "".join(f',"{field}":{values[field]}' for field in given)
    told = ",".join(
        f'"{field}":"{_b64(salt)}"'
        for field, salt in zip(FIELDS, salted, strict=True)
        if field not in hidden
    )
    ending = ""
    if hidden:
        ending = f',"withheld":{json.dumps(hidden, separators=(",", ":"))},"reason":"{REDACTED}"'
    head = f'{{"index":{row.seq - 1},"leaf":"{_b64(row.leaf)}"'
    return f'{head}{shown},"salts":{{{told}}}{ending}}}\n'.encode()


def _bare(row: Row, reason: str) -> bytes:
    told = {
        "index": row.seq - 1,
        "leaf": _b64(row.leaf),
        "withheld": FIELDS,
        "reason": reason,
    }
    return json.dumps(told, separators=(",", ":")).encode() + b"\n"


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def part_names(folder: Path, number: int) -> tuple[Path, Path]:
    """Where the records and the raw bytes of a part stand."""
    name = f"{number:04d}.jsonl"
    return folder / f"data/10-records/records-{name}", folder / f"data/15-raw/raw-{name}"
