import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.archive.domain import Action, ConversationKind, Envelope, Party, PartyType
from app.capture.bodies import Rejected
from app.capture.wecom import CUT_OFF, UNREADABLE, moment_ms, parse_wecom, text_of

EXAMPLES = {
    line: json.loads(line)
    for line in (Path(__file__).parents[1] / "data" / "wecom_examples.ndjson")
    .read_bytes()
    .splitlines()
}
TEXTS = {
    "text": "陈总您好，家族信托二期本周五截止认购，收益以合同为准，不保本。",
    "image": "",
    "revoke": "",
    "agree": "",
    "disagree": "",
    "voice": "",
    "video": "",
    "card": "安和信托",
    "location": "上海市浦东新区世纪大道100号\n签约地点",
    "emotion": "",
    "file": "安和稳健3号风险揭示书.pdf",
    "link": "三季度资产配置观点\n权益与固收再平衡\nhttps://example.com/q3",
    "weapp": "风险测评（请重新测评）\n测评有效期12个月",
    "chatrecord": "张伟和陈总的聊天记录\n这只产品能保本吗？\n产品说明书.pdf",
    "todo": "李青的聊天记录\n下午三点前补录双录视频",
    "vote": "客户沙龙时间\n周三\n周五",
    "collect": "客户沙龙报名\n客户姓名\n人数\n到访日期",
    "redpacket": "恭喜开门红",
    "external_redpacket": "感谢陈总支持",
    "meeting": "家族信托架构沟通\n请携带身份证件",
    "meeting_notification": "张伟修改了会议时间",
    "switch": "",
    "docmsg": "在售产品清单",
    "markdown": "**合规提醒**：严禁承诺保本保收益",
    "news": "适当性管理新规\n要点解读\nhttps://example.com/n1",
    "calendar": "陈总产品路演\n带合格投资者材料",
    "mixed": "陈总，净值走势如图[微笑]",
    "meeting_voice_call": "",
    "voip_doc_share": "产品对比.pdf",
    "sphfeed": "安和财富\n三分钟看懂家族信托",
    "voiptext": "",
    "qydiskfile": "2025Q3路演材料.pptx",
    "solitaire": "沙龙报名接龙\n1. 张伟 2位",
    "note": "陈总关注税务筹划",
}
WITH_MEDIA = {"image", "voice", "video", "emotion", "file", "meeting_voice_call", "voip_doc_share"}
BUNDLES_WITH_MEDIA = {"chatrecord", "mixed"}  # as they stand in the examples
CHEN = Party(PartyType.CLIENT, "wmJk2BwAAClientChen01")
ZHANG = Party(PartyType.EMPLOYEE, "zhangwei")

ANY_TEXT = st.text(st.characters(codec=None), max_size=20)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | FINITE | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=12,
)


def message(**fields: Any) -> bytes:
    base = {
        "msgid": "1_1762912800123_external",
        "action": "send",
        "from": "zhangwei",
        "tolist": ["wmJk2BwAAClientChen01"],
        "roomid": "",
        "msgtime": 1762912800123,
        "msgtype": "text",
    }
    return json.dumps(base | fields).encode()


def parse(**fields: Any) -> Envelope:
    return parse_wecom(message(**fields), "ww1")


def bundle(*items: object, **fields: object) -> str:
    return parse(msgtype="chatrecord", chatrecord={"item": items, **fields}).text


def item(kind: str, content: object) -> dict[str, object]:
    return {"type": kind, "msgtime": 1762912800, "content": json.dumps(content)}


def said(content: object) -> dict[str, object]:
    return item("ChatRecordText", {"content": content})


