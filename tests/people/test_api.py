"""The routes of people over HTTP: what a scope shows, pages, filters, and the import."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy import select
from starlette.testclient import TestClient

from app.access import OPERATOR, Access, Role, TokenScope
from app.access.api import Gate
from app.foundation import http
from app.foundation.database import Database
from app.people import People
from app.people.api import routes
from app.people.models import Department
from app.people.service import Report

PASSWORD = "a-long-enough-one"  # noqa: S105  (sample data)
SignedIn = Callable[..., TestClient]


@pytest.fixture
def access(people: People) -> Access:
    cheap = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1),))
    return Access(people.db, people.settings, hasher=cheap)


@pytest.fixture
def signed_in(people: People, access: Access) -> SignedIn:
    """Clients by what they hold: a token's scope, or a role with the code of its department."""
    app = FastAPI()
    http.install(app)
    app.include_router(routes(people, Gate(access)))

    def as_token(scope: TokenScope) -> TestClient:
        token = access.create_token("样例", [scope], OPERATOR)
        return TestClient(app, headers={"authorization": f"Bearer {token}"})

    def as_user(role: Role, department: str | None) -> TestClient:
        row = department and _department(people.db, department)
        login = f"{role}-{department}"
        access.create_user(
            OPERATOR, login=login, name="样例", password=PASSWORD, roles=[(role, row or None)]
        )
        session = access.sign_in(login, PASSWORD, "127.0.0.1")
        return TestClient(app, cookies={"liuhen_session": session})

    def enter(holding: TokenScope | Role, department: str | None = None) -> TestClient:
        if isinstance(holding, TokenScope):
            return as_token(holding)
        return as_user(holding, department)

    return enter


def _department(db: Database, code: str) -> int:
    with db.read() as connection:
        return int(
            connection.execute(select(Department.id).where(Department.code == code)).scalar_one()
        )


def column(client: TestClient, path: str, field: str, **query: Any) -> list[Any]:
    answer = client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return [item[field] for item in answer.json()["items"]]


def test_an_administrator_sees_everybody(take: Callable[..., Report], signed_in: SignedIn) -> None:
    take()
    client = signed_in(TokenScope.ADMIN)
    assert set(column(client, "/departments", "code")) == {"hq", "wealth", "wealth1", "legal"}
    assert set(column(client, "/employees", "userid")) == {"su.he", "lin.an", "wei.zhun"}
    assert set(column(client, "/clients", "external_id")) == {"wmA", "wmB"}
    assert column(client, "/groups", "group_id") == ["wrA"]


def test_a_supervisor_sees_her_subtree_alone(
    take: Callable[..., Report], signed_in: SignedIn
) -> None:
    take()
    client = signed_in(Role.SUPERVISOR, "wealth")
    assert set(column(client, "/departments", "code")) == {"wealth", "wealth1"}
    assert set(column(client, "/employees", "userid")) == {"su.he", "lin.an"}
    # wmA was su.he's only while she was in legal
    assert column(client, "/clients", "external_id") == ["wmB"]
    assert column(client, "/groups", "group_id") == ["wrA"]
    assert column(signed_in(Role.OFFICER, "legal"), "/groups", "group_id") == ["wrA"]


def test_a_client_outside_the_scope_is_not_found(
    take: Callable[..., Report], signed_in: SignedIn
) -> None:
    take()
    ids = dict(
        zip(
            column(admin := signed_in(TokenScope.ADMIN), "/clients", "external_id"),
            column(admin, "/clients", "id"),
            strict=True,
        )
    )
    client = signed_in(Role.SUPERVISOR, "wealth")
    assert client.get(f"/clients/{ids['wmA']}").json()["code"] == "client_not_found"
    found = client.get(f"/clients/{ids['wmB']}").json()
    assert [each["userid"] for each in found["assignments"]] == ["su.he"]
    assert found["assignments"][0]["end_at"] is None


