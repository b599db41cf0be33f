"""Coming in over HTTP: cookies, bearers, other sites, and every route of access."""

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Any

import pytest
import structlog
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.testclient import TestClient

from app.access import OPERATOR, Access, Action, Caller, Event, Role, TokenScope, verify
from app.access.api import Gate, routes
from app.access.audit import Filter, page
from app.access.domain import SESSION_COOKIE
from app.access.throttle import LOGIN_LIMIT
from app.foundation import http
from app.foundation.database import Database
from app.foundation.errors import Unavailable
from app.foundation.settings import Settings

PASSWORD = "a-long-enough-one"  # noqa: S105  (sample data)
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
Enter = Callable[..., TestClient]


@pytest.fixture
def app(access: Access) -> FastAPI:
    application, gate = FastAPI(), Gate(access)
    http.install(application)
    application.include_router(routes(access, gate))
    application.include_router(_probes(gate))
    return application


def _probes(gate: Gate) -> APIRouter:
    router = APIRouter()

    @router.api_route("/probe", methods=_METHODS, include_in_schema=False)
    def search(caller: Annotated[Caller, gate.needs(Action.SEARCH)]) -> dict[str, Any]:
        departments = caller.scope.departments
        return {
            "id": caller.id,
            "departments": None if departments is None else sorted(departments),
            "request_id": caller.request_id,
            "actor": structlog.contextvars.get_contextvars().get("actor"),
        }

    @router.post("/open", dependencies=[gate.open()])
    def open_to_all() -> None:
        return None

    return router


@pytest.fixture
def enter(app: FastAPI, access: Access) -> Enter:
    """A client signed in with roles."""

    def run(*roles: tuple[Role, int | None], login: str = "somebody") -> TestClient:
        access.create_user(OPERATOR, login=login, name="样例", password=PASSWORD, roles=roles)
        client = TestClient(app, base_url="https://testserver")
        answer = client.post("/session", json={"login": login, "password": PASSWORD})
        assert answer.status_code == 204, answer.text
        return client

    return run


def bearer(app: FastAPI, access: Access, *scopes: TokenScope) -> TestClient:
    token = access.create_token("样例", scopes, OPERATOR)
    return TestClient(app, headers={"authorization": f"Bearer {token}"})


def leaves(routes: Iterable[Any]) -> Iterator[APIRoute]:
    """Every route of ours, through the routers included on the way."""
    for route in routes:
        if isinstance(route, APIRoute):
            yield route
        elif hasattr(route, "original_router"):
            yield from leaves(route.original_router.routes)


def dependencies_of(route: APIRoute) -> list[Any]:
    return [each.call for each in route.dependant.dependencies if hasattr(each.call, "is_open")]


def test_every_route_of_access_declares_its_permission_or_is_open(app: FastAPI) -> None:
    walked = {}
    for route in leaves(app.routes):
        (gate,) = dependencies_of(route)
        for method in route.methods or ():
            walked[f"{method} {route.path}"] = "open" if gate.is_open else gate.action
    assert {words: action for words, action in walked.items() if "probe" not in words} == {
        "POST /open": "open",
        "POST /session": "open",
        "DELETE /session": "open",
        "GET /session": None,
        "PUT /session/password": None,
        "GET /users": Action.MANAGE_USERS,
        "POST /users": Action.MANAGE_USERS,
        "PATCH /users/{user_id}": Action.MANAGE_USERS,
        "POST /users/{user_id}/roles": Action.MANAGE_USERS,
        "DELETE /users/{user_id}/roles/{grant_id}": Action.MANAGE_USERS,
        "GET /tokens": Action.MANAGE_TOKENS,
        "POST /tokens": Action.MANAGE_TOKENS,
        "DELETE /tokens/{token_id}": Action.MANAGE_TOKENS,
        "GET /audit": Action.SEE_AUDIT,
        "GET /audit/verify": Action.SEE_AUDIT,
    }


# the gate


