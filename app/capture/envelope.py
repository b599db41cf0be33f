"""Messages of the contract (section 3), read from their exact bytes into envelopes.

Guarantees: what comes out is complete and valid, with folded ids and storable text; what does not come
out raises `Rejected` with a code that names the field, and nothing else is ever raised.
"""

import binascii
import json
import math
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeVar

from app.archive.domain import (
    MAX_ID_LENGTH,
    Action,
    ConversationKind,
    Envelope,
    Party,
    PartyType,
)
from app.capture.bodies import Rejected, bounded_text, clean_text, fold, fold_id, load_object
from app.capture.wecom import (
    EARLIEST_MS,
    LATEST_MS,
    MAX_KIND_LENGTH,
    UNREADABLE,
    body_of,
    has_media,
    kind_of,
    text_of,
)
from app.foundation import clock

MAX_RECIPIENTS = 2_000

_MAX_SEQ = 2**63 - 1  # a signed 64-bit column
_MAX_SHOWN_DEPTH = 32  # of content; deeper parts are left to the raw bytes
_PARTY_TYPES = {each.value: each for each in PartyType}
_CONVERSATION_KINDS = {each.value: each for each in ConversationKind}
_ACTIONS = {each.value: each for each in Action}
_SENDER = ("sender.type", "sender.id", "sender.name")
_RECIPIENT = ("recipients.type", "recipients.id", "recipients.name")
_Choice = TypeVar("_Choice")


def parse_envelope(line: bytes) -> Envelope:
    """Read one message of the contract; its `raw` is `line` unless the message brings its own.

    Raises Rejected, with quarantine and, where legible, the message's corp and id.
    """
    message = load_object(line)
    try:
        return _envelope(message, line)
    except Rejected as rejection:
        raise rejection.about(message.get("corp"), message.get("source_msg_id")) from None


def _envelope(message: dict[str, Any], line: bytes) -> Envelope:
    conversation_kind, conversation_id, conversation_name = _conversation(message)
    kind = _kind(message)
    action = _choice(message.get("action"), _ACTIONS, "action")
    content = message.get("content")
    if content is not None and not isinstance(content, dict):
        raise _bad("content", "一个对象")
    return Envelope(
        corp=_id(message, "corp", "corp"),
        source=_id(message, "source", "source"),
        source_msg_id=_id(message, "source_msg_id", "source_msg_id"),
        source_seq=_seq(message.get("source_seq")),
        sent_at=_sent_at(message.get("sent_at")),
        conversation_kind=conversation_kind,
        conversation_id=conversation_id,
        conversation_name=conversation_name,
        sender=_sender(message),
        recipients=_recipients(message),
        kind=kind,
        action=action,
        recalls=_id(message, "recalls", "recalls") if action is Action.RECALL else None,
        text=_text(message.get("text"), kind, content),
        has_media=has_media(kind, content),
        raw=_raw(message.get("raw"), line),
    )


def _id(values: Mapping[str, Any], key: str, field: str) -> str:
    value = values.get(key)
    if not isinstance(value, str):
        raise _absent_or_bad(value, field, "一个字符串")
    return _sized(fold(value), field)


def _sized(folded: str, field: str) -> str:
    if not folded:
        raise _missing(field)
    if len(folded) > MAX_ID_LENGTH:
        raise Rejected(_code(field, "too_long"), f"字段 {field} 最多 {MAX_ID_LENGTH} 个字符")
    return folded


def _choice(value: object, choices: Mapping[str, _Choice], field: str) -> _Choice:
    if not isinstance(value, str):
        raise _absent_or_bad(value, field, "一个字符串")
    choice = choices.get(value)
    if choice is None:
        raise _bad(field, "、".join(choices) + " 之一")
    return choice


def _kind(message: Mapping[str, Any]) -> str:
    kind = _id(message, "kind", "kind")
    if len(kind) > MAX_KIND_LENGTH:
        raise Rejected("kind_too_long", f"字段 kind 最多 {MAX_KIND_LENGTH} 个字符")
    return kind


def _seq(value: object) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise _bad("source_seq", "一个整数")
    if not 0 <= value <= _MAX_SEQ:
        raise Rejected("source_seq_out_of_range", "字段 source_seq 应在 0 与 2^63-1 之间")
    return value


def _sent_at(value: object) -> int:
    """Read ISO 8601 with an offset into Unix milliseconds; finer digits are cut off."""
    if not isinstance(value, str):
        raise _absent_or_bad(value, "sent_at", "一个 ISO 8601 时间字符串")
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise _bad("sent_at", "ISO 8601 时间，如 2026-03-05T10:11:12.345+08:00") from None
    if moment.tzinfo is None:
        raise Rejected("sent_at_without_offset", "字段 sent_at 缺少时区，请以 Z 或 +08:00 结尾")
    sent_at = clock.to_ms(moment)
    if not EARLIEST_MS <= sent_at < LATEST_MS:
        raise Rejected("sent_at_out_of_range", "字段 sent_at 应在 2000 至 2100 年间")
    return sent_at


