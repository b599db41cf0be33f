"""The sample company's talk as screening hears it."""

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from app.sample import company, messages
from app.screening import Role, Turn

UNTIL = dt.datetime(2026, 7, 1, tzinfo=dt.UTC)
Said = Mapping[str, Any]


def talks(count: int) -> list[list[Said]]:
    """The envelopes of sent messages by conversation, in order."""
    found: dict[Any, list[Said]] = defaultdict(list)
    for each in messages(company(), UNTIL, count):
        if each["action"] == "send":
            found[_room(each)].append(each)
    return list(found.values())


def _room(each: Said) -> object:
    parties = [each["sender"], *each["recipients"]]
    return each["conversation"]["id"] or frozenset((one["type"], one["id"]) for one in parties)


def turn(each: Said) -> Turn:
    """One envelope as screening hears it."""
    sent = dt.datetime.fromisoformat(each["sent_at"])
    faces_client = any(one["type"] == "client" for one in each["recipients"])
    staff: Role = "adviser" if faces_client else "colleague"
    role: Role = "client" if each["sender"]["type"] == "client" else staff
    return Turn(role, each.get("text", ""), each["sender"]["id"], int(sent.timestamp() * 1000))
