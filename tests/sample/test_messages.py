import datetime as dt
import re
from collections import Counter, defaultdict
from itertools import pairwise
from typing import Any

import pytest

from app.capture.envelope import parse_envelope
from app.sample import Company, messages, ndjson, stories
from app.sample.company import DAYS
from tests.sample.envelope_rules import BODIES, check

WORDLESS = {"switch", "agree", "disagree", "revoke", "voiptext"}

Talk = list[dict[str, Any]]


def _moment(envelope: dict[str, Any]) -> dt.datetime:
    return dt.datetime.fromisoformat(envelope["sent_at"])


def _thread(envelope: dict[str, Any]) -> str:
    thread: str = envelope["source_msg_id"].rpartition("-")[0]
    return thread


def _day(envelope: dict[str, Any], until: dt.datetime) -> int:
    return (_moment(envelope).date() - until.date()).days


def test_every_envelope_keeps_the_contract(talk: Talk) -> None:
    for envelope in talk:
        check(envelope)


def test_the_archive_reads_every_line(talk: Talk) -> None:
    for envelope, line in zip(talk, ndjson(talk), strict=True):
        read = parse_envelope(line)
        assert read.source_msg_id == envelope["source_msg_id"]
        assert read.kind in WORDLESS or read.text or read.has_media


def test_the_same_arguments_give_the_same_lines(firm: Company, until: dt.datetime) -> None:
    once, twice = (list(ndjson(messages(firm, until, 3000))) for _ in range(2))
    assert once == twice


def test_a_larger_count_only_adds_messages(firm: Company, until: dt.datetime, talk: Talk) -> None:
    fewer = set(ndjson(messages(firm, until, 5000)))
    assert len(fewer) == 5000
    assert fewer < set(ndjson(talk))


def test_ids_of_stories_stay_whatever_the_moment(firm: Company, until: dt.datetime) -> None:
    later = messages(firm, until + dt.timedelta(days=40), 200)
    told = {envelope["source_msg_id"] for envelope in later}
    assert {each for story in stories(firm) for each in story.ids} <= told


def test_ids_are_unique_and_short(talk: Talk) -> None:
    ids = [envelope["source_msg_id"] for envelope in talk]
    assert len(set(ids)) == len(ids) == 20_000
    assert max(map(len, ids)) < 64


def test_messages_come_in_order_of_time_within_the_half_year(
    talk: Talk, until: dt.datetime
) -> None:
    moments = [_moment(envelope) for envelope in talk]
    assert all(before <= after for before, after in pairwise(moments))
    assert moments[-1] < until
    assert until - moments[-1] < dt.timedelta(days=2)
    assert dt.timedelta(days=DAYS - 5) < until - moments[0] <= dt.timedelta(days=DAYS)


def test_all_kinds_occur_and_most_messages_are_text(talk: Talk) -> None:
    kinds = Counter(envelope["kind"] for envelope in talk)
    assert set(kinds) == set(BODIES)
    assert 0.8 < kinds["text"] / len(talk) < 0.9


def test_a_recall_takes_back_an_earlier_message_of_the_same_sender(talk: Talk) -> None:
    seen: dict[str, dict[str, Any]] = {}
    for envelope in talk:
        if recalled := envelope["recalls"]:
            original = seen[recalled]
            assert original["sender"] == envelope["sender"]
            assert original["conversation"] == envelope["conversation"]
            assert envelope["content"] == {"pre_msgid": recalled}
        seen[envelope["source_msg_id"]] = envelope


def test_advisers_write_only_to_clients_they_serve_that_day(
    firm: Company, talk: Talk, until: dt.datetime
) -> None:
    serving = defaultdict(list)
    for assignment in firm.assignments:
        serving[assignment.client, assignment.employee].append(assignment)
    for envelope in talk:
        parties = [envelope["sender"], *envelope["recipients"]]
        if envelope["conversation"]["kind"] == "single" and any(
            p["type"] == "client" for p in parties
        ):
            one, other = sorted(parties, key=lambda party: str(party["type"]))
            day = _day(envelope, until)
            assert any(a.covers(day) for a in serving[one["id"], other["id"]])


def test_nobody_writes_or_receives_before_joining_or_after_leaving(
    firm: Company, talk: Talk, until: dt.datetime
) -> None:
    staff = {employee.userid: employee.spans for employee in firm.employees}
    for envelope in talk:
        day = _day(envelope, until)
        for party in (envelope["sender"], *envelope["recipients"]):
            if party["type"] == "employee":
                first, last = staff[party["id"]][0], staff[party["id"]][-1]
                assert first.start <= day
                assert last.end is None or day < last.end


def test_two_conversations_never_mix_in_one_room(talk: Talk) -> None:
    spans: dict[str, list[str]] = defaultdict(list)
    for envelope in talk:
        parties = sorted(party["id"] for party in (envelope["sender"], *envelope["recipients"]))
        room = envelope["conversation"]["id"] or "|".join(parties)
        if envelope["kind"] != "switch":
            spans[room].append(_thread(envelope))
    for threads in spans.values():
        changes = [after for before, after in pairwise(threads) if before != after]
        assert len(changes) == len(set(threads)) - 1


def test_questions_are_mostly_answered_within_minutes(talk: Talk) -> None:
    threads = defaultdict(list)
    for envelope in talk:
        if "story" not in envelope["source_msg_id"]:
            threads[_thread(envelope)].append(envelope)
    waits = sorted(
        _moment(after) - _moment(before)
        for thread in threads.values()
        for before, after in pairwise(thread)
        if before["sender"] != after["sender"]
    )
    assert waits[len(waits) // 2] < dt.timedelta(minutes=3)
    assert waits[-1] <= dt.timedelta(minutes=30)


def test_people_work_by_day_and_on_weekdays(talk: Talk) -> None:
    moments = [_moment(envelope) for envelope in talk]
    office = sum(9 <= moment.hour < 18 for moment in moments)
    weekend = sum(moment.weekday() >= 5 for moment in moments)
    assert office > 0.65 * len(talk)
    assert weekend < 0.15 * len(talk)


def test_everyday_talk_names_promises_only_to_deny_or_ask_for_them(talk: Talk) -> None:
    heavy = re.compile("(?<![环社担确])保本|保证|承诺|刚性|兜底|稳赚|零风险|代客|私下|返佣|内幕")
    fair = re.compile("[？吗]|能保证不|保不保|不(能|保|承|构|是)|没有保本|承诺本金不受损失|严禁")
    for envelope in talk:
        text = envelope.get("text", "")
        if "-story-" not in envelope["source_msg_id"] and heavy.search(text):
            assert fair.search(text), text


def test_texts_vary(talk: Talk) -> None:
    texts = Counter(envelope["text"] for envelope in talk if "text" in envelope)
    assert len(texts) > 4000
    assert max(texts.values()) < 400


def test_a_moment_without_an_offset_is_refused(firm: Company, until: dt.datetime) -> None:
    with pytest.raises(ValueError, match="offset"):
        messages(firm, until.replace(tzinfo=None))