def test_without_a_session_or_a_token_nobody_comes_in(app: FastAPI) -> None:
    answer = TestClient(app).get("/probe")
    assert (answer.status_code, answer.json()["code"]) == (401, "not_signed_in")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer lh_wrong"},
        {"authorization": "Bearer "},
        {"authorization": "Basic YTpi"},
        {"authorization": "Bearer \xff"},
        {"cookie": f"{SESSION_COOKIE}=wrong"},
        {"cookie": f"{SESSION_COOKIE}="},
    ],
)
def test_what_is_neither_session_nor_token_is_nobody(app: FastAPI, headers: dict[str, str]) -> None:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    answer = TestClient(app).get("/probe", headers=raw)
    assert (answer.status_code, answer.json()["code"]) == (401, "not_signed_in")


def test_the_caller_is_named_to_the_route_and_to_the_log(app: FastAPI, access: Access) -> None:
    client = bearer(app, access, TokenScope.SEARCH)
    answer = client.get("/probe", headers={"x-request-id": "req-7"}).json()
    assert answer["id"] == answer["actor"] == access.tokens()[0].id
    assert answer["request_id"] == "req-7"
    assert answer["departments"] is None


def test_the_scheme_of_a_bearer_is_told_in_any_case(app: FastAPI, access: Access) -> None:
    token = access.create_token("样例", [TokenScope.SEARCH], OPERATOR)
    answer = TestClient(app).get("/probe", headers={"authorization": f"bearer {token}"})
    assert answer.status_code == 200


def test_a_right_is_given_in_its_department(enter: Enter) -> None:
    client = enter((Role.ADMINISTRATOR, None), (Role.OFFICER, 3), (Role.SUPERVISOR, 5))
    assert client.get("/probe").json()["departments"] == [3, 5]


def test_what_is_not_permitted_is_refused_and_told_in_the_trail(
    db: Database, app: FastAPI, access: Access
) -> None:
    answer = bearer(app, access, TokenScope.INGEST).get("/probe")
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    with db.read() as connection:
        (link,) = page(connection, Filter(event=Event.REFUSED), before=None, limit=5)
    assert link.entry.actor_id == access.tokens()[0].id
    assert json.loads(link.entry.details) == {"action": "search"}


OWN = {"sec-fetch-site": "same-origin"}
CROSS: list[dict[str, str]] = [
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "cross-site", "origin": "http://testserver"},
    {"origin": "https://elsewhere.example"},
    {"origin": "http://testserver.elsewhere.example"},
    {"origin": "http://testserver:8080"},
    {"origin": "null"},
    {"origin": ""},
    {"origin": "http://[broken"},
]
SAME: list[dict[str, str]] = [
    OWN,
    {"sec-fetch-site": "none"},
    {"origin": "http://testserver"},
    {"origin": "HTTP://TestServer"},
    {"origin": "https://liuhen.example"},
    {},
]


@pytest.fixture
def settings() -> Settings:
    return Settings(_env_file=None, public_url="https://Liuhen.example/")


def test_a_cookie_from_another_site_changes_nothing(enter: Enter) -> None:
    client = enter((Role.OFFICER, None))
    for headers in CROSS:
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            answer = client.request(method, "/probe", headers=headers)
            assert answer.status_code == 403, headers
            assert answer.json()["code"] == "cross_site"
        assert client.get("/probe", headers=headers).status_code == 200, headers


def test_a_cookie_from_our_own_pages_works(enter: Enter) -> None:
    client = enter((Role.OFFICER, None))
    for headers in SAME:
        assert client.post("/probe", headers=headers).status_code == 200, headers


def test_a_bearer_is_no_cookie_and_comes_from_anywhere(app: FastAPI, access: Access) -> None:
    client = bearer(app, access, TokenScope.SEARCH)
    assert client.post("/probe", headers={"sec-fetch-site": "cross-site"}).status_code == 200


def test_open_routes_refuse_other_sites_too(app: FastAPI) -> None:
    client = TestClient(app)
    assert client.post("/open").status_code == 200
    answer = client.post("/open", headers={"sec-fetch-site": "cross-site"})
    assert answer.json()["code"] == "cross_site"


