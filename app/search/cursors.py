"""Page marks: where the last page ended, bound to the search that it belongs to.

A mark says nothing that its holder may not know and grants nothing: the scope is compiled into every page anew.
It is not signed; a forged one only starts the same search elsewhere.
"""

import base64
import hashlib
import json
from dataclasses import asdict

from app.search.domain import BadCursor
from app.search.filters import Filters
from app.search.query import Query

_FINGERPRINT = 8  # bytes
_NUMBER = 8


def fingerprint(tree: Query | None, filters: Filters) -> bytes:
    """The same for the same search by somebody of the same scope."""
    plain = {name: value for name, value in asdict(filters).items() if name != "visible"}
    visible = filters.visible and [sorted(filters.visible.departments), filters.visible.employee]
    text = json.dumps([repr(tree), plain, visible], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=_FINGERPRINT).digest()


def encode(search: bytes, *place: int) -> str:
    """A mark after the message at this place: its `rid`, and what else an engine orders by."""
    raw = b"".join([search, *(number.to_bytes(_NUMBER, signed=True) for number in place)])
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode(search: bytes, cursor: str) -> int:
    """The `rid` in a mark; raises `BadCursor` if it is not one of this search."""
    return place(search, cursor, 1)[0]


def place(search: bytes, cursor: str, length: int) -> tuple[int, ...]:
    """The `length` numbers in a mark; raises `BadCursor` like `decode`."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raise BadCursor from None
    if len(raw) != _FINGERPRINT + length * _NUMBER or raw[:_FINGERPRINT] != search:
        raise BadCursor
    starts = range(_FINGERPRINT, len(raw), _NUMBER)
    return tuple(int.from_bytes(raw[at : at + _NUMBER], signed=True) for at in starts)