@pytest.mark.parametrize(
    "line", EXAMPLES, ids=[m.get("msgtype", "switch") for m in EXAMPLES.values()]
)
def test_every_documented_example_is_read(line: bytes) -> None:
    example, kind = EXAMPLES[line], EXAMPLES[line].get("msgtype", "switch")
    envelope = parse_wecom(line, "ww1")
    assert envelope.kind == kind
    assert envelope.text == TEXTS[kind]
    assert envelope.has_media == (kind in WITH_MEDIA | BUNDLES_WITH_MEDIA)
    assert envelope.raw == line
    assert (envelope.corp, envelope.source) == ("ww1", "wecom")
    assert envelope.source_msg_id == example["msgid"]
    assert envelope.sent_at == example.get("msgtime", example.get("time"))
    assert envelope.sender.id == example.get("from", example.get("user"))
    assert [party.id for party in envelope.recipients] == example.get("tolist", [])
    assert envelope.conversation_id == (example.get("roomid") or None)


def test_the_examples_cover_every_documented_type() -> None:
    assert {each.get("msgtype", "switch") for each in EXAMPLES.values()} == TEXTS.keys()


def test_a_message_to_a_client_names_both_sides() -> None:
    envelope = parse(text={"content": "不保本"})
    assert (envelope.sender, envelope.recipients) == (ZHANG, (CHEN,))
    assert envelope.conversation_kind is ConversationKind.SINGLE
    assert (envelope.action, envelope.recalls) == (Action.SEND, None)


def test_a_room_makes_a_group() -> None:
    envelope = parse(
        roomid="wrJk2BwAARoomVip88", tolist=["liqing", "wmJk2BwAAClientChen01", "LiQing"]
    )
    assert envelope.conversation_kind is ConversationKind.GROUP
    assert envelope.conversation_id == "wrJk2BwAARoomVip88"
    assert envelope.recipients == (Party(PartyType.EMPLOYEE, "liqing"), CHEN)


@pytest.mark.parametrize(
    ("msgid", "sender", "tolist", "types"),
    [
        ("1_external", "zhangwei", ["woJk2BwAAClient"], ["employee", "client"]),
        ("1_external", "wmAAA", ["zhangwei"], ["client", "employee"]),
        ("1_external", "wmchen", ["zhangwei"], ["client", "employee"]),
        ("1_updown_stream", "wmchen", ["zhangwei"], ["client", "employee"]),
        ("1", "wmin", ["wolong", "wm01"], ["employee", "employee", "employee"]),
        ("1_external", "wm01", ["wmJk2BwAAClient"], ["employee", "client"]),
        ("1", "wbJk2BwAARobot01", ["zhangwei"], ["robot", "employee"]),
        ("1_external", "wb01", ["wmJk2BwAAClient"], ["employee", "client"]),
        ("1", "", ["zhangwei"], ["unknown", "employee"]),
        ("1", None, None, ["unknown"]),
        ("1", 5, "liqing", ["employee", "employee"]),
        ("1", "zhangwei", [None, {}, "", True], ["employee"]),
    ],
)
def test_parties_are_typed_by_their_ids(
    msgid: str, sender: object, tolist: object, types: list[str]
) -> None:
    envelope = parse(msgid=msgid, tolist=tolist, **{"from": sender})
    assert [party.type.value for party in (envelope.sender, *envelope.recipients)] == types


def test_a_sender_among_the_recipients_is_left_out_unless_alone() -> None:
    assert parse(tolist=["ZhangWei", "wmJk2BwAAClientChen01"]).recipients == (CHEN,)
    assert parse(tolist=["zhangwei"]).recipients == (ZHANG,)


def test_a_revocation_points_at_what_it_takes_back() -> None:
    envelope = parse(action="recall", msgtype="revoke", revoke={"pre_msgid": " 7_external "})
    assert (envelope.action, envelope.recalls) == (Action.RECALL, "7_external")


def test_a_revocation_without_its_target_is_kept() -> None:
    for body in (None, {}, "x", {"pre_msgid": "x" * 257}):
        envelope = parse(action="recall", msgtype="revoke", revoke=body)
        assert envelope.action is Action.RECALL
        assert envelope.recalls is None or len(envelope.recalls) <= 256