def test_clients_can_be_generated_with_both_ways_in(app: FastAPI) -> None:
    description = app.openapi()
    kinds = {each["type"] for each in description["components"]["securitySchemes"].values()}
    assert kinds == {"http", "apiKey"}
    assert description["paths"]["/users"]["get"]["security"]
    assert "security" not in description["paths"]["/open"]["post"]


# sessions


@pytest.mark.parametrize(
    ("public_url", "is_secure"),
    [("https://liuhen.example", True), ("http://liuhen.example", False), ("", False)],
)
def test_the_cookie_is_kept_from_scripts_and_other_sites(
    app: FastAPI,
    access: Access,
    public_url: str,
    is_secure: bool,  # noqa: FBT001
) -> None:
    access.settings.public_url = public_url
    access.create_user(OPERATOR, login="somebody", name="样例", password=PASSWORD)
    answer = TestClient(app).post("/session", json={"login": "somebody", "password": PASSWORD})
    cookie, *attributes = answer.headers["set-cookie"].split("; ")
    assert cookie.startswith(f"{SESSION_COOKIE}=")
    assert {each.lower() for each in attributes} == {
        "httponly",
        "samesite=strict",
        "path=/",
        f"max-age={access.settings.session_hours * 3600}",
    } | ({"secure"} if is_secure else set())


def test_who_is_signed_in_is_told_with_roles_and_actions(enter: Enter) -> None:
    answer = enter((Role.AUDITOR, None), (Role.SUPERVISOR, 4)).get("/session").json()
    assert (answer["kind"], answer["login"], answer["name"]) == ("user", "somebody", "样例")
    assert [(role["role"], role["department_id"]) for role in answer["roles"]] == [
        ("auditor", None),
        ("supervisor", 4),
    ]
    assert {"see_audit", "search"} <= set(answer["actions"])
    assert "ingest" not in answer["actions"]


def test_a_token_is_told_who_it_is_too(app: FastAPI, access: Access) -> None:
    answer = bearer(app, access, TokenScope.INGEST).get("/session").json()
    assert (answer["kind"], answer["login"], answer["actions"]) == ("token", None, ["ingest"])


def test_a_wrong_password_and_too_many_of_them_are_told_apart(app: FastAPI) -> None:
    client = TestClient(app)
    body = {"login": "nobody", "password": "wrong-password"}
    for _ in range(LOGIN_LIMIT):
        answer = client.post("/session", json=body)
        assert (answer.status_code, answer.json()["code"]) == (401, "wrong_credentials")
        assert "set-cookie" not in answer.headers
    answer = client.post("/session", json=body)
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_sign_ins")
    assert 0 < int(answer.headers["retry-after"]) <= 900


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"{}", b'{"login": 1, "password": "x"}', b'{"login": "\\ud800"}']
)
def test_a_sign_in_that_cannot_be_read_is_a_problem_document(app: FastAPI, body: bytes) -> None:
    answer = TestClient(app).post(
        "/session", content=body, headers={"content-type": "application/json"}
    )
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"


def test_signing_out_ends_the_session_and_takes_the_cookie_back(enter: Enter) -> None:
    client = enter((Role.OFFICER, None))
    token = client.cookies[SESSION_COOKIE]
    assert client.delete("/session").status_code == 204
    assert SESSION_COOKIE not in client.cookies
    answer = client.get("/probe", headers={"cookie": f"{SESSION_COOKIE}={token}"})
    assert answer.status_code == 401
    assert client.delete("/session").status_code == 204


def test_somebody_sets_her_own_password(enter: Enter) -> None:
    client = enter()
    body = {"current": PASSWORD, "password": "another-long-one"}
    assert client.put("/session/password", json={**body, "current": "x"}).status_code == 401
    assert client.put("/session/password", json={**body, "password": "x"}).status_code == 422
    assert client.put("/session/password", json=body).status_code == 204
    assert client.get("/session").status_code == 401
    again = {"login": "somebody", "password": "another-long-one"}
    assert client.post("/session", json=again).status_code == 204


