import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.archive.domain import Action, ConversationKind, Envelope, Party, PartyType
from app.capture.bodies import Rejected
from app.capture.envelope import content_of, parse_envelope

MESSAGE: dict[str, Any] = {
    "corp": "ww0001",
    "source": "wecom",
    "source_msg_id": "7712_1705_external",
    "source_seq": 48213,
    "sent_at": "2026-03-05T10:11:12.345+08:00",
    "conversation": {"kind": "single", "id": None, "name": None},
    "sender": {"type": "employee", "id": "ZhangSan", "name": "张三"},
    "recipients": [{"type": "client", "id": "wmAAA", "name": "李女士"}],
    "kind": "text",
    "action": "send",
    "text": "不保本",
    "content": {},
    "recalls": None,
    "raw": None,
}
GROUP = {"kind": "group", "id": " wrAAA ", "name": "客户群"}
LI = {"type": "client", "id": "wmAAA", "name": "李女士"}
HUGE = 10**30

ANY_TEXT = st.text(st.characters(codec=None), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=12,
)
WORDS = st.sampled_from(
    ["employee", "client", "robot", "unknown", "single", "group", "send", "recall", "switch"]
)
PARTIES = st.fixed_dictionaries({}, optional={"type": WORDS, "id": ANY_TEXT, "name": JSON}) | JSON


def parse(**fields: Any) -> Envelope:
    return parse_envelope(json.dumps(MESSAGE | fields).encode())


def without(field: str) -> bytes:
    return json.dumps({key: value for key, value in MESSAGE.items() if key != field}).encode()


def rejection(line: bytes) -> Rejected:
    with pytest.raises(Rejected) as caught:
        parse_envelope(line)
    return caught.value


def test_the_message_of_the_contract_is_read_whole() -> None:
    line = json.dumps(MESSAGE, ensure_ascii=False).encode()
    assert parse_envelope(line) == Envelope(
        corp="ww0001",
        source="wecom",
        source_msg_id="7712_1705_external",
        source_seq=48213,
        sent_at=1_772_676_672_345,
        conversation_kind=ConversationKind.SINGLE,
        conversation_id=None,
        conversation_name=None,
        sender=Party(PartyType.EMPLOYEE, "zhangsan", "张三"),
        recipients=(Party(PartyType.CLIENT, "wmAAA", "李女士"),),
        kind="text",
        action=Action.SEND,
        recalls=None,
        text="不保本",
        has_media=False,
        raw=line,
    )


def test_a_group_has_an_id_and_a_single_chat_none() -> None:
    group = parse(conversation=GROUP)
    assert (group.conversation_kind.value, group.conversation_id) == ("group", "wrAAA")
    assert group.conversation_name == "客户群"
    assert parse(conversation={"kind": "single", "id": "wrAAA"}).conversation_id is None


def test_the_senders_own_bytes_are_the_raw_when_given() -> None:
    raw = b'{"msgid":"7712"}\xff\0'
    assert parse(raw=base64.b64encode(raw).decode()).raw == raw


def test_raw_keeps_what_the_text_cannot() -> None:
    line = json.dumps(MESSAGE | {"text": "a\0b\ud800c😀"}).encode()
    envelope = parse_envelope(line)
    assert envelope.text == "a\ufffdb\ufffdc😀"
    assert envelope.raw == line


def test_a_recall_names_what_it_takes_back() -> None:
    recall = parse(action="recall", kind="revoke", recalls=" 7711 ")
    assert (recall.action, recall.recalls) == (Action.RECALL, "7711")
    assert parse(recalls="7711").recalls is None


def test_recipients_keep_their_order_and_come_once() -> None:
    wang = {"type": "employee", "id": "WangFang"}
    envelope = parse(recipients=[wang, LI, wang | {"id": "wangfang"}, LI | {"type": "robot"}])
    assert [(party.type.value, party.id) for party in envelope.recipients] == [
        ("employee", "wangfang"),
        ("client", "wmAAA"),
        ("robot", "wmAAA"),
    ]


def test_nobody_need_receive_and_two_thousand_may() -> None:
    assert parse(recipients=[]).recipients == ()
    many = [{"type": "client", "id": f"wm{n}"} for n in range(2_001)]
    assert len(parse(recipients=many[:2_000]).recipients) == 2_000
    with pytest.raises(Rejected) as caught:
        parse(recipients=many)
    assert caught.value.code == "too_many_recipients"


def test_only_an_unknown_sender_may_have_an_empty_id() -> None:
    assert parse(sender={"type": "unknown", "id": ""}).sender == Party(PartyType.UNKNOWN, "")
    with pytest.raises(Rejected) as caught:
        parse(sender={"type": "client", "id": " "})
    assert caught.value.code == "sender_id_missing"


