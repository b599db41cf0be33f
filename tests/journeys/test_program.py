"""A program pushes messages in: every documented WeCom example, and envelopes of the contract."""

import json

import httpx
import pytest

from tests.journeys.office import CORP, EXAMPLES, Office, Said, push

EXAMPLE_LINES = EXAMPLES.read_bytes().splitlines()


def test_every_wecom_example_is_archived_once_however_often_it_is_pushed(
    program: httpx.Client,
) -> None:
    answer = program.post(
        "/wecom/messages",
        params={"corp": CORP},
        content=b'{"messages":[' + b",".join(EXAMPLE_LINES) + b"]}",
        headers={"content-type": "application/json"},
    ).json()
    assert (answer["accepted"], answer["duplicate"]) == (0, len(EXAMPLE_LINES))
    ids = [json.loads(line)["msgid"] for line in EXAMPLE_LINES]
    assert [each["source_msg_id"] for each in answer["results"]] == ids


@pytest.mark.parametrize("line", EXAMPLE_LINES, ids=lambda line: json.loads(line)["msgid"][:4])
def test_an_examples_raw_bytes_are_what_was_sent(
    office: Office, program: httpx.Client, line: bytes
) -> None:
    answer = program.get(f"/messages/{office.ids[json.loads(line)['msgid']]}/raw")
    assert answer.content == line


def test_json_and_ndjson_are_the_same_door(program: httpx.Client) -> None:
    said = [Said(f"door-{number}", "yuan", "wmA", f"第{number}条") for number in range(3)]
    first = push(program, [each.envelope() for each in said])
    lines = "\n".join(json.dumps(each.envelope(), ensure_ascii=False) for each in said)
    again = program.post(
        "/messages", content=lines.encode(), headers={"content-type": "application/x-ndjson"}
    ).json()
    assert first["accepted"] + first["duplicate"] == 3
    assert again["duplicate"] == 3
    assert [each["seq"] for each in again["results"]] == [each["seq"] for each in first["results"]]
    assert [each["digest"] for each in again["results"]] == [
        each["digest"] for each in first["results"]
    ]


def test_a_pushed_message_is_found_and_alerted_without_help(
    office: Office, program: httpx.Client, officer: httpx.Client
) -> None:
    push(program, [Said("fresh", "qiao", "wmA", "新标记琥珀：保本保收益，您放心买。").envelope()])
    office.catch_up()
    found = officer.get("/messages", params={"q": "琥珀"}).json()["items"]
    assert [each["source_msg_id"] for each in found] == ["fresh"]
    alerts = officer.get("/alerts", params={"limit": 200}).json()["items"]
    assert "fresh" in {each["message"]["source_msg_id"] for each in alerts}
