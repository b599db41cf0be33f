import json
from collections import Counter
from itertools import islice, pairwise
from typing import Any

import pytest

from app.capture.envelope import parse_envelope
from app.sample import load
from tests.sample.envelope_rules import check

COUNT = 40_000


@pytest.fixture(scope="module")
def lines() -> list[bytes]:
    return list(load(COUNT))


@pytest.fixture(scope="module")
def envelopes(lines: list[bytes]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines]


def test_every_line_keeps_the_contract(envelopes: list[dict[str, Any]]) -> None:
    assert len(envelopes) == COUNT
    for envelope in envelopes:
        check(envelope)


def test_the_archive_reads_the_lines(lines: list[bytes]) -> None:
    for line in lines[::50]:
        assert parse_envelope(line).source == "load"
    assert all(line.endswith(b"}\n") for line in lines)


def test_the_same_count_and_seed_give_the_same_bytes(lines: list[bytes]) -> None:
    assert list(load(COUNT)) == lines
    assert list(islice(load(COUNT, seed=8), 50)) != lines[:50]


def test_ids_are_unique_and_moments_in_order(envelopes: list[dict[str, Any]]) -> None:
    assert len({each["source_msg_id"] for each in envelopes}) == COUNT
    assert all(before["sent_at"] <= after["sent_at"] for before, after in pairwise(envelopes))
    assert envelopes[0]["sent_at"].startswith("2025-01-0")
    assert envelopes[-1]["sent_at"].startswith("2025-06-30")


def test_texts_are_as_long_and_as_varied_as_real_chat(envelopes: list[dict[str, Any]]) -> None:
    texts = [each["text"] for each in envelopes if each["kind"] == "text"]
    assert 32 < sum(map(len, texts)) / len(texts) < 38
    assert len(set(texts)) > 0.9 * len(texts)


def test_few_speak_most(envelopes: list[dict[str, Any]]) -> None:
    spoken = Counter(each["sender"]["id"] for each in envelopes)
    advisers = [n for who, n in spoken.most_common() if who.startswith("load")]
    assert 1500 < len(advisers) <= 2000
    assert sum(advisers[:400]) > 0.35 * sum(advisers)
    groups = Counter(each["conversation"]["id"] for each in envelopes if each["conversation"]["id"])
    assert 0.06 < sum(groups.values()) / COUNT < 0.10


def test_about_two_in_a_thousand_lines_are_breaches(envelopes: list[dict[str, Any]]) -> None:
    breaches = (
        "保本保息",
        "肯定保本",
        "零风险",
        "保证本金",
        "我给您兜底",
        "稳赚不赔",
        "包赚",
        "我承诺您",
        "保证收益",
    )
    said = [each["text"] for each in envelopes if each["kind"] == "text"]
    found = sum(any(words in text for words in breaches) for text in said)
    assert 0.0004 < found / COUNT < 0.002  # nine of the twenty wordings


def test_no_line_is_lost_where_hours_get_less_than_one() -> None:
    assert [len(list(load(count))) for count in (0, 1, 7, 1000)] == [0, 1, 7, 1000]
