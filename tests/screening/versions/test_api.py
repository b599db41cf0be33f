"""Versions over HTTP: who may do what, what is shown, how refusals look."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from app.access import OPERATOR, Event, Role, TokenScope
from app.access.models import AuditEvent
from app.bootstrap import Services
from app.foundation.jobs import Worker
from app.main import create_app
from app.people import People
from tests.screening.versions.lists import (
    FIRST,
    SAMPLE,
    archive,
    category,
    envelope,
    lists,
    rule,
    wording,
)

PASSWORD = "样例口令-不在别处使用"  # noqa: S105  (of users who live as long as the test)
PLACE = "/api/v1/lexicons"


class Office:
    """The application with everybody signed in."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self._app = create_app(services)
        self._clients: dict[str, TestClient] = {}

    def user(self, login: str, role: Role, department: int | None = None) -> TestClient:
        """The browser of a user, who is made when first asked for."""
        if login not in self._clients:
            self.services.access.create_user(
                OPERATOR, login=login, name=login, password=PASSWORD, roles=[(role, department)]
            )
            client = TestClient(self._app, base_url="https://testserver")
            answer = client.post("/api/v1/session", json={"login": login, "password": PASSWORD})
            assert answer.status_code == 204
            self._clients[login] = client
        return self._clients[login]

    def program(self, *scopes: TokenScope) -> TestClient:
        """A program with its token."""
        token = self.services.access.create_token("程序", list(scopes), OPERATOR)
        return TestClient(self._app, headers={"authorization": f"Bearer {token}"})

    @property
    def officer(self) -> TestClient:
        """Who drafts."""
        return self.user("officer", Role.OFFICER)

    @property
    def supervisor(self) -> TestClient:
        """Who approves."""
        return self.user("supervisor", Role.SUPERVISOR)

    def draft(self, *words: str) -> dict[str, Any]:
        """A version of the officer's whose rule says these words."""
        answer = self.officer.post(PLACE, json={"files": wording(*words), "note": "样例"})
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def work_off(self) -> None:
        """Do every job that is due."""
        Worker(self.services.db, self.services.handlers, name="test").work_off()


@pytest.fixture
def office(services: Services) -> Iterator[Office]:
    services.lexicons.released.begin()
    return Office(services)  # type: ignore[return-value]


def refused(answer: Any, status: int, code: str) -> dict[str, Any]:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    return dict(answer.json())


def test_from_draft_to_release(office: Office) -> None:
    archive(office.services, envelope(1, "琉璃稳赢"), *[envelope(n, "好的") for n in range(2, 60)])
    made = office.draft("琉璃稳赢", "琉璃必赢")
    place = f"{PLACE}/{made['id']}"
    assert (made["state"], made["examples"], made["backtested"]) == ("tested", 3, False)
    run = office.officer.post(f"{place}/backtests", json={"last": 100})
    assert run.status_code == 202
    office.work_off()
    [shown] = office.officer.get(f"{place}/backtests").json()
    assert (shown["state"], shown["done"], shown["total"]) == ("done", 59, 59)
    assert shown["candidate"]["alerts_per_1000"] == round(1000 / 59, 3)
    seen = office.supervisor.get(place).json()
    assert (seen["state"], seen["backtested"], seen["warnings"]) == ("backtested", True, [])
    approved = office.supervisor.post(f"{place}/approve", json={"note": "已看"})
    assert approved.json()["approved_by_name"] == "supervisor"
    released = office.officer.post(f"{place}/release", json={"replaces": "released"})
    assert released.json()["state"] == "released"
    assert [each["step"] for each in released.json()["history"]] == [
        "draft",
        "test",
        "backtest",
        "approve",
        "release",
    ]
    states = [each["state"] for each in office.officer.get(PLACE).json()["items"]]
    assert states == ["released", "retired"]


def test_lists_come_in_pages(office: Office) -> None:
    for word in ("琉璃必赢", "琉璃包赢"):
        office.draft(word)
    first = office.officer.get(PLACE, params={"limit": 2}).json()
    rest = office.officer.get(PLACE, params={"limit": 2, "cursor": first["next"]}).json()
    assert [len(first["items"]), len(rest["items"]), rest["next"]] == [2, 1, None]


def test_who_drafted_is_refused_as_approver_and_another_officer_is_not(office: Office) -> None:
    place = f"{PLACE}/{office.draft('琉璃必赢')['id']}"
    refused(office.officer.post(f"{place}/approve"), 403, "second_person_needed")
    assert office.user("second", Role.OFFICER).post(f"{place}/approve").status_code == 200


@pytest.mark.parametrize("role", [Role.INSPECTOR, Role.ADVISER, Role.ADMINISTRATOR, Role.AUDITOR])
def test_others_see_no_versions(office: Office, role: Role) -> None:
    refused(office.user("other", role).get(PLACE), 403, "forbidden")