def test_consent_and_its_refusal_are_actions_of_the_client() -> None:
    body = {"userid": "wmJk2BwAAClientChen01"}
    for kind, key in (("agree", "agree"), ("disagree", "disagree"), ("disagree", "agree")):
        envelope = parse(msgtype=kind, tolist=["zhangwei"], **{key: body, "from": ""})
        assert envelope.action.value == kind
        assert (envelope.sender, envelope.recipients) == (CHEN, (ZHANG,))


def test_an_account_switch_has_a_user_and_a_time_only() -> None:
    line = b'{"msgid":"125","action":"switch","time":1762913800000,"user":"ZhangWei"}'
    envelope = parse_wecom(line, "ww1")
    assert (envelope.kind, envelope.action) == ("switch", Action.SWITCH)
    assert (envelope.sender, envelope.recipients) == (ZHANG, ())
    assert envelope.sent_at == 1762913800000


@pytest.mark.parametrize(
    ("told", "read"),
    [
        (1762912800123, 1762912800123),
        (1762912800, 1762912800000),
        ("1762912800123", 1762912800123),
        (" 1762912800 ", 1762912800000),
        (1762912800123.9, 1762912800123),
        (946684800000, 946684800000),
        (4133980799999, 4133980799999),
        (4133980800000, None),
        (946684799, None),
        (0, None),
        (-1762912800123, None),
        (10**400, None),
        (float("inf"), None),
        (float("nan"), None),
        ("2025-11-12", None),
        ("9" * 5_000, None),
        ("", None),
        (True, None),
        (None, None),
        ([], None),
    ],
)
def test_times_are_told_in_seconds_or_milliseconds_by_their_size(
    told: object, read: object
) -> None:
    assert moment_ms(told) == read


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"msgid": None}, "msgid_missing"),
        ({"msgid": " "}, "msgid_missing"),
        ({"msgid": ["1"]}, "msgid_missing"),
        ({"msgid": True}, "msgid_missing"),
        ({"msgid": "1" * 257}, "msgid_too_long"),
        ({"msgtime": None}, "msgtime_missing"),
        ({"msgtime": "soon"}, "msgtime_invalid"),
        ({"msgtime": 1e400}, "not_finite"),
        ({"msgtime": 17}, "msgtime_invalid"),
        ({"text": {"content": "a" * 1_000_001}}, "text_too_long"),
    ],
)
def test_only_a_message_without_identity_time_or_bounds_goes_to_quarantine(
    fields: dict[str, Any], code: str
) -> None:
    with pytest.raises(Rejected) as caught:
        parse(**fields)
    assert (caught.value.code, caught.value.quarantine) == (code, True)


def test_a_rejection_says_which_message_it_is_about() -> None:
    with pytest.raises(Rejected) as caught:
        parse(msgtime="soon")
    assert (caught.value.corp, caught.value.source_msg_id) == ("ww1", "1_1762912800123_external")


def test_a_number_too_large_for_a_float_is_no_time() -> None:
    with pytest.raises(Rejected) as caught:
        parse_wecom(b'{"msgid":"1","msgtime":1e999}', "ww1")
    assert caught.value.code == "msgtime_invalid"


@pytest.mark.parametrize("kind", ["hologram", "text2", "x" * 64])
def test_an_unknown_type_is_kept_as_it_is_named(kind: str) -> None:
    envelope = parse(msgtype=kind, **{kind: {"content": "新"}})
    assert (envelope.kind, envelope.text, envelope.has_media) == (kind, "", False)


def test_a_type_that_is_no_usable_name_is_kept_under_another() -> None:
    assert parse(msgtype="x" * 65).kind == "x" * 64
    for told in (None, "", 5, ["text"]):
        assert parse(msgtype=told).kind == "other"


