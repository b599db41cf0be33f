import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.archive.domain import PartyType
from app.capture.bodies import (
    MAX_MESSAGES,
    Rejected,
    bounded_text,
    clean_text,
    fold,
    fold_id,
    load_object,
    split_body,
    split_ndjson,
)

ANY_TEXT = st.text(st.characters(codec=None), max_size=40)  # lone surrogates and NUL too
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=20,
)
SPACE = st.text(" \t\r\n", max_size=3)


def rejection(action: Any, *args: Any) -> Rejected:
    with pytest.raises(Rejected) as caught:
        list(action(*args))
    return caught.value


@given(
    messages=st.lists(JSON, max_size=6),
    others=st.dictionaries(ANY_TEXT, JSON, max_size=3),
    space=SPACE,
    escaped=st.booleans(),
)
@settings(deadline=None)
def test_slices_parse_to_what_the_whole_body_holds(
    *, messages: list[Any], others: dict[str, Any], space: str, escaped: bool
) -> None:
    whole = json.dumps(
        {**others, "messages": messages, "after": others},
        ensure_ascii=escaped,
        separators=(f"{space},{space}", f"{space}:{space}"),
    ).encode("utf-8", "surrogatepass")
    slices = list(split_body(b" \r\n" + whole + b"\n"))
    assert [json.loads(one) for one in slices] == json.loads(whole)["messages"]
    assert all(one in whole and one == one.strip() for one in slices)


@given(st.binary(max_size=60) | st.text('{}[]",:\\ms1 \n', max_size=40).map(str.encode))
@settings(deadline=None)
def test_any_body_is_split_or_refused_as_a_whole(body: bytes) -> None:
    try:
        slices = list(split_body(body))
    except Rejected as rejected:
        slices = []
        refused_with_quarantine = rejected.quarantine
    else:
        refused_with_quarantine = False
    assert not refused_with_quarantine
    assert all(one in body for one in slices)


@given(st.binary(max_size=60), st.binary(max_size=8))
@settings(deadline=None)
def test_any_body_that_json_reads_is_read_the_same_way(noise: bytes, tail: bytes) -> None:
    body = b'{"messages":[{"a":"' + noise + b'"}]' + tail + b"}"
    try:
        expected = json.loads(body.decode())["messages"]
    except (ValueError, TypeError):
        return
    assert [json.loads(one) for one in split_body(body)] == expected


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "body_empty"),
        (b" \r\n", "body_empty"),
        (b"[]", "body_not_an_object"),
        (b'"messages"', "body_not_an_object"),
        (b"\xff\xfe{\0", "body_not_an_object"),
        (b"{}", "body_without_messages"),
        (b'{"message":[]}', "body_without_messages"),
        (b'{"messages":{}}', "messages_not_a_list"),
        (b'{"messages":null}', "messages_not_a_list"),
        (b'{"messages":[1,]}', "body_not_json"),
        (b'{"messages":[,1]}', "body_not_json"),
        (b'{"messages":[1 2]}', "body_not_json"),
        (b'{"messages":[]', "body_not_json"),
        (b'{"messages":[{}', "body_not_json"),
        (b'{"messages":["a]}', "body_not_json"),
        (b'{"messages":[]} x', "body_not_json"),
        (b'{"messages":[],}', "body_not_json"),
        (b"{messages:[]}", "body_not_json"),
        (b'{"messages" []}', "body_not_json"),
    ],
)
def test_a_body_of_another_shape_is_refused_without_quarantine(body: bytes, code: str) -> None:
    rejected = rejection(split_body, body)
    assert (rejected.code, rejected.quarantine) == (code, False)


def test_the_whole_frame_is_judged_before_the_first_element_comes_out() -> None:
    with pytest.raises(Rejected):
        split_body(b'{"messages":[{},{}')


def test_ten_thousand_elements_are_split_and_one_more_is_refused() -> None:
    element = '{"text":"[}\\"，"}'.encode()
    full = b",".join([element] * MAX_MESSAGES)
    assert list(split_body(b'{"messages":[' + full + b"]}")) == [element] * MAX_MESSAGES
    rejected = rejection(split_body, b'{"messages":[' + full + b",{}]}")
    assert rejected.code == "too_many_messages"


def test_one_broken_element_leaves_its_neighbours_whole() -> None:
    deep = b"[" * 5_000 + b"]" * 5_000
    bad = [deep, b'{"a":tru}', b'{"a":NaN}', b'{"a":"\xff\n"}', b'{"a" 1}', b"9" * 5_000]
    elements = [b'{"n":1}', *bad, b'{"n":2}']
    slices = list(split_body(b'{"messages":[' + b", ".join(elements) + b"]}"))
    assert slices == elements
    for one in bad:
        assert rejection(load_object, one).quarantine