def test_a_supervisor_neither_drafts_nor_releases(office: Office) -> None:
    made = office.draft("琉璃必赢")
    refused(office.supervisor.post(PLACE, json={"files": {}}), 403, "forbidden")
    refused(office.supervisor.post(f"{PLACE}/{made['id']}/release"), 403, "forbidden")


def test_a_program_drafts_and_releases_but_never_approves(office: Office) -> None:
    program = office.program(TokenScope.ADMIN)
    made = program.post(PLACE, json={"files": wording("琉璃必赢")}).json()
    place = f"{PLACE}/{made['id']}"
    refused(program.post(f"{place}/approve"), 403, "forbidden")
    office.supervisor.post(f"{place}/approve")
    assert program.post(f"{place}/release").status_code == 200
    refused(office.program(TokenScope.SEARCH).get(PLACE), 403, "forbidden")


def test_a_page_of_another_site_changes_nothing(office: Office) -> None:
    answer = office.officer.post(
        PLACE, json={"files": wording("琉璃必赢")}, headers={"sec-fetch-site": "cross-site"}
    )
    refused(answer, 403, "cross_site")


def test_failing_examples_are_shown_and_keep_it_a_draft(office: Office) -> None:
    text = category(rule("one", "琉璃稳赢", match=["今天天气好"]))
    made = office.officer.post(PLACE, json={"files": {SAMPLE: text}}).json()
    assert made["state"] == "draft"
    [failure] = made["failures"]
    assert (failure["file"], failure["rule"], failure["sentence"], failure["expected"]) == (
        SAMPLE,
        "sample/one",
        "今天天气好",
        "match",
    )
    assert text.splitlines()[failure["line"] - 1] == 'match = ["今天天气好"]'
    answer = office.supervisor.post(f"{PLACE}/{made['id']}/approve")
    refused(answer, 409, "lexicon_step_not_possible")


def test_a_mistake_in_a_file_is_told_with_file_and_line(office: Office) -> None:
    answer = office.officer.post(PLACE, json={"files": {SAMPLE: 'category = "a"\nname = '}})
    problem = refused(answer, 400, "lexicon_unusable")
    assert (problem["file"], problem["line"]) == (SAMPLE, 2)
    assert "第 2 行" in problem["detail"]


@pytest.mark.parametrize(
    ("given", "status", "code"),
    [
        ({"files": {"../x.toml": ""}}, 400, "lexicon_bad_path"),
        ({"files": {"x" * 90: ""}}, 422, "invalid_fields"),
        ({"files": dict(FIRST), "based_on": None}, 409, "lexicon_known"),
        ({"files": {}, "based_on": None}, 400, "lexicon_unusable"),
        ({"files": {SAMPLE: None}}, 400, "lexicon_unusable"),
        ({"files": {SAMPLE: "[" * 5000}}, 400, "lexicon_unusable"),
        ({"files": {SAMPLE: "a = \0"}}, 400, "lexicon_unusable"),
        ({"files": {}, "based_on": "lex_nothing"}, 404, "lexicon_not_found"),
        ({"files": {}, "note": "\0"}, 422, "invalid_fields"),
        ({}, 422, "invalid_fields"),
    ],
)
def test_drafts_that_cannot_be(office: Office, given: Any, status: int, code: str) -> None:
    refused(office.officer.post(PLACE, json=given), status, code)


def test_files_and_differences_are_shown(office: Office) -> None:
    made = office.draft("琉璃稳赢", "琉璃必赢")
    files = office.officer.get(f"{PLACE}/{made['id']}/files").json()["files"]
    assert files == {**FIRST, **wording("琉璃稳赢", "琉璃必赢")}
    diff = office.officer.get(f"{PLACE}/{made['id']}/diff").json()
    assert [each["path"] for each in diff["files"]] == [SAMPLE]
    assert diff["rules"] == [
        {"rule": "sample/one", "name": "one", "kind": "changed", "fields": ["match", "say"]}
    ]
    same = office.officer.get(f"{PLACE}/{made['id']}/diff", params={"against": made["id"]})
    assert same.json() == {"files": [], "rules": []}


def test_the_bench_shows_every_step(office: Office) -> None:
    talk = [
        {"role": "client", "text": "听说琉璃稳赢？"},
        {"role": "adviser", "text": "对，琉璃稳赢"},
        {"role": "client", "text": "我再想想，明天回复你"},
        {"role": "adviser", "text": "不能说琉璃稳赢"},
    ]
    answer = office.supervisor.post(f"{PLACE}/released/try", json={"messages": talk})
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    stances = [[hit["stance"] for hit in each["hits"]] for each in shown["runs"]]
    assert stances[1:] == [["asserted"], [], ["denied"]]
    assert [each["messages"] for each in shown["runs"]] == [[0], [1], [2], [3]]
    finding = next(each for each in shown["findings"] if each["message"] == 1)
    assert (finding["end"], finding["rule"]) == (6, "sample/one")
    empty: dict[str, list[dict[str, str]]] = {"messages": []}
    for wrong in (empty, {"messages": [{"role": "boss", "text": "a"}]}):
        refused(office.officer.post(f"{PLACE}/released/try", json=wrong), 422, "invalid_fields")


