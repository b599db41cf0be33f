"""The talk of a whole company: few false alarms in what everybody says every day."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import pytest

from app.sample import company, stories
from app.screening import Finding, Lexicon, Outcome, screen
from tests.screening.everyday import Said, talks, turn

COUNT = 10_000
MOST = 2  # false alarms in 1,000 messages
BEFORE = 10  # messages of a conversation that a window reaches back


@pytest.fixture(scope="module")
def alarms(lexicon: Lexicon) -> dict[str, list[Finding]]:
    """Violations by message, each heard once, in the window that ends with it."""
    found: dict[str, list[Finding]] = defaultdict(list)
    for talk in talks(COUNT):
        for message, finding in _heard(talk, lexicon):
            found[message].append(finding)
    return found


def _heard(talk: Sequence[Said], lexicon: Lexicon) -> Iterator[tuple[str, Finding]]:
    turns = [turn(each) for each in talk]
    for end in range(1, len(turns) + 1):
        start = max(0, end - 1 - BEFORE)
        for finding in screen(turns[start:end], lexicon):
            if finding.outcome is Outcome.VIOLATION and start + finding.at[-1] == end - 1:
                yield talk[end - 1]["source_msg_id"], finding


def test_everyday_talk_raises_hardly_an_alarm(alarms: dict[str, list[Finding]]) -> None:
    told = {name for story in stories(company()) for name in story.ids}
    false = sorted(name for name in alarms if name not in told)
    assert alarms
    assert len(false) <= MOST * COUNT / 1_000, false


def test_every_story_that_breaks_a_rule_is_heard(alarms: dict[str, list[Finding]]) -> None:
    for story in stories(company()):
        for breach in story.script.violations:
            places = {story.ids[at] for at in breach.at}
            heard = {one.category for place in places for one in alarms.get(place, ())}
            assert breach.category in heard, (story.script.slug, breach)
