"""Decrypted WeCom messages, exactly as the finance SDK hands them out, read into envelopes.

Guarantees: a message with an id and a time always becomes an envelope, whatever its type and however
broken its body; what a person reads is extracted for every documented type, forwarded bundles included,
within `MAX_DEPTH` and `MAX_NODES`; parts that cannot be read leave a visible mark.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from app.archive.domain import MAX_ID_LENGTH, Action, ConversationKind, Envelope, Party, PartyType
from app.capture.bodies import Rejected, bounded_text, fold, fold_id, load_object

MAX_DEPTH = 8  # bundles inside bundles
MAX_NODES = 200  # items of one message, all depths together
MAX_KIND_LENGTH = 64  # characters
EARLIEST_MS = 946_684_800_000  # 2000-01-01T00:00:00Z
LATEST_MS = 4_133_980_800_000  # 2101-01-01T00:00:00Z, itself out of range
UNREADABLE = "〔无法解析的内容〕"
CUT_OFF = "〔内容过多，其余请查看原文〕"

_SECONDS_BELOW = 100_000_000_000  # as seconds the year 5138, as milliseconds 1973
_MAX_SEQ = 2**63 - 1

_MEDIA = frozenset(
    ("image", "voice", "video", "emotion", "file", "meeting_voice_call", "voip_doc_share")
)
_BODY_KEYS = {  # where the body is not, or not only, under the msgtype
    "external_redpacket": ("redpacket", "external_redpacket"),
    "docmsg": ("doc", "docmsg"),
    "disagree": ("disagree", "agree"),
    **{
        kind: ("info", kind)
        for kind in (
            "markdown",
            "news",
            "voiptext",
            "qydiskfile",
            "meeting_notification",
            "solitaire",
            "note",
        )
    },
}
_TOP_LEVEL_BODIES = frozenset(("todo", "vote", "switch"))
_FIELDS: dict[str, tuple[str, ...]] = {  # what a person reads, in reading order
    "text": ("content",),
    "markdown": ("content",),
    "link": ("title", "description", "link_url"),
    "file": ("filename",),
    "voip_doc_share": ("filename",),
    "qydiskfile": ("filename",),
    "weapp": ("title", "description"),
    "chatrecord": ("title",),
    "mixed": (),
    "note": (),
    "todo": ("title", "content"),
    "vote": ("votetitle",),
    "collect": ("title",),
    "redpacket": ("wish",),
    "external_redpacket": ("wish",),
    "meeting": ("topic", "remarks"),
    "meeting_notification": ("content",),
    "docmsg": ("title",),
    "news": (),
    "calendar": ("title", "remarks"),
    "sphfeed": ("sph_name", "feed_desc"),
    "solitaire": ("solitaire_content",),
    "location": ("address", "title"),
    "card": ("corpname",),
}
_ROWS: dict[str, tuple[str, tuple[str, ...]]] = {  # lists in a body; no columns: plain values
    "vote": ("voteitem", ()),
    "collect": ("details", ("ques",)),
    "news": ("item", ("title", "description", "url")),
}
_ITEMS = {"chatrecord": ("item",), "mixed": ("item",), "note": ("items", "item")}
_ACTIONS = {"recall": Action.RECALL, "switch": Action.SWITCH}
_ACTIONS_OF_KINDS = {
    "revoke": Action.RECALL,
    "agree": Action.AGREE,
    "disagree": Action.DISAGREE,
}


class _Node(NamedTuple):
    """One item of a bundle; `notice` stands in for an item that is not there to be read."""

    kind: str
    body: Any
    depth: int
    notice: str = ""


def parse_wecom(line: bytes, corp: str) -> Envelope:
    """Read one decrypted message into an envelope; `raw` is `line`.

    Raises Rejected, with quarantine, only for what is not a JSON object, has no msgid or no time, or
    holds more text than the archive takes.
    """
    message = load_object(line)
    try:
        return _envelope(message, line, fold(corp))
    except Rejected as rejection:
        raise rejection.about(corp, message.get("msgid")) from None


def _envelope(message: dict[str, Any], line: bytes, corp: str) -> Envelope:
    msgid = _msgid(message)
    kind = kind_of(message)
    action = _action(message, kind)
    body = body_of(kind, message)
    room = _id(message.get("roomid"))
    sender, recipients = _parties(message, msgid, _sender_id(message, action, body))
    return Envelope(
        corp=corp,
        source="wecom",
        source_msg_id=msgid,
        source_seq=_seq(message.get("seq")),
        sent_at=_sent_at(message),
        conversation_kind=ConversationKind.GROUP if room else ConversationKind.SINGLE,
        conversation_id=room or None,
        conversation_name=None,
        sender=sender,
        recipients=recipients,
        kind=kind,
        action=action,
        recalls=_recalled(body) if action is Action.RECALL else None,
        text=bounded_text(text_of(kind, body)),
        has_media=has_media(kind, body),
        raw=line,
    )


def _msgid(message: dict[str, Any]) -> str:
    value = message.get("msgid")
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not (msgid := fold(value)):
        raise Rejected("msgid_missing", "消息缺少 msgid，请确认发送的是解密后的会话存档消息")
    if len(msgid) > MAX_ID_LENGTH:
        raise Rejected("msgid_too_long", f"msgid 超过 {MAX_ID_LENGTH} 个字符，请检查数据来源")
    return msgid


def _sent_at(message: dict[str, Any]) -> int:
    """Read `msgtime`; account switches carry `time` instead."""
    values = [message.get("msgtime"), message.get("time")]
    moment = next((ms for ms in map(moment_ms, values) if ms is not None), None)
    if moment is not None:
        return moment
    if values == [None, None]:
        raise Rejected("msgtime_missing", "消息缺少 msgtime，请确认发送的是解密后的会话存档消息")
    raise Rejected("msgtime_invalid", "msgtime 应为 2000 至 2100 年间的毫秒时间戳，请检查数据来源")


def moment_ms(value: object) -> int | None:
    """Read a WeCom time, in seconds or milliseconds by its size, into Unix milliseconds.

    None for what is no number or lies outside the years 2000 to 2100.
    """
    number = _number(value)
    if number is None:
        return None
    moment = number * 1000 if number < _SECONDS_BELOW else number
    return moment if EARLIEST_MS <= moment < LATEST_MS else None


def _number(value: object) -> int | None:
    """Read a whole number, also one that a relay has turned into a string."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return int(value)
    except (ValueError, OverflowError):
        return None


