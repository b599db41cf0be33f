import datetime as dt
from typing import Any

import pytest

from app.sample import Company, company, messages, stories
from app.sample.stories import SCRIPTS

CATEGORIES = {
    *("principal_guarantee", "exaggerated_yield", "rigid_redemption", "risk_denial"),
    *("deposit_comparison", "private_deal", "off_channel", "personal_account", "proxy_operation"),
    *("insider_info", "superlative", "kickback", "urgency", "unsuitable", "concealment", "pii"),
    *("abuse", "money_laundering", "disparagement", "unlicensed", "complaint_intent"),
}


def test_there_are_more_than_a_dozen_breaches_and_some_innocent_stories() -> None:
    assert sum(bool(script.violations) for script in SCRIPTS) >= 12
    silent = {script.slug for script in SCRIPTS if not script.violations}
    assert {"correct-denial", "regulation-quoted", "innocent-words", "complaint"} <= silent


def test_expectations_name_known_categories_and_lines_of_their_story() -> None:
    for script in SCRIPTS:
        for expected in (*script.violations, *script.leads):
            assert expected.category in CATEGORIES
            assert expected.at
            assert set(expected.at) <= set(range(len(script.lines)))


def test_slugs_are_unique_and_titles_chinese() -> None:
    assert len({script.slug for script in SCRIPTS}) == len(SCRIPTS)
    assert all("\u4e00" <= script.title[0] <= "\u9fff" for script in SCRIPTS)


def test_every_story_is_told_whole_and_in_order(firm: Company, talk: list[dict[str, Any]]) -> None:
    told = {envelope["source_msg_id"]: envelope for envelope in talk}
    for story in stories(firm):
        lines = [told[each] for each in story.ids]
        assert len(lines) == len(story.script.lines)
        assert lines == sorted(lines, key=lambda line: str(line["sent_at"]))
        assert [line["kind"] for line in lines] == [line.kind for line in story.script.lines]


def test_every_line_comes_from_the_person_the_script_names(
    firm: Company, talk: list[dict[str, Any]]
) -> None:
    told = {envelope["source_msg_id"]: envelope for envelope in talk}
    for story in stories(firm):
        people = {"adviser": story.adviser, "client": story.client, "colleague": story.colleague}
        for line_id, line in zip(story.ids, story.script.lines, strict=True):
            assert told[line_id]["sender"]["id"] == people[line.role]


def test_stories_fit_into_a_small_push(firm: Company, until: dt.datetime) -> None:
    ids = {envelope["source_msg_id"] for envelope in messages(firm, until, 200)}
    assert {each for story in stories(firm) for each in story.ids} <= ids


def test_a_client_takes_part_in_one_story_only(firm: Company) -> None:
    clients = [story.client for story in stories(firm) if story.client]
    assert len(set(clients)) == len(clients)


def test_no_story_runs_past_the_end_of_the_half_year() -> None:
    for script in SCRIPTS:
        length = sum(line.after for line in script.lines[1:])
        assert length < (script.days_ago - 1) * 86_400


def test_slots_of_every_story_are_filled(firm: Company, talk: list[dict[str, Any]]) -> None:
    ids = {each for story in stories(firm) for each in story.ids}
    texts = [each["text"] for each in talk if each["source_msg_id"] in ids and "text" in each]
    assert texts
    assert not any("{" in text or "}" in text for text in texts)


@pytest.mark.parametrize("weekday", range(7))
def test_stories_find_their_moment_whatever_the_weekday(weekday: int) -> None:
    until = dt.datetime(2026, 3, 2, 0, 5, tzinfo=dt.UTC) + dt.timedelta(days=weekday)
    told = [each for each in messages(company(3), until, 120) if "-story-" in each["source_msg_id"]]
    starts = [each for each in told if each["source_msg_id"].endswith("-00")]
    assert len(starts) == len(SCRIPTS)
    assert all(dt.datetime.fromisoformat(each["sent_at"]).weekday() < 5 for each in starts)
