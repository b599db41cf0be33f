"""Cursors: where a list goes on, opaque to the caller and useless for any other list."""

import base64
import binascii
import hashlib
import json
from typing import Any

from app.foundation.errors import BadInput

LARGEST = 2**63 - 1  # what a row's number can be
_MARK = 8  # characters that bind a position to its list


class BadCursor(BadInput):
    """The cursor is damaged or belongs to another list."""

    code = "bad_cursor"
    title = "翻页标记无效"


def encode(position: Any, *, of: Any = None) -> str:
    """Make a cursor for a JSON-able position in the list that `of` (its filters) describes."""
    body = json.dumps([_mark(of, position), position], separators=(",", ":"))
    return base64.urlsafe_b64encode(body.encode()).decode().rstrip("=")


def decode(cursor: str, *, of: Any = None) -> Any:
    """Give the position back; raises `BadCursor`. A forged one passes, so its type is for the caller to check."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        mark, position = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, TypeError, binascii.Error, RecursionError):
        raise BadCursor("请从第一页重新开始") from None
    if mark != _mark(of, position):
        raise BadCursor("翻页标记已损坏或属于另一个查询，请从第一页重新开始")
    return position


def decode_number(cursor: str, *, of: Any = None) -> int:
    """The same for a position that is a row's number; raises `BadCursor` for anything else."""
    position = decode(cursor, of=of)
    if type(position) is not int or not 0 < position <= LARGEST:
        raise BadCursor("请从第一页重新开始")
    return position


def _mark(of: Any, position: Any) -> str:
    words = json.dumps([of, position], sort_keys=True, default=str, ensure_ascii=False)
    return hashlib.sha256(words.encode("utf-8", "surrogatepass")).hexdigest()[:_MARK]