def _seq(value: object) -> int | None:
    """Read the chat data's `seq` where a relay has put it beside the message."""
    seq = _number(value)
    return seq if seq is not None and 0 <= seq <= _MAX_SEQ else None


def kind_of(message: dict[str, Any]) -> str:
    """Name the message's kind: its msgtype, `switch` for account switches, `other` where none is told."""
    kind = message.get("msgtype")
    if isinstance(kind, str) and (folded := fold(kind)[:MAX_KIND_LENGTH]):
        return folded
    return "switch" if message.get("action") == "switch" else "other"


def _action(message: dict[str, Any], kind: str) -> Action:
    told = message.get("action")
    known = _ACTIONS.get(told, Action.SEND) if isinstance(told, str) else Action.SEND
    return _ACTIONS_OF_KINDS.get(kind, known)


def body_of(kind: str, message: dict[str, Any]) -> Any:
    """Find what belongs to the kind: an object, None where there is none, or whatever stands there."""
    for key in _BODY_KEYS.get(kind, (kind,)):
        if (body := message.get(key)) is not None:
            return _opened_body(kind, body)
    return message if kind in _TOP_LEVEL_BODIES else None


def _opened_body(kind: str, body: object) -> Any:
    opened = _opened(body)
    if isinstance(opened, str) and _FIELDS.get(kind) == ("content",):
        return {"content": opened}  # a relay has flattened {"content": …}
    return opened


def _opened(value: object) -> Any:
    """Parse an object that was written as a JSON string; anything else comes back as it is."""
    if not isinstance(value, str):
        return value
    try:
        opened = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return opened if isinstance(opened, dict) else value


def _recalled(body: object) -> str | None:
    return _id(body.get("pre_msgid")) or None if isinstance(body, dict) else None


def _sender_id(message: dict[str, Any], action: Action, body: object) -> str:
    """Tell who acts: `from`, else the user whose account or consent the message is about."""
    if action is Action.SWITCH:
        return _id(message.get("from")) or _id(message.get("user"))
    if action in (Action.AGREE, Action.DISAGREE) and isinstance(body, dict):
        return _id(message.get("from")) or _id(body.get("userid"))
    return _id(message.get("from"))


def _parties(
    message: dict[str, Any], msgid: str, sender_id: str
) -> tuple[Party, tuple[Party, ...]]:
    """Type everybody; each recipient comes once, and the sender only as a recipient of his own."""
    others = _ids(message.get("tolist"))
    clients = _clients({sender_id, *others}, outside="_external" in msgid or "_updown" in msgid)
    sender = _party(sender_id, clients)
    recipients = tuple(dict.fromkeys(_party(other, clients) for other in others))
    without_sender = tuple(party for party in recipients if party != sender)
    return sender, without_sender or recipients


def _ids(value: object) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [id_ for id_ in map(_id, values) if id_]