def test_a_display_name_is_cleaned_and_cut() -> None:
    assert parse(sender={"type": "client", "id": "a", "name": " 李\0 "}).sender.name == "李\ufffd"
    assert parse(sender={"type": "client", "id": "a", "name": "李" * 300}).sender.name == "李" * 256
    assert parse(sender={"type": "client", "id": "a", "name": " "}).sender.name is None


def test_fields_of_later_versions_are_tolerated() -> None:
    assert parse(mood="good", sender=LI | {"mood": 1}).sender.id == "wmAAA"


@pytest.mark.parametrize("kind", ["hologram", "other", "接龙", "x" * 64])
def test_any_kind_with_a_name_is_kept(kind: str) -> None:
    assert parse(kind=kind).kind == kind


@pytest.mark.parametrize(
    ("kind", "content", "text"),
    [
        ("text", {"content": "不保本"}, "不保本"),
        ("link", {"title": "观点", "link_url": "https://example.com"}, "观点\nhttps://example.com"),
        ("mixed", {"item": [{"type": "text", "content": '{"content":"一"}'}]}, "一"),
        ("text", {"content": "a\0"}, "a\ufffd"),
        ("image", {"sdkfileid": "x"}, ""),
        ("hologram", {"content": "新"}, ""),
        ("text", {}, ""),
        ("text", None, ""),
    ],
)
def test_a_missing_text_is_taken_from_the_content(kind: str, content: object, text: str) -> None:
    assert parse(kind=kind, content=content, text=None).text == text


def test_a_text_that_is_given_stands_even_when_empty() -> None:
    assert parse(text="", content={"content": "不保本"}).text == ""


def test_media_is_told_by_the_kind_and_by_what_is_bundled() -> None:
    bundled = {"item": [{"type": "ChatRecordImage", "content": "{}"}]}
    assert parse(kind="image").has_media
    assert parse(kind="chatrecord", content=bundled).has_media
    assert not parse(kind="chatrecord").has_media


@pytest.mark.parametrize(
    ("told", "read"),
    [
        ("2026-03-05T10:11:12.345+08:00", 1_772_676_672_345),
        ("2026-03-05T02:11:12.345Z", 1_772_676_672_345),
        ("2026-03-05T02:11:12.345999Z", 1_772_676_672_345),
        ("2026-03-05T02:11:12.3459999999Z", 1_772_676_672_345),
        ("2026-03-05T02:11:12.3Z", 1_772_676_672_300),
        ("2026-03-05T02:11:12Z", 1_772_676_672_000),
        ("2026-03-05 10:11:12+0800", 1_772_676_672_000),
        ("2000-01-01T00:00:00Z", 946_684_800_000),
        ("2100-12-31T23:59:59.999Z", 4_133_980_799_999),
    ],
)
def test_a_time_with_an_offset_is_read_to_the_millisecond(told: str, read: int) -> None:
    assert parse(sent_at=told).sent_at == read


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ("2026-03-05T10:11:12.345", "sent_at_without_offset"),
        ("2026-03-05", "sent_at_without_offset"),
        ("1999-12-31T23:59:59Z", "sent_at_out_of_range"),
        ("2000-01-01T00:00:00+08:00", "sent_at_out_of_range"),
        ("2101-01-01T00:00:00Z", "sent_at_out_of_range"),
        ("0001-01-01T00:00:00+14:00", "sent_at_out_of_range"),
        ("9999-12-31T23:59:59-14:00", "sent_at_out_of_range"),
        ("2026-02-30T10:11:12Z", "sent_at_invalid"),
        ("2026-03-05T25:11:12Z", "sent_at_invalid"),
        ("2026-03-05T10:11:12+25:00", "sent_at_invalid"),
        ("昨天", "sent_at_invalid"),
        ("", "sent_at_invalid"),
        ("\ud800", "sent_at_invalid"),
        ("2026-03-05T10:11:12\ud800Z", "sent_at_invalid"),
        (1_772_676_672_345, "sent_at_invalid"),
        (None, "sent_at_missing"),
    ],
)
def test_a_time_that_is_not_certain_is_refused(told: object, code: str) -> None:
    with pytest.raises(Rejected) as caught:
        parse(sent_at=told)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "field",
    [
        "corp",
        "source",
        "source_msg_id",
        "sent_at",
        "conversation",
        "sender",
        "recipients",
        "kind",
        "action",
    ],
)
def test_a_missing_field_is_named_and_the_bytes_are_kept(field: str) -> None:
    rejected = rejection(without(field))
    assert (rejected.code, rejected.quarantine) == (f"{field}_missing", True)
    assert field in rejected.detail