# users and tokens


def test_a_user_is_made_changed_and_kept_out(enter: Enter, app: FastAPI) -> None:
    client = enter((Role.ADMINISTRATOR, None))
    body = {
        "login": "New.One",
        "name": " 样例新人 ",
        "password": PASSWORD,
        "roles": [{"role": "officer", "department_id": 3}],
    }
    created = client.post("/users", json=body)
    assert created.status_code == 201
    path = f"/users/{created.json()['id']}"
    changed = client.patch(path, json={"name": "样例改名", "employee_id": 9, "disabled": True})
    user = changed.json()
    assert (user["login"], user["name"], user["employee_id"]) == ("new.one", "样例改名", 9)
    assert user["disabled_at"] is not None
    assert [role["department_id"] for role in user["roles"]] == [3]
    body = {"login": "new.one", "password": PASSWORD}
    assert TestClient(app).post("/session", json=body).status_code == 401
    again = client.patch(path, json={"disabled": False, "employee_id": None}).json()
    assert (again["disabled_at"], again["employee_id"], again["name"]) == (None, None, "样例改名")
    assert TestClient(app).post("/session", json=body).status_code == 204


def test_roles_are_granted_and_revoked(enter: Enter, access: Access) -> None:
    client = enter((Role.ADMINISTRATOR, None))
    user = access.create_user(OPERATOR, login="other", name="样例", password=PASSWORD)
    granted = client.post(f"/users/{user}/roles", json={"role": "inspector"})
    assert granted.status_code == 201
    again = client.post(f"/users/{user}/roles", json={"role": "inspector"})
    assert (again.status_code, again.json()["code"]) == (409, "role_held")
    path = f"/users/{user}/roles/{granted.json()['id']}"
    assert client.delete(path).status_code == 204
    assert client.delete(path).json()["code"] == "not_found"
    assert access.user(user).roles == ()


def test_an_administrator_gives_herself_nothing(enter: Enter) -> None:
    client = enter((Role.ADMINISTRATOR, None))
    me = client.get("/session").json()["id"]
    answer = client.post(f"/users/{me}/roles", json={"role": "officer"})
    assert (answer.status_code, answer.json()["code"]) == (403, "own_rights")
    answer = client.post("/tokens", json={"name": "样例", "scopes": ["search"]})
    assert (answer.status_code, answer.json()["code"]) == (403, "beyond_own_rights")


def test_users_come_in_pages(enter: Enter, access: Access) -> None:
    client = enter((Role.ADMINISTRATOR, None))
    for number in range(4):
        access.create_user(OPERATOR, login=f"user{number}", name="样例", password=PASSWORD)
    seen: list[str] = []
    query: dict[str, str | int] = {"limit": 2}
    while query.get("cursor", "") is not None:
        answer = client.get("/users", params=query).json()
        seen += [user["login"] for user in answer["items"]]
        query["cursor"] = answer["next"]
    assert seen == ["somebody", "user0", "user1", "user2", "user3"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("login", "a b"),
        ("login", "x" * 65),
        ("login", "a\0b"),
        ("name", " "),
        ("name", "a\0"),
        ("employee_id", 2**63),
        ("employee_id", 0),
        ("roles", [{"role": "king"}]),
        ("roles", [{"role": "officer", "department_id": -1}]),
    ],
)
def test_a_field_of_a_user_that_cannot_be_kept_is_named(
    enter: Enter, field: str, value: object
) -> None:
    client = enter((Role.ADMINISTRATOR, None))
    body = {"login": "other", "name": "样例", "password": PASSWORD, field: value}
    answer = client.post("/users", json=body)
    assert answer.status_code == 422
    assert answer.json()["fields"][0]["field"].startswith(f"body.{field}")


