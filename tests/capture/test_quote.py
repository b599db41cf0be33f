import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.archive.quote import split_quote

DASHES = "- - - - - - - - - - - - - - -"
PIECES = st.sampled_from(
    [
        "这是一条引用/回复消息：",
        "\n",
        "\r\n",
        '"',
        "------",
        DASHES,
        "「",
        "」",
        "陈总：",
        "保本",
        " ",
    ]
)


@pytest.mark.parametrize(
    ("text", "quote", "reply"),
    [
        (
            '这是一条引用/回复消息：\n"陈总：\n这只产品能保本吗？"\n------\n不保本',
            "陈总：\n这只产品能保本吗？",
            "不保本",
        ),
        (f"「陈总：这只产品能保本吗？」\n{DASHES}\n不保本", "陈总：这只产品能保本吗？", "不保本"),
        (f"「陈总：好」\r\n{DASHES}\r\n一\r\n二", "陈总：好", "一\r\n二"),
        (f"「陈总：看「安和」的书」\n{DASHES}\n好", "陈总：看「安和」的书", "好"),
        (f"「张：「陈：甲」\n{DASHES}\n乙」\n{DASHES}\n丙", f"张：「陈：甲」\n{DASHES}\n乙", "丙"),
        (
            f"「陈总：好」\n{DASHES}\n他说「不」」\n{DASHES}\n完",
            "陈总：好",
            f"他说「不」」\n{DASHES}\n完",
        ),
        (f"「陈总：多一个「」\n{DASHES}\n好", "陈总：多一个「", "好"),
        (f"「陈总：好」\n{DASHES}", "陈总：好", ""),
        (
            '这是一条引用/回复消息：\n"张：\n这是一条引用/回复消息：\n"陈：\n甲"\n------\n乙"\n------\n丙',
            '张：\n这是一条引用/回复消息：\n"陈：\n甲"\n------\n乙',
            "丙",
        ),
    ],
)
def test_the_quoted_words_are_told_from_the_speakers_own(text: str, quote: str, reply: str) -> None:
    assert split_quote(text) == (quote, reply)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "不保本",
        "「安和稳健」下周开放",
        "「安和稳健」\n下周开放",
        f"他说：「陈总：好」\n{DASHES}\n好",
        '这是一条引用/回复消息：\n"没有结尾',
        '"陈总：\n好"\n------\n好',
    ],
)
def test_a_text_that_does_not_begin_with_a_quote_is_all_reply(text: str) -> None:
    assert split_quote(text) == (None, text)


@given(st.lists(PIECES | st.text(max_size=3), max_size=30).map("".join))
@settings(deadline=None)
def test_the_reply_is_the_end_of_the_text_and_the_quote_stands_before_it(text: str) -> None:
    quote, reply = split_quote(text)
    assert text.endswith(reply)
    assert (quote is None) == (reply == text)
    assert quote is None or quote in text[: len(text) - len(reply)]