def test_what_may_be_missing_may_be_missing() -> None:
    for field in ("source_seq", "text", "content", "recalls", "raw"):
        assert parse_envelope(without(field)).source_msg_id == "7712_1705_external"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"corp": 5}, "corp_invalid"),
        ({"corp": "\t"}, "corp_missing"),
        ({"corp": "w" * 257}, "corp_too_long"),
        ({"source": ["wecom"]}, "source_invalid"),
        ({"source_msg_id": True}, "source_msg_id_invalid"),
        ({"source_msg_id": "7" * 257}, "source_msg_id_too_long"),
        ({"source_msg_id": "é" * 100_000}, "source_msg_id_too_long"),
        ({"source_seq": "48213"}, "source_seq_invalid"),
        ({"source_seq": True}, "source_seq_invalid"),
        ({"source_seq": 1.5}, "source_seq_invalid"),
        ({"source_seq": 2**63}, "source_seq_out_of_range"),
        ({"source_seq": HUGE}, "source_seq_out_of_range"),
        ({"source_seq": -1}, "source_seq_out_of_range"),
        ({"conversation": []}, "conversation_invalid"),
        ({"conversation": {}}, "conversation_kind_missing"),
        ({"conversation": {"kind": "room"}}, "conversation_kind_invalid"),
        ({"conversation": {"kind": ["group"]}}, "conversation_kind_invalid"),
        ({"conversation": {"kind": "group"}}, "conversation_id_missing"),
        ({"conversation": {"kind": "group", "id": ""}}, "conversation_id_missing"),
        ({"conversation": {"kind": "group", "id": 5}}, "conversation_id_invalid"),
        ({"conversation": {"kind": "group", "id": "r" * 257}}, "conversation_id_too_long"),
        ({"conversation": {"kind": "single", "name": 5}}, "conversation_name_invalid"),
        ({"sender": "zhangsan"}, "sender_invalid"),
        ({"sender": {"id": "a"}}, "sender_type_missing"),
        ({"sender": {"type": "boss", "id": "a"}}, "sender_type_invalid"),
        ({"sender": {"type": {}, "id": "a"}}, "sender_type_invalid"),
        ({"sender": {"type": "client"}}, "sender_id_missing"),
        ({"sender": {"type": "client", "id": 5}}, "sender_id_invalid"),
        ({"sender": {"type": "client", "id": "a" * 257}}, "sender_id_too_long"),
        ({"sender": {"type": "client", "id": "a", "name": []}}, "sender_name_invalid"),
        ({"recipients": {}}, "recipients_invalid"),
        ({"recipients": ["wmAAA"]}, "recipients_invalid"),
        ({"recipients": [{"type": "boss", "id": "a"}]}, "recipients_type_invalid"),
        ({"recipients": [LI, {"type": "client"}]}, "recipients_id_missing"),
        ({"recipients": [LI | {"name": True}]}, "recipients_name_invalid"),
        ({"kind": 5}, "kind_invalid"),
        ({"kind": ""}, "kind_missing"),
        ({"kind": "x" * 65}, "kind_too_long"),
        ({"action": "shout"}, "action_invalid"),
        ({"action": 5}, "action_invalid"),
        ({"action": "recall"}, "recalls_missing"),
        ({"action": "recall", "recalls": 5}, "recalls_invalid"),
        ({"text": 5}, "text_invalid"),
        ({"text": "a" * 1_000_001}, "text_too_long"),
        ({"text": None, "content": {"content": "a" * 1_000_001}}, "text_too_long"),
        ({"content": []}, "content_invalid"),
        ({"content": "x"}, "content_invalid"),
        ({"raw": {}}, "raw_invalid"),
        ({"raw": "***"}, "raw_not_base64"),
        ({"raw": "YQ"}, "raw_not_base64"),
        ({"raw": "陈"}, "raw_not_base64"),
        ({"raw": ""}, "raw_missing"),
        ({"content": {"x": float("nan")}}, "not_finite"),
    ],
)
def test_a_wrong_field_is_named_and_the_bytes_are_kept(fields: dict[str, Any], code: str) -> None:
    rejected = rejection(json.dumps(MESSAGE | fields).encode())
    assert (rejected.code, rejected.quarantine) == (code, True)
    assert rejected.detail


def test_a_text_of_one_megabyte_is_taken() -> None:
    assert len(parse(text="a" * 1_000_000).text) == 1_000_000


def test_an_id_is_measured_after_folding() -> None:
    assert parse(source_msg_id="e\u0301" * 256).source_msg_id == "é" * 256
    assert parse(source_msg_id=" " * 2_000 + "7").source_msg_id == "7"