@pytest.mark.parametrize(
    ("kind", "fields", "text"),
    [
        ("text", {"text": None}, ""),
        ("text", {}, ""),
        ("text", {"text": {}}, ""),
        ("text", {"text": {"content": 5}}, "5"),
        ("text", {"text": {"content": ["a"]}}, UNREADABLE),
        ("text", {"text": "直接写出"}, "直接写出"),
        ("text", {"text": '{"content":"转成字符串"}'}, "转成字符串"),
        ("text", {"text": {"content": " 原样 \n"}}, " 原样 \n"),
        ("text", {"text": {"content": "a\0b\ud800"}}, "a\ufffdb\ufffd"),
        ("text", {"text": [1]}, UNREADABLE),
        ("file", {"file": "x"}, UNREADABLE),
        ("image", {"image": 5}, ""),
        ("todo", {"title": "标题", "content": "待办"}, "标题\n待办"),
        ("vote", {"votetitle": "时间", "voteitem": ["周三", 5, None, {}]}, f"时间\n周三\n5\n{UNREADABLE}"),
        ("vote", {"vote": {"votetitle": "时间", "voteitem": "周三"}}, "时间\n周三"),
        ("collect", {"collect": {"title": "报名", "details": [{"ques": "姓名"}, "人数"]}}, "报名\n姓名\n人数"),
        ("external_redpacket", {"external_redpacket": {"wish": "谢谢"}}, "谢谢"),
        ("docmsg", {"docmsg": {"title": "清单"}}, "清单"),
        ("markdown", {"markdown": {"content": "**提醒**"}}, "**提醒**"),
        ("news", {"info": {"item": [{"title": "一"}, [], {"url": "https://example.com"}]}}, f"一\n{UNREADABLE}\nhttps://example.com"),
        ("note", {"info": {"item": [{"msg_type": "text", "content": '{"content":"记"}'}]}}, "记"),
        ("sphfeed", {"sphfeed": {"feed_type": "4", "sph_name": "安和", "feed_desc": ""}}, "安和"),
    ],
)  # fmt: skip
def test_a_body_is_read_as_far_as_it_can_be(kind: str, fields: dict[str, Any], text: str) -> None:
    assert parse(msgtype=kind, **fields).text == text


def test_a_forwarded_bundle_is_read_in_order_through_all_its_levels() -> None:
    inner = {"title": "里层", "item": [said("二"), item("image", {"sdkfileid": "x"})]}
    envelope = parse(
        msgtype="chatrecord",
        chatrecord={
            "title": "外层",
            "item": [
                said("一"),
                item("chatrecord", inner),
                item("ChatRecordMixed", {"item": [item("text", {"content": " 三\n"})]}),
                {"type": "ChatRecordLink", "content": {"title": "四", "link_url": "https://example.com"}},
                item("ChatRecordHologram", {"content": "不认识"}),
            ],
        },
    )  # fmt: skip
    assert envelope.text == "外层\n一\n里层\n二\n三\n四\nhttps://example.com"
    assert envelope.has_media


def test_a_bundle_of_words_alone_carries_no_media() -> None:
    assert not parse(msgtype="chatrecord", chatrecord={"item": [said("一")]}).has_media


@pytest.mark.parametrize(
    "bad",
    [
        None,
        "x",
        5,
        {},
        {"type": 5},
        {"type": "ChatRecordText"},
        {"type": "ChatRecordText", "content": "{"},
        {"type": "ChatRecordText", "content": "[1]"},
        {"type": "ChatRecordText", "content": "[" * 50_000},
        {"type": "ChatRecordText", "content": "9" * 5_000},
        {"type": "ChatRecordText", "content": 5},
    ],
)
def test_a_bad_item_leaves_a_visible_mark_among_the_others(bad: object) -> None:
    assert bundle(said("前"), bad, said("后")) == f"前\n{UNREADABLE}\n后"


def test_items_that_are_no_list_leave_a_visible_mark() -> None:
    assert parse(msgtype="mixed", mixed={"item": "x"}).text == UNREADABLE


