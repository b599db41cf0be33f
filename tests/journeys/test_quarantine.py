"""What could not be read is visible, keeps its bytes, and can be replayed or put aside."""

from typing import Any

import httpx

from tests.journeys.office import Said, push

LINES = {"content-type": "application/x-ndjson"}


def waiting(client: httpx.Client) -> dict[int, dict[str, Any]]:
    """The inputs in quarantine that nobody has dealt with."""
    page = client.get("/quarantine", params={"state": "waiting", "limit": 200}).json()
    return {each["id"]: each for each in page["items"]}


def sent_to_quarantine(
    program: httpx.Client, officer: httpx.Client, line: bytes
) -> tuple[int, dict[str, Any]]:
    """Push one line that cannot be read; gives its number and how the list shows it."""
    before = waiting(officer)
    answer = program.post("/messages", content=line, headers=LINES).json()
    assert answer["quarantined"] == 1, answer
    [(number, item)] = [(n, each) for n, each in waiting(officer).items() if n not in before]
    return number, item


def test_unreadable_input_is_listed_with_its_reason_and_exact_bytes(
    program: httpx.Client, officer: httpx.Client
) -> None:
    line = b'{"corp": "ww0001", "broken \xff\x00'
    number, item = sent_to_quarantine(program, officer, line)
    assert (item["reason"], item["size"], item["door"]) == ("not_utf8", len(line), "messages")
    assert officer.get(f"/quarantine/{number}/raw").content == line


def test_an_input_is_put_aside_once_and_keeps_its_bytes(
    program: httpx.Client, officer: httpx.Client
) -> None:
    line = b'{"put": "aside"}'
    number, _ = sent_to_quarantine(program, officer, line)
    assert officer.post(f"/quarantine/{number}/discard").status_code == 200
    assert number not in waiting(officer)
    assert officer.post(f"/quarantine/{number}/discard").status_code == 409
    assert officer.get(f"/quarantine/{number}/raw").content == line


def test_replaying_what_still_cannot_be_read_says_why_and_keeps_it_waiting(
    program: httpx.Client, officer: httpx.Client
) -> None:
    number, _ = sent_to_quarantine(program, officer, b'{"still": "unreadable"}')
    answer = officer.post(f"/quarantine/{number}/replay")
    assert (answer.status_code, answer.json()["code"]) == (409, "not_replayable")
    assert number in waiting(officer)


def test_other_content_under_a_known_id_is_kept_as_a_conflict(
    program: httpx.Client, officer: httpx.Client
) -> None:
    said = Said("conflict", "yuan", "wmA", "原来的话")
    push(program, [said.envelope()])
    before = waiting(officer)
    answer = push(program, [said._replace(text="改过的话").envelope()])
    assert answer["results"][0]["error"] == "conflict"
    fresh = [each for number, each in waiting(officer).items() if number not in before]
    assert [each["reason"] for each in fresh] == ["conflict"]


def test_who_may_only_read_messages_may_not_settle_quarantine(
    program: httpx.Client, officer: httpx.Client, leader: httpx.Client
) -> None:
    number, _ = sent_to_quarantine(program, officer, b'{"for": "the officer alone"}')
    assert leader.post(f"/quarantine/{number}/discard").status_code == 403
    assert leader.get(f"/quarantine/{number}/raw").status_code == 403