def test_employees_come_with_their_departments_in_order_of_time(
    take: Callable[..., Report], signed_in: SignedIn
) -> None:
    take()
    client = signed_in(TokenScope.ADMIN)
    (employee,) = client.get("/employees", params={"q": "苏"}).json()["items"]
    starts = [each["start_at"] for each in employee["departments"]]
    assert starts == ["2024-12-31T16:00:00Z", "2025-05-31T16:00:00Z"]


def test_pages_follow_each_other_without_gap_or_double(
    take: Callable[..., Report], signed_in: SignedIn
) -> None:
    take(
        clients=[{"external_id": f"wm{n}", "name": f"样例{n}"} for n in range(7)],
        assignments=[],
        groups=[],
    )
    client = signed_in(TokenScope.ADMIN)
    seen: list[str] = []
    query: dict[str, str | int] = {"limit": 2}
    while query.get("cursor", "") is not None:
        page = client.get("/clients", params=query).json()
        seen += [item["external_id"] for item in page["items"]]
        query["cursor"] = page["next"]
    assert seen == [f"wm{n}" for n in range(7)]


def test_a_cursor_of_another_list_is_refused(
    take: Callable[..., Report], signed_in: SignedIn
) -> None:
    take()
    client = signed_in(TokenScope.ADMIN)
    cursor = client.get("/clients", params={"limit": 1}).json()["next"]
    answer = client.get("/employees", params={"cursor": cursor})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_cursor")


@pytest.mark.parametrize("words", ["%", "_", "\\", "'"])
def test_words_are_looked_for_as_they_are(
    take: Callable[..., Report], signed_in: SignedIn, words: str
) -> None:
    take(
        clients=[
            {"external_id": "wm1", "name": f"a{words}b"},
            {"external_id": "wm2", "name": "ab"},
        ],
        assignments=[],
        groups=[],
    )
    found = column(signed_in(TokenScope.ADMIN), "/clients", "external_id", q=words)
    assert found == ["wm1"]


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/clients", {"q": "\0"}),
        ("/clients", {"limit": 0}),
        ("/clients/0", {}),
        (f"/clients/{2**63}", {}),
        ("/clients/x", {}),
    ],
)
def test_input_that_no_query_can_take_is_a_problem_document(
    signed_in: SignedIn, path: str, query: dict[str, Any]
) -> None:
    answer = signed_in(TokenScope.ADMIN).get(path, params=query)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_fields")


def test_a_document_comes_in_over_http(company: dict[str, Any], signed_in: SignedIn) -> None:
    client = signed_in(TokenScope.ADMIN)
    answer = client.post("/people/import", content=json.dumps(company))
    assert answer.status_code == 200
    assert answer.json()["problems"] == []
    assert answer.json()["applied"]["employees"] == 3


def test_a_file_comes_in_over_http_and_names_its_bad_lines(signed_in: SignedIn) -> None:
    client = signed_in(TokenScope.ADMIN)
    answer = client.post(
        "/people/import",
        params={"kind": "clients", "corp": "ww1", "dry_run": True},
        content="客户账号,姓名\nwm1,甲\nwm2,\n".encode(),
    )
    report = answer.json()
    assert report["dry_run"] is True
    assert report["applied"]["clients"] == 1
    assert [problem["place"] for problem in report["problems"]] == ["第 3 行"]
    assert column(client, "/clients", "external_id") == []


def test_a_file_without_a_corp_and_a_body_that_is_none_are_refused(signed_in: SignedIn) -> None:
    client = signed_in(TokenScope.ADMIN)
    answer = client.post("/people/import", params={"kind": "clients"}, content=b"x")
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_input")
    answer = client.post("/people/import", content=b"\xff")
    assert (answer.status_code, answer.json()["code"]) == (400, "unreadable_import")


def test_who_may_not_manage_people_imports_nothing(signed_in: SignedIn) -> None:
    client = signed_in(Role.OFFICER)
    answer = client.post("/people/import", content=b"{}")
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