def _conversation(message: Mapping[str, Any]) -> tuple[ConversationKind, str | None, str | None]:
    value = message.get("conversation")
    if not isinstance(value, dict):
        raise _absent_or_bad(value, "conversation", "一个对象")
    kind = _choice(value.get("kind"), _CONVERSATION_KINDS, "conversation.kind")
    name = _name(value.get("name"), "conversation.name")
    if kind is ConversationKind.SINGLE:
        return kind, None, name
    return kind, _id(value, "id", "conversation.id"), name


def _name(value: object, field: str) -> str | None:
    """Read a display name, None where there is none; longer ones than an id may be are cut."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise _bad(field, "一个字符串或 null")
    return clean_text(value.strip()[:MAX_ID_LENGTH]) or None


def _sender(message: Mapping[str, Any]) -> Party:
    value = message.get("sender")
    if not isinstance(value, dict):
        raise _absent_or_bad(value, "sender", "一个对象")
    return _party(value, _SENDER)


def _recipients(message: Mapping[str, Any]) -> tuple[Party, ...]:
    """Read the recipients in their order; one who is named twice comes once."""
    values = message.get("recipients")
    if not isinstance(values, list):
        raise _absent_or_bad(values, "recipients", "一个数组")
    if len(values) > MAX_RECIPIENTS:
        raise Rejected("too_many_recipients", f"字段 recipients 最多 {MAX_RECIPIENTS} 项")
    parties = [_recipient(value) for value in values]
    if len(parties) < 2:  # noqa: PLR2004 - one cannot be named twice
        return tuple(parties)
    return tuple({(party.type, party.id): party for party in parties}.values())


def _recipient(value: object) -> Party:
    if not isinstance(value, dict):
        raise _bad("recipients", "由对象组成的数组")
    return _party(value, _RECIPIENT)


def _party(value: Mapping[str, Any], fields: tuple[str, str, str]) -> Party:
    given = (value.get("type"), value.get("id"), value.get("name"))
    try:
        return _known_party(*given, fields)
    except TypeError:  # a list or an object, which cannot be remembered
        return _known_party.__wrapped__(*given, fields)


@lru_cache(maxsize=65_536)  # the same few people again and again; refusals are not remembered
def _known_party(
    type_value: object, id_: object, name: object, fields: tuple[str, str, str]
) -> Party:
    type_field, id_field, name_field = fields
    type_ = _choice(type_value, _PARTY_TYPES, type_field)
    if not isinstance(id_, str):
        raise _absent_or_bad(id_, id_field, "一个字符串")
    folded = fold_id(type_, id_)
    if folded or type_ is not PartyType.UNKNOWN:  # WeCom leaves some senders empty
        _sized(folded, id_field)
    return Party(type_, folded, _name(name, name_field))


def _text(value: object, kind: str, content: object) -> str:
    if value is None:
        return bounded_text(text_of(kind, content))
    if not isinstance(value, str):
        raise _bad("text", "一个字符串或 null")
    return bounded_text(value)


def _raw(value: object, line: bytes) -> bytes:
    if value is None:
        return line
    if not isinstance(value, str):
        raise _bad("raw", "一个 Base64 字符串或 null")
    try:
        raw = binascii.a2b_base64(value, strict_mode=True)
    except ValueError:
        raise Rejected("raw_not_base64", "字段 raw 应为标准 Base64，请重新编码") from None
    if not raw:
        raise _missing("raw")
    return raw


def _absent_or_bad(value: object, field: str, wanted: str) -> Rejected:
    return _missing(field) if value is None else _bad(field, wanted)


def _missing(field: str) -> Rejected:
    return Rejected(_code(field, "missing"), f"缺少字段 {field}，请补上后重新发送")


def _bad(field: str, wanted: str) -> Rejected:
    return Rejected(_code(field, "invalid"), f"字段 {field} 应为{wanted}")


def _code(field: str, fault: str) -> str:
    return f"{field.replace('.', '_')}_{fault}"


def content_of(raw: bytes, source: str) -> dict[str, Any]:
    """Find what belongs to the kind in a message's raw bytes, ready to be sent as JSON.

    For an envelope that is its `content`, for a WeCom message its body; raw bytes of other sources give
    their own object. Total: {} for what cannot be read.
    """
    try:
        message = json.loads(raw, parse_float=_finite, parse_constant=str)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(message, dict):
        return {}
    content = _content(message, source)
    return _shown(content, 0) if isinstance(content, dict) else {}


def _content(message: dict[str, Any], source: str) -> object:
    if "source_msg_id" in message and "sent_at" in message:
        return message.get("content")
    return body_of(kind_of(message), message) if source == "wecom" else message


def _finite(literal: str) -> float | str:
    return number if math.isfinite(number := float(literal)) else literal


def _shown(value: Any, depth: int) -> Any:
    """Make a value sendable: storable text only, and no deeper than a page can show."""
    if isinstance(value, str):
        return clean_text(value)
    if depth == _MAX_SHOWN_DEPTH and isinstance(value, dict | list):
        return UNREADABLE
    if isinstance(value, dict):
        return {clean_text(key): _shown(each, depth + 1) for key, each in value.items()}
    return [_shown(each, depth + 1) for each in value] if isinstance(value, list) else value