def test_two_hundred_items_are_read_and_more_are_visibly_cut() -> None:
    items = [said(f"第{n}条") for n in range(201)]
    lines = [f"第{n}条" for n in range(200)]
    assert bundle(*items[:200]).split("\n") == lines
    assert bundle(*items).split("\n") == [*lines, CUT_OFF]


def test_nodes_are_counted_over_all_levels_together() -> None:
    inner = item("chatrecord", {"item": [said("内")] * 99})
    assert bundle(inner, inner) == "\n".join(["内"] * 198)
    assert bundle(inner, inner, said("外")).endswith(f"内\n{CUT_OFF}")


def test_eight_levels_are_read_and_deeper_ones_are_visibly_cut() -> None:
    body: dict[str, Any] = {"item": [{"type": "text", "content": {"content": "底"}}]}
    for _ in range(7):
        body = {"item": [{"type": "chatrecord", "content": body}]}
    assert text_of("chatrecord", body) == "底"
    assert text_of("chatrecord", {"item": [{"type": "chatrecord", "content": body}]}) == CUT_OFF


def test_the_seq_of_the_chat_data_is_taken_where_a_relay_put_it() -> None:
    assert parse(seq=17).source_seq == parse(seq="17").source_seq == 17
    refused: list[object] = [None, -1, 2**63, True, "x", []]
    for told in refused:
        assert parse(seq=told).source_seq is None


FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "msgid": st.just("1_external") | JSON,
        "action": st.sampled_from(["send", "recall", "switch"]) | JSON,
        "from": st.sampled_from(["zhangwei", "wmAAA", "wbAAA", ""]) | JSON,
        "tolist": st.lists(ANY_TEXT, max_size=4) | JSON,
        "roomid": JSON,
        "msgtime": st.integers(10**9, 2 * 10**12) | JSON,
        "time": JSON,
        "user": JSON,
        "msgtype": st.sampled_from(sorted(TEXTS)) | JSON,
        "info": JSON,
        "seq": JSON,
    },
)


@given(fields=FIELDS, body=JSON, kind=st.sampled_from(sorted(TEXTS)))
@settings(deadline=None)
def test_any_message_becomes_an_envelope_or_a_rejection(
    fields: dict[str, Any], body: object, kind: str
) -> None:
    line = json.dumps({"msgtype": kind, kind: body, **fields}).encode()
    try:
        envelope = parse_wecom(line, "ww1")
    except Rejected as rejected:
        reasons = {
            "msgid_missing",
            "msgid_too_long",
            "msgtime_missing",
            "msgtime_invalid",
            "not_finite",
        }
        known = rejected.code in reasons
    else:
        known = envelope.raw == line and bool(envelope.source_msg_id) and bool(envelope.kind)
        envelope.text.encode()
        assert "\0" not in envelope.text
    assert known


@given(
    body=st.recursive(
        JSON,
        lambda inner: st.builds(
            lambda kind, contents, written: {
                "title": "题",
                "item": [
                    {"type": kind, "content": json.dumps(one) if written else one}
                    for one in contents
                ],
            },
            st.sampled_from(["ChatRecordText", "chatrecord", "mixed", "note", "image"]),
            st.lists(inner, max_size=4),
            st.booleans(),
        ),
        max_leaves=12,
    )
)
@settings(deadline=None)
def test_any_bundle_is_read_whatever_is_in_it(body: object) -> None:
    envelope = parse(msgtype="chatrecord", chatrecord=body)
    assert envelope.kind == "chatrecord"
    assert isinstance(body, dict) or envelope.text in ("", UNREADABLE)


def test_an_id_that_grows_in_lower_case_stays_storable() -> None:
    line = json.dumps({"msgid": "1", "action": "send", "from": "İ" * 256, "msgtime": 1762912800123})
    assert len(parse_wecom(line.encode(), "ww1").sender.id) == 256