def test_the_last_of_repeated_messages_wins_and_the_key_may_be_escaped() -> None:
    body = b'{"messages":[1],"x":{"messages":[2]},"\\u006dessages":[3, 4]}'
    assert list(split_body(body)) == [b"3", b"4"]


def test_a_byte_order_mark_before_a_body_is_no_part_of_a_message() -> None:
    assert list(split_body(b'\xef\xbb\xbf{"messages":[{}]}')) == [b"{}"]
    assert list(split_ndjson(b"\xef\xbb\xbf{}\n")) == [b"{}"]


@given(
    values=st.lists(JSON, max_size=6),
    end=st.sampled_from([b"\n", b"\r\n", b"\n\r\n \n"]),
    tail=st.sampled_from([b"", b"\n", b"\r\n"]),
)
@settings(deadline=None)
def test_lines_come_out_as_they_were_sent(values: list[Any], end: bytes, tail: bytes) -> None:
    lines = [json.dumps(value).encode() for value in values]
    assert list(split_ndjson(end.join(lines) + tail)) == lines


@pytest.mark.parametrize(
    ("line", "code", "quarantine"),
    [
        (b"", "empty", False),
        (b" \r\n", "empty", False),
        (b"{", "not_json", True),
        (b"{'a':1}", "not_json", True),
        (b'{"a":1}{"b":2}', "not_json", True),
        (b'{"a":"line\nbreak"}', "not_json", True),
        (b"\xef\xbb\xbf{}", "not_json", True),
        ('{"a":"陈"}'.encode("gb18030"), "not_utf8", True),
        (b'{"a":"\xed\xa0\x80"}', "not_utf8", True),
        ('{"a":1}'.encode("utf-16"), "not_utf8", True),
        (b"[]", "not_an_object", True),
        (b"null", "not_an_object", True),
        (b'{"a":NaN}', "not_finite", True),
        (b'{"a":-Infinity}', "not_finite", True),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "too_deep", True),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "too_deep", True),
        (b'{"a":' + b"7" * 5_000 + b"}", "number_too_large", True),
    ],
)
def test_what_is_no_json_object_is_refused_with_its_reason(
    *, line: bytes, code: str, quarantine: bool
) -> None:
    rejected = rejection(load_object, line)
    assert (rejected.code, rejected.quarantine) == (code, quarantine)
    assert rejected.detail


def test_the_last_of_repeated_keys_wins() -> None:
    assert load_object(b'{"a":1,"b":2,"a":3}') == {"a": 3, "b": 2}


@given(ANY_TEXT)
def test_folding_twice_changes_nothing_more(value: str) -> None:
    for type_ in PartyType:
        folded = fold_id(type_, value)
        assert fold_id(type_, folded) == folded == folded.strip()
        assert "\0" not in folded
        folded.encode()


@pytest.mark.parametrize(
    ("value", "folded"),
    [
        (" zhang_3\t", "zhang_3"),
        ("\u3000张三\u00a0", "张三"),
        ("e\u0301", "é"),
        ("a\0b", "a\ufffdb"),
        ("a\ud800b", "a\ufffdb"),
        ("WangFang", "WangFang"),
    ],
)
def test_an_id_has_one_spelling(value: str, folded: str) -> None:
    assert fold(value) == folded


def test_only_employees_ids_disregard_case() -> None:
    assert fold_id(PartyType.EMPLOYEE, "ZhangSan") == "zhangsan"
    assert fold_id(PartyType.EMPLOYEE, "ÄRZTIN") == "ärztin"
    assert fold_id(PartyType.CLIENT, "wmAbC") == "wmAbC"
    assert fold_id(PartyType.ROBOT, "wbAbC") == "wbAbC"


@given(ANY_TEXT)
def test_clean_text_keeps_everything_that_can_be_stored(text: str) -> None:
    cleaned = clean_text(text)
    assert len(cleaned) == len(text)
    for before, after in zip(text, cleaned, strict=True):
        unstorable = before == "\0" or "\ud800" <= before <= "\udfff"
        assert after == ("\ufffd" if unstorable else before)


def test_a_text_of_one_megabyte_is_taken_and_one_byte_more_is_kept_in_quarantine() -> None:
    assert bounded_text("a" * 1_000_000) == "a" * 1_000_000
    assert len(bounded_text("陈" * 333_333)) == 333_333
    for text in ("a" * 1_000_001, "陈" * 333_334, "\0" * 333_334):
        with pytest.raises(Rejected) as caught:
            bounded_text(text)
        assert (caught.value.code, caught.value.quarantine) == ("text_too_long", True)