def test_what_is_tried_is_kept_nowhere(office: Office) -> None:
    office.officer.post(f"{PLACE}/released/try", json={"messages": [{"text": "琉璃稳赢一号样例"}]})
    with office.services.db.read() as connection:
        query = select(AuditEvent.event, AuditEvent.details).order_by(AuditEvent.seq.desc())
        event, details = next(iter(connection.execute(query)))
    assert (event, json.loads(details)) == (Event.LEXICON_TRY, {"messages": 1})


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_tables_go_out_and_come_in(office: Office, form: str) -> None:
    answer = office.officer.get(f"{PLACE}/released/table", params={"format": form})
    assert f'filename="released.{form}"' in answer.headers["content-disposition"]
    again = office.officer.post(f"{PLACE}/import", content=answer.content)
    problem = refused(again, 400, "lexicon_nothing_to_import")
    assert problem["problems"] == [
        {"line": 2, "word": "琉璃稳赢", "problem": "重复：词库或本表前面已有"}
    ]
    table = "词,类别,级别,备注\n琉璃必赢,样例类,橙,\n琉璃,没有,,\n".encode()
    made = office.officer.post(f"{PLACE}/import", params={"note": "词表"}, content=table)
    assert made.status_code == 201, made.text
    assert (made.json()["added"], made.json()["problem_count"]) == (1, 1)
    assert made.json()["lexicon"]["state"] == "tested"
    refused(office.officer.post(f"{PLACE}/import", content=b"\xff"), 400, "lexicon_bad_table")


def test_a_back_test_is_stopped_and_resumed(office: Office) -> None:
    archive(office.services, envelope(1, "琉璃必赢"))
    place = f"{PLACE}/{office.draft('琉璃必赢')['id']}/backtests"
    run = office.officer.post(place).json()
    refused(office.officer.post(place), 409, "backtest_state_wrong")
    assert office.officer.post(f"{place}/{run['id']}/stop").json()["state"] == "stopped"
    office.work_off()
    assert office.officer.get(f"{place}/{run['id']}").json()["done"] == 0
    assert office.officer.post(f"{place}/{run['id']}/resume").json()["state"] == "running"
    office.work_off()
    shown = office.officer.get(f"{place}/{run['id']}").json()
    assert (shown["state"], shown["gained"]["samples"][0]["message"]) == ("done", "msg_1_1")
    other = f"{PLACE}/{office.draft('琉璃包赢')['id']}/backtests/{run['id']}"
    refused(office.officer.get(other), 404, "backtest_not_found")
    refused(office.officer.post(f"{other}/stop"), 404, "backtest_not_found")


def test_who_sees_a_part_of_the_archive_starts_none_and_sees_no_samples(office: Office) -> None:
    people = People(office.services.db, office.services.settings)
    people.import_json(
        OPERATOR,
        json.dumps(
            {
                "corp": {"code": "ww1"},
                "departments": [{"code": "one", "name": "一部", "parent": None}],
            }
        ).encode(),
    )
    archive(office.services, envelope(1, "琉璃必赢"))
    narrow = office.user("narrow", Role.OFFICER, 1)
    place = f"{PLACE}/{office.draft('琉璃必赢')['id']}/backtests"
    refused(narrow.post(place), 403, "forbidden")
    run = office.officer.post(place).json()
    refused(narrow.post(f"{place}/{run['id']}/stop"), 403, "forbidden")
    office.work_off()
    shown = narrow.get(f"{place}/{run['id']}").json()
    assert shown["gained"] == {"count": 1, "samples": []}


def test_a_release_that_comes_second_is_told_which_is_in_force(office: Office) -> None:
    old = office.officer.get(f"{PLACE}/released").json()["id"]
    first, second = office.draft("琉璃必赢")["id"], office.draft("琉璃包赢")["id"]
    for each in (first, second):
        office.supervisor.post(f"{PLACE}/{each}/approve")
    given = {"replaces": old}
    assert office.officer.post(f"{PLACE}/{first}/release", json=given).status_code == 200
    late = office.officer.post(f"{PLACE}/{second}/release", json=given)
    assert refused(late, 409, "lexicon_released_meanwhile")["released"] == first


def test_a_large_upload_is_taken(office: Office) -> None:
    words = [f"琉璃{number}号必赢" for number in range(2_000)]
    text = category(rule("one", *words[:10])) + "# " + "长" * 600_000 + "\n"
    answer = office.officer.post(PLACE, json={"files": lists(sample=text), "based_on": None})
    assert answer.status_code == 201, answer.text
