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
_RID = 8


def fingerprint(tree: Query | None, filters: Filters) -> bytes:
    """The same for the same search by somebody of the same scope."""
    plain = {name: value for name, value in asdict(filters).items() if name != "visible"}
    visible = filters.visible and [sorted(filters.visible.departments), filters.visible.employee]
    text = json.dumps([repr(tree), plain, visible], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=_FINGERPRINT).digest()


def encode(search: bytes, rid: int) -> str:
    """A mark after the message `rid`."""
    return base64.urlsafe_b64encode(search + rid.to_bytes(_RID, signed=True)).rstrip(b"=").decode()


def decode(search: bytes, cursor: str) -> int:
    """The `rid` in a mark; raises `BadCursor` if it is not one of this search."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raise BadCursor from None
    if len(raw) != _FINGERPRINT + _RID or raw[:_FINGERPRINT] != search:
        raise BadCursor
    return int.from_bytes(raw[_FINGERPRINT:], signed=True)