@pytest.mark.parametrize("path", ["/users/usr_none", "/users/1", "/users/usr_%00"])
def test_a_user_who_is_not_there_is_not_changed(enter: Enter, path: str) -> None:
    answer = enter((Role.ADMINISTRATOR, None)).patch(path, json={"name": "样例"})
    assert answer.status_code in (404, 422)


def test_a_token_is_shown_once_and_stopped(enter: Enter, app: FastAPI) -> None:
    client = enter((Role.ADMINISTRATOR, None))
    made = client.post("/tokens", json={"name": "样例", "scopes": ["ingest"]})
    assert made.status_code == 201
    headers = {"authorization": f"Bearer {made.json()['token']}"}
    assert TestClient(app).get("/session", headers=headers).status_code == 200
    listed = client.get("/tokens")
    assert made.json()["token"] not in listed.text
    assert listed.json()["items"][0]["scopes"] == ["ingest"]
    assert client.delete(f"/tokens/{made.json()['id']}").status_code == 204
    assert TestClient(app).get("/session", headers=headers).status_code == 401


# the trail


def test_the_trail_is_read_in_pages_by_what_is_asked(enter: Enter) -> None:
    client = enter((Role.AUDITOR, None))
    for _ in range(3):
        client.get("/audit", params={"subject": "nothing"})
    first = client.get("/audit", params={"event": "access:audit:read", "limit": 2}).json()
    assert [entry["seq"] for entry in first["items"]] == sorted(
        (entry["seq"] for entry in first["items"]), reverse=True
    )
    query = {"event": "access:audit:read", "limit": 2, "cursor": first["next"]}
    second = client.get("/audit", params=query).json()
    assert len(second["items"]) == 2
    assert second["next"] is None
    assert second["items"][-1]["details"] == {"before": None, "subject": "nothing"}
    elsewhere = client.get("/audit", params={"limit": 2, "cursor": first["next"]})
    assert elsewhere.json()["code"] == "bad_cursor"


def test_the_trail_is_found_by_time_and_actor(enter: Enter) -> None:
    client = enter((Role.AUDITOR, None))
    me = client.get("/session").json()["id"]
    mine = client.get("/audit", params={"actor": me}).json()["items"]
    assert {entry["event"] for entry in mine} == {"access:login:ok", "access:audit:read"}
    early = client.get("/audit", params={"until": "2020-01-01T00:00:00+08:00"}).json()
    assert early["items"] == []
    naive = client.get("/audit", params={"since": "2020-01-01T00:00:00"})
    assert naive.status_code == 422
    unknown = client.get("/audit", params={"event": "access:made:up"})
    assert unknown.status_code == 422


def test_the_trail_proves_itself_and_a_noted_end(enter: Enter, db: Database) -> None:
    client = enter((Role.AUDITOR, None))
    proof = client.get("/audit/verify").json()
    assert proof["intact"] is True
    noted = {"seq": proof["seq"], "hash": proof["hash"]}
    assert client.get("/audit/verify", params=noted).json()["intact"] is True
    other = client.get("/audit/verify", params={**noted, "hash": "0" * 64}).json()
    assert other["intact"] is False
    assert other["differences"] == [{"seq": proof["seq"], "kind": "head"}]
    half = client.get("/audit/verify", params={"seq": 1})
    assert (half.status_code, half.json()["code"]) == (400, "bad_input")
    with db.read() as connection:
        assert verify(connection) == []


def test_nobody_but_the_auditor_reads_the_trail(enter: Enter) -> None:
    roles = [(role, None) for role in Role if role is not Role.AUDITOR]
    client = enter(*roles)
    for path in ("/audit", "/audit/verify"):
        assert client.get(path).status_code == 403


def test_no_audit_no_answer(enter: Enter, access: Access, monkeypatch: pytest.MonkeyPatch) -> None:
    client = enter((Role.AUDITOR, None))

    def full() -> None:
        raise Unavailable

    monkeypatch.setattr(access.db, "write", full)
    answer = client.get("/audit")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert "items" not in answer.json()