def _id(value: object) -> str:
    """Read an id, '' where there is none; one that is too long is cut, for the message must be kept."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return fold(value)[:MAX_ID_LENGTH] if isinstance(value, str) else ""


def _clients(ids: Iterable[str], *, outside: bool) -> frozenset[str]:
    """Tell which ids are external contacts.

    Members choose ids like `wm01` or `womin` too. Ids that WeCom makes hold capitals; one without is a
    client's only in a message with an outside party that has no better candidate.
    """
    prefixed = frozenset(id_ for id_ in ids if id_.startswith(("wm", "wo")))
    made = frozenset(id_ for id_ in prefixed if not _chosen(id_))
    return made or (prefixed if outside else made)


def _chosen(id_: str) -> bool:
    return id_ == id_.lower()


def _party(id_: str, clients: frozenset[str]) -> Party:
    kind = _party_type(id_, clients)
    return Party(kind, fold_id(kind, id_)[:MAX_ID_LENGTH])  # lower case may be longer


def _party_type(id_: str, clients: frozenset[str]) -> PartyType:
    if not id_:
        return PartyType.UNKNOWN
    if id_ in clients:
        return PartyType.CLIENT
    if id_.startswith("wb") and not _chosen(id_):
        return PartyType.ROBOT
    return PartyType.EMPLOYEE


def text_of(kind: str, body: object) -> str:
    """Extract what a person reads, one line a part; '' for kinds without text and for unknown kinds.

    `body` is what `body_of` found. Not yet cleaned or bounded for the archive.
    """
    if kind not in _ITEMS:
        return "\n".join(_lines(kind, body))
    parts = (part.strip() for node in _walk(kind, body) for part in _parts(node))
    return "\n".join(part for part in parts if part)


def has_media(kind: str, body: object) -> bool:
    """Tell whether the message, or an item in it, carries a file in WeCom's media store."""
    if kind not in _ITEMS:
        return kind in _MEDIA
    return any(node.kind in _MEDIA for node in _walk(kind, body))


def _walk(kind: str, body: object) -> Iterator[_Node]:
    """Yield a bundle and its items in reading order, within the caps; a notice ends a cut walk."""
    waiting = [_Node(kind, body, 0)]
    for _ in range(MAX_NODES + 1):
        if not waiting:
            return
        node = waiting.pop()
        node = node._replace(body=_opened(node.body))
        yield node
        waiting.extend(reversed(_children(node)))
    if waiting:
        yield _Node("", None, 0, CUT_OFF)


def _children(node: _Node) -> list[_Node]:
    items = _items(node)
    if not items or node.notice:
        return []
    if node.depth == MAX_DEPTH:
        return [_Node("", None, 0, CUT_OFF)]
    return [_child(item, node.depth + 1) for item in items[: MAX_NODES + 1]]


def _items(node: _Node) -> list[Any]:
    if node.kind not in _ITEMS or not isinstance(node.body, dict):
        return []
    found = (node.body.get(key) for key in _ITEMS[node.kind])
    items: object = next((value for value in found if value is not None), [])
    return items if isinstance(items, list) else [items]


def _child(item: object, depth: int) -> _Node:
    kind = (item.get("type") or item.get("msg_type")) if isinstance(item, dict) else None
    if not isinstance(item, dict) or not isinstance(kind, str):
        return _Node("", None, depth, UNREADABLE)
    content = item.get("content")
    return _Node(_item_kind(kind), UNREADABLE if content is None else content, depth)


def _item_kind(kind: str) -> str:
    """Bring an item's type into the spelling of msgtype: `ChatRecordText` is `text`."""
    lowered = kind.strip().lower()
    return lowered.removeprefix("chatrecord") or "chatrecord"


def _parts(node: _Node) -> Iterator[str]:
    if node.notice:
        yield node.notice
        return
    yield from _lines(node.kind, node.body)


def _lines(kind: str, body: object) -> Iterator[str]:
    if body is None or kind not in _FIELDS:
        return
    if not isinstance(body, dict):
        yield UNREADABLE
        return
    cells = [body.get(field) for field in _FIELDS[kind]]
    for cell in (*cells, *_row_cells(kind, body)):
        if line := _readable(cell):
            yield line


def _row_cells(kind: str, body: dict[str, Any]) -> Iterator[object]:
    key, columns = _ROWS.get(kind, ("", ()))
    rows = body.get(key)
    for row in rows if isinstance(rows, list) else [rows]:
        if columns and isinstance(row, dict):
            yield from (row.get(column) for column in columns)
        else:
            yield row


def _readable(cell: object) -> str:
    if cell is None or isinstance(cell, bool):
        return ""
    return str(cell) if isinstance(cell, str | int | float) else UNREADABLE