def test_a_rejection_says_which_message_it_is_about() -> None:
    rejected = rejection(without("sender"))
    assert (rejected.corp, rejected.source_msg_id) == ("ww0001", "7712_1705_external")
    illegible = rejection(json.dumps(MESSAGE | {"corp": 5, "source_msg_id": "7" * 257}).encode())
    assert (illegible.corp, illegible.source_msg_id) == (None, None)


@given(
    fields=st.fixed_dictionaries(
        {},
        optional={
            **dict.fromkeys(MESSAGE, JSON),
            "conversation": st.fixed_dictionaries({"kind": WORDS}, optional={"id": JSON}) | JSON,
            "sender": PARTIES,
            "recipients": st.lists(PARTIES, max_size=3),
            "kind": ANY_TEXT,
            "action": WORDS,
            "text": ANY_TEXT,
        },
    )
)
@settings(deadline=None)
def test_any_message_becomes_a_storable_envelope_or_a_rejection(fields: dict[str, Any]) -> None:
    line = json.dumps(MESSAGE | fields).encode()
    try:
        envelope = parse_envelope(line)
    except Rejected as rejected:
        sound = rejected.quarantine and rejected.code.replace("_", "").isalnum()
    else:
        sound = _storable(envelope)
    assert sound


def _storable(envelope: Envelope) -> bool:
    parties = (envelope.sender, *envelope.recipients)
    ids = [envelope.corp, envelope.source, envelope.source_msg_id, envelope.kind]
    texts = [*ids, envelope.text, *(party.id for party in parties)]
    texts += [party.name or "" for party in parties]
    ready = all("\0" not in text and text.encode() is not None for text in texts)
    return ready and all(0 < len(each) <= 256 for each in ids)


@given(st.binary(max_size=80) | st.text('{}[]":,\\u0159truefalsn ', max_size=60).map(str.encode))
@settings(deadline=None)
def test_any_bytes_are_refused_or_read(line: bytes) -> None:
    with pytest.raises(Rejected):
        parse_envelope(line)


@given(st.binary(min_size=1, max_size=80))
@settings(deadline=None)
def test_raw_bytes_are_kept_exactly(raw: bytes) -> None:
    assert parse(raw=base64.b64encode(raw).decode()).raw == raw


def test_the_content_of_an_envelope_is_shown_from_its_raw() -> None:
    raw = json.dumps(MESSAGE | {"kind": "link", "content": {"title": "观点"}}).encode()
    assert content_of(raw, "wecom") == content_of(raw, "lark") == {"title": "观点"}


@pytest.mark.parametrize(
    ("raw", "source", "content"),
    [
        (b'{"msgid":"1","msgtype":"text","text":{"content":"a"}}', "wecom", {"content": "a"}),
        (b'{"msgid":"1","msgtype":"docmsg","doc":{"title":"a"}}', "wecom", {"title": "a"}),
        (b'{"msgid":"1","msgtype":"hologram","hologram":{"x":1}}', "wecom", {"x": 1}),
        (b'{"msgid":"1","msgtype":"image","image":null}', "wecom", {}),
        (b'{"msgid":"1","msgtype":"image","image":[1]}', "wecom", {}),
        (b'{"id":1,"body":"a"}', "lark", {"id": 1, "body": "a"}),
        (b'{"id":1e999,"a":NaN,"b":1.5}', "lark", {"id": "1e999", "a": "NaN", "b": 1.5}),
        (b'{"a\\u0000":["\\ud800",true,null]}', "lark", {"a\ufffd": ["\ufffd", True, None]}),
        (b"[1]", "lark", {}),
        (b"not json", "lark", {}),
        (b"\xff\xfe", "wecom", {}),
        (b"", "wecom", {}),
        (b"[" * 100_000, "wecom", {}),
        (b"7" * 5_000, "wecom", {}),
    ],
)
def test_what_belongs_to_the_kind_is_shown_from_the_raw(
    raw: bytes, source: str, content: dict[str, Any]
) -> None:
    assert content_of(raw, source) == content


@given(content=st.dictionaries(ANY_TEXT, JSON, max_size=4))
@settings(deadline=None)
def test_any_content_can_be_sent_as_json(content: dict[str, Any]) -> None:
    raw = json.dumps({"source_msg_id": "1", "sent_at": "", "content": content}).encode()
    shown = content_of(raw, "wecom")
    assert json.loads(json.dumps(shown, ensure_ascii=False, allow_nan=False).encode()) == shown


def test_content_deeper_than_a_page_is_visibly_cut() -> None:
    raw = b'{"a":' * 400 + b"1" + b"}" * 400
    assert "无法解析的内容" in json.dumps(content_of(raw, "lark"), ensure_ascii=False)
