"""The HTTP contract over every route that exists: shapes of answers, permissions, one shape for every refusal.

In-process, on SQLite and on PostgreSQL. Routes are walked as the application has them, so a new one is held to the
same rules without being named here.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import cache
from itertools import count
from typing import Any, NamedTuple

import psycopg
import pytest
from fastapi import FastAPI
from fastapi.openapi.models import OpenAPI
from fastapi.routing import APIRoute, iter_route_contexts
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.access import OPERATOR, Role, TokenScope
from app.archive.append import Door
from app.bootstrap import Services, open_services
from app.foundation import logs, paging
from app.foundation.database import Database
from app.foundation.errors import Unavailable
from app.foundation.settings import Settings
from app.main import create_app
from app.oversight.lead_store import LeadsWanted
from app.oversight.store import Wanted
from tests.journeys.office import BREACH, PASSWORD, Said

API = "/api/v1"
PROBLEM = "application/problem+json"
NDJSON = {"content-type": "application/x-ndjson"}
LARGEST = 200_000  # bytes of a push here
MEMBERS = {"type", "title", "status", "code", "detail", "request_id"}
WITHOUT_GATE = {f"{API}/openapi.json"}  # describes the routes, shows nothing of the archive
GREETING = Said("s1", "yuan", "wmA", "早上好")
_numbers = count(1)


class Route(NamedTuple):
    """One method of one route; `action` is what it needs, None for everybody who is signed in."""

    method: str
    path: str
    action: str | None
    is_open: bool

    def place(self, value: str) -> str:
        """The path with every parameter filled by one value."""
        return re.sub(r"\{[^}]+\}", value, self.path)


class Running(NamedTuple):
    """The application with a browser signed in to every role, a program that may push, and nobody."""

    services: Services
    app: FastAPI
    everybody: TestClient
    program: TestClient
    nobody: TestClient

    def caller(self, route: Route) -> TestClient:
        """Who may use a route."""
        return self.program if route.action == "ingest" else self.everybody


def routes_of(app: FastAPI) -> list[Route]:
    """Every method of every route; fails for one that declares no permission, or two."""
    found = []
    for context in iter_route_contexts(app.routes):
        path = (context.path or "").replace(":path}", "}")  # as the description names it
        if not isinstance(context.original_route, APIRoute):
            assert path in WITHOUT_GATE
            continue
        calls = [each.call for each in context.dependant.dependencies]
        [gate] = [call for call in calls if hasattr(call, "is_open")]
        found += [Route(each, path, gate.action, gate.is_open) for each in context.methods or ()]
    return sorted(found, key=lambda each: each[:2])


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "kind" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--database")
        metafunc.parametrize("kind", ["sqlite", "postgresql"] if chosen == "both" else [chosen])


@pytest.fixture(scope="module")
def applications(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Running]]:
    with ExitStack() as stack:

        @cache
        def opened(kind: str) -> Running:
            given: dict[str, Any] = {"data": tmp_path_factory.mktemp("contract") / "data"}
            if kind == "postgresql":
                given["database_url"] = _empty_database(request.getfixturevalue("postgres"))
            logs.configure("error", "json")
            chosen = Settings(ingest_max_bytes=LARGEST, **given)
            services = stack.enter_context(open_services(chosen, migrate=True))
            return _running(services, stack)

        yield opened


@pytest.fixture
def running(kind: str, applications: Callable[[str], Running]) -> Running:
    return applications(kind)


@pytest.fixture
def program(running: Running) -> TestClient:
    return running.program


def _running(services: Services, stack: ExitStack) -> Running:
    app = create_app(services)
    services.access.create_user(
        OPERATOR,
        login="everybody",
        name="样例",
        password=PASSWORD,
        roles=[(role, None) for role in Role],
    )
    token = services.access.create_token("样例", list(TokenScope), OPERATOR)
    everybody, program, nobody = (
        stack.enter_context(TestClient(app, raise_server_exceptions=False)) for _ in range(3)
    )
    program.headers["authorization"] = f"Bearer {token}"
    credentials = {"login": "everybody", "password": PASSWORD}
    assert everybody.post(f"{API}/session", json=credentials).status_code == 204
    return Running(services, app, everybody, program, nobody)


def _empty_database(server: str) -> str:
    name = f"contract_{next(_numbers)}"
    with psycopg.connect(server.format(name="postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return server.format(name=name)


def assert_documented(answer: Any) -> None:
    """An answer is a success or a problem document with its members, never a fault of ours."""
    assert answer.status_code < 500, (answer.request.method, str(answer.url), answer.text)
    assert answer.headers["x-request-id"]
    if answer.status_code >= 400:
        assert_problem(answer, answer.status_code)


def assert_all_documented(answers: Iterable[Any]) -> None:
    """Like `assert_documented` for many answers, telling every fault at once."""
    seen = list(answers)
    faults = [(each.request.method, str(each.url)) for each in seen if each.status_code >= 500]
    assert faults == []
    for each in seen:
        assert_documented(each)


def assert_problem(answer: Any, status: int, code: str | None = None) -> None:
    """The answer is RFC 9457 with this status, and this code if given."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == PROBLEM
    document = answer.json()
    assert set(document) >= MEMBERS
    assert document["status"] == status
    assert document["type"] == f"urn:liuhen:error:{document['code']}"
    assert re.search("[一-鿿]", document["title"])
    assert document["request_id"] == answer.headers["x-request-id"]
    if code is not None:
        assert document["code"] == code


# permissions and refusals


def test_every_route_declares_exactly_one_permission(running: Running) -> None:
    routes = routes_of(running.app)
    assert len(routes) >= 35
    is_open = {f"{each.method} {each.path}" for each in routes if each.is_open}
    assert is_open == {
        "GET /",
        "GET /healthz",
        "GET /readyz",
        "GET /metrics",
        f"POST {API}/session",
        f"DELETE {API}/session",
    }


def test_nobody_gets_past_a_route_that_is_not_open(running: Running) -> None:
    for route in routes_of(running.app):
        if not route.is_open:
            for value in ("1", "usr_1", "claim"):
                answer = running.nobody.request(route.method, route.place(value), json={})
                assert_problem(answer, 401, "not_signed_in")
                assert answer.headers["www-authenticate"] == "Bearer"


def test_a_wrong_token_is_as_good_as_none(running: Running) -> None:
    wrong = {"authorization": "Bearer lh_nothing"}
    for route in routes_of(running.app):
        if not route.is_open:
            answer = running.nobody.request(route.method, route.place("1"), headers=wrong)
            assert_problem(answer, 401)


def test_a_token_without_the_scope_is_refused(running: Running) -> None:
    token = running.services.access.create_token("无权限", [TokenScope.CHECK], OPERATOR)
    header = {"authorization": f"Bearer {token}"}
    for route in routes_of(running.app):
        if route.action not in (None, "check"):
            answer = running.nobody.request(route.method, route.place("1"), headers=header)
            assert_problem(answer, 403, "forbidden")


def test_a_wrong_method_is_refused_in_the_same_shape(running: Running) -> None:
    routes = routes_of(running.app)
    for path in {each.path for each in routes}:
        used = {each.method for each in routes if each.path == path}
        for method in {"PUT", "PATCH", "DELETE"} - used:
            place = re.sub(r"\{[^}]+\}", "1", path)
            assert_documented(running.everybody.request(method, place))


def test_an_unknown_address_is_not_found(running: Running) -> None:
    for place in ("/nothing", f"{API}/nothing", f"{API}/messages/1/2/3", "/%ff"):
        assert_problem(running.everybody.get(place), 404, "not_found")


def test_a_nul_in_an_address_is_refused(running: Running) -> None:
    for place in ("/%00", f"{API}/alerts/alt_%00", f"{API}/messages?department=a%00"):
        assert_problem(running.everybody.get(place), 400, "nul_in_address")


JUNK_IDS = (
    *("0", "-1", "%00", "%ED%A0%80", "9" * 18, "9" * 40, "a" * 5_000, "1%2F2", "💥"),
    *("msg_1_99999999999", "msg_9999999999999_1", "msg_1_1%00", "usr_%00"),
)


@pytest.mark.parametrize("junk", JUNK_IDS, ids=range(len(JUNK_IDS)))
def test_a_junk_id_is_refused_in_the_documented_shape(running: Running, junk: str) -> None:
    answers = [
        running.caller(route).request(route.method, route.place(junk), json={})
        for route in routes_of(running.app)
        if "{" in route.path
    ]
    assert_all_documented(answers)
    assert min(answer.status_code for answer in answers) >= 400


JUNK_VALUES = (
    *("", "\0", "a\0b", "-1", "9" * 18, "9" * 30, "NaN", "x" * 5_000, "💥", '"', "((((", "NOT"),
    *("2026-13-45", "2026-01-01T00:00:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59"),
)


@pytest.mark.parametrize("junk", JUNK_VALUES, ids=range(len(JUNK_VALUES)))
def test_a_junk_parameter_never_breaks_a_route(running: Running, junk: str) -> None:
    assert_all_documented(
        running.everybody.get(path, params={name: junk}) for path, name in parameters(running.app)
    )


def test_a_lone_surrogate_in_a_parameter_never_breaks_a_route(running: Running) -> None:
    assert_all_documented(
        running.everybody.get(f"{path}?{name}=%ED%A0%80") for path, name in parameters(running.app)
    )


def parameters(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Every query parameter of every list: the path and the parameter's name."""
    for path, methods in app.openapi()["paths"].items():
        for parameter in methods.get("get", {}).get("parameters", ()):
            if parameter["in"] == "query" and "{" not in path:
                yield path, parameter["name"]


BODIES = (
    *(b"", b"{", b"[]", b"null", b"1", b"\xff\xfe\x00", b"\0", b"[" * 20_000, b"1e999", b"NaN"),
    *(b'{"messages":1}', b'{"messages":[1,null,[],"x"]}', b'{"note":"\\u0000"}'),
    *(b'{"login":"\\u0000","password":"\\ud800"}', b'{"name":"\\u0000","scopes":["ingest"]}'),
    *(
        b'{"corp":{"code":"\\u0000"}}',
        b'{"corp":{"code":"x"},"employees":[1,{"userid":"\\ud800"}]}',
    ),
)
TYPES = ("application/json", "application/x-ndjson", "")


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_a_junk_body_is_answered_in_the_documented_shape(running: Running, body: bytes) -> None:
    assert_all_documented(
        running.caller(route).request(
            route.method,
            route.place("1"),
            content=body,
            headers={"content-type": kind},
            params={"corp": "ww0001"},
        )
        for route in routes_of(running.app)
        if route.method in {"POST", "PUT", "PATCH"}
        for kind in TYPES
    )


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None), max_size=20)
    | st.sampled_from(["officer", "ingest", "confirmed", "2026-01-01T00:00:00Z", "ww0001"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
FIELDS = (
    *("login", "password", "name", "roles", "role", "department_id", "employee_id", "scopes"),
    *("current", "note", "disposition", "disabled", "corp", "departments", "employees", "clients"),
    *("groups", "assignments", "messages"),
)
OBJECTS = st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=5) | JSON
CHANGES = st.dictionaries(
    st.sampled_from(
        [
            *GREETING.envelope(),
            "content",
            "recalls",
            "raw",
            "source_seq",
            "msgid",
            "msgtime",
            "text",
        ]
    ),
    JSON,
    max_size=3,
)
QUIET = settings(
    deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@QUIET
@given(body=OBJECTS)
def test_no_json_breaks_a_route(running: Running, body: Any) -> None:
    content = json.dumps(body)
    for route in routes_of(running.app):
        if route.method in {"POST", "PUT", "PATCH"} and route.path != f"{API}/session":
            answer = running.caller(route).request(
                route.method,
                route.place("claim"),
                content=content,
                headers={"content-type": "application/json"},
                params={"corp": "ww0001"},
            )
            assert_documented(answer)


@QUIET
@given(changes=st.lists(CHANGES, min_size=1, max_size=4))
def test_every_message_gets_its_result_whatever_it_is(
    running: Running, changes: list[dict[str, Any]]
) -> None:
    lines = [
        json.dumps({**GREETING._replace(id=f"p{next(_numbers)}").envelope(), **change})
        for change in changes
    ]
    for place in (f"{API}/messages", f"{API}/wecom/messages?corp=ww0001"):
        answer = running.program.post(place, content="\n".join(lines), headers=NDJSON)
        assert answer.status_code == 200, answer.text
        assert_outcome(answer.json(), len(lines))


LISTS = {  # where a list goes on, and what its cursors are made for when nothing else is asked
    "alerts": Wanted(),
    "leads": LeadsWanted(),
    "users": "users",
    "audit": {},
    "departments": ["DepartmentOut", None, None],
    "employees": ["EmployeeOut", None, None],
    "clients": ["ClientOut", None, None],
    "groups": ["GroupOut", None, None],
}


@pytest.mark.parametrize("place", LISTS)
@QUIET
@given(position=JSON)
def test_no_forged_cursor_breaks_a_list(running: Running, place: str, position: Any) -> None:
    for of in (LISTS[place], None):
        cursor = paging.encode(position, of=of)
        answer = running.everybody.get(f"{API}/{place}", params={"cursor": cursor})
        assert_documented(answer)
        if of is None:
            assert_problem(answer, 400, "bad_cursor")


@pytest.mark.parametrize("note", ["\0", "\ud800", "💥", "x" * 4_000])
def test_any_note_is_kept_or_refused(running: Running, note: str) -> None:
    envelope = GREETING._replace(id=f"n{next(_numbers)}", text=BREACH).envelope()
    running.program.post(f"{API}/messages", json={"messages": [envelope]})
    _catch_up(running.services)
    alert = running.everybody.get(f"{API}/alerts").json()["items"][0]["id"]
    answer = running.everybody.post(
        f"{API}/alerts/{alert}/comment",
        content=json.dumps({"note": note}),
        headers={"content-type": "application/json"},
    )
    assert_documented(answer)
    assert answer.status_code == 200 or "\0" in note or "\ud800" in note


# pushing in


def assert_outcome(body: dict[str, Any], messages: int) -> None:
    """The documented answer of a push."""
    assert set(body) == {"results", "accepted", "duplicate", "quarantined", "rejected"}
    assert len(body["results"]) == messages
    assert sum(value for name, value in body.items() if name != "results") == messages
    for result in body["results"]:
        assert set(result) >= {"source_msg_id", "status", "seq", "digest", "error"}
        is_kept = result["status"] in {"accepted", "duplicate"}
        assert is_kept == (type(result["seq"]) is int) == (result["error"] is None)
        assert not is_kept or re.fullmatch("[0-9a-f]{64}", result["digest"])


def test_results_come_in_the_order_sent_and_no_message_spoils_another(program: TestClient) -> None:
    good = [GREETING._replace(id=f"o{next(_numbers)}").envelope() for _ in range(4)]
    lines = [
        json.dumps(good[0]),
        "{broken",
        json.dumps(good[1]),
        json.dumps({**good[1], "source_msg_id": "late", "sent_at": "2026-01-01T00:00:00"}),
        json.dumps(good[2]),
        '{"a":' * 20_000,
        json.dumps(good[0]),
        json.dumps({**good[1], "text": "别的话"}),
        json.dumps(good[3]),
    ]
    body = program.post(f"{API}/messages", content="\n".join(lines), headers=NDJSON).json()
    assert_outcome(body, len(lines))
    seen = [(each["source_msg_id"], each["status"], each["error"]) for each in body["results"]]
    ids = [each["source_msg_id"] for each in good]
    assert seen == [
        (ids[0], "accepted", None),
        (None, "quarantined", "not_json"),
        (ids[1], "accepted", None),
        ("late", "quarantined", "sent_at_without_offset"),
        (ids[2], "accepted", None),
        (None, "quarantined", "too_deep"),
        (ids[0], "duplicate", None),
        (ids[1], "quarantined", "conflict"),
        (ids[3], "accepted", None),
    ]
    assert body["results"][6]["seq"] == body["results"][0]["seq"]


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("sent_at", "2026-01-01T00:00:00", "sent_at_without_offset"),
        ("sent_at", "2026-02-30T00:00:00Z", "sent_at_invalid"),
        ("sent_at", "1999-12-31T23:59:59Z", "sent_at_out_of_range"),
        ("sent_at", 1767225600, "sent_at_invalid"),
        ("source_msg_id", "x" * 257, "source_msg_id_too_long"),
        ("source_msg_id", "", "source_msg_id_missing"),
        ("source_seq", 2**63, "source_seq_out_of_range"),
        ("source_seq", 10**400, "source_seq_out_of_range"),
        ("text", "长" * 400_000, "text_too_long"),
        ("action", "shout", "action_invalid"),
        ("conversation", {"kind": "group", "id": None}, "conversation_id_missing"),
        ("raw", "not base64!", "raw_not_base64"),
    ],
)
def test_a_field_that_is_wrong_is_named(
    running: Running, field: str, value: Any, code: str
) -> None:
    envelope = {**GREETING._replace(id=f"w{next(_numbers)}").envelope(), field: value}
    [receipt] = running.services.capture.receive([json.dumps(envelope).encode()])
    assert (receipt.status, receipt.error) == ("quarantined", code)


@pytest.mark.parametrize(
    "text", ["\0", "a\ud800b", "\udfff", "💥", "e\u0301", "\u202e反", "\ufffe"]
)
def test_any_text_is_kept_exact_in_raw_and_storable_in_text(running: Running, text: str) -> None:
    envelope = GREETING._replace(id=f"u{next(_numbers)}", text=text).envelope()
    line = json.dumps(envelope).encode()
    answer = running.program.post(f"{API}/messages", content=line, headers=NDJSON).json()
    place = f"{API}/messages/msg_1_{answer['results'][0]['seq']}"
    shown = running.everybody.get(place).json()["text"]
    assert shown == re.sub("[\0\ud800-\udfff]", "\ufffd", text)
    assert running.everybody.get(f"{place}/raw").content == line


def test_ten_thousand_messages_are_taken_and_one_more_is_refused_whole(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Door, "append", lambda *_: pytest.fail("something was appended"))
    for body, kind in (
        (b'{"messages":[' + b",".join([b"1"] * 10_001) + b"]}", "application/json"),
        (b"1\n" * 10_001, "application/x-ndjson"),
    ):
        for place in ("messages", "wecom/messages?corp=x"):
            answer = running.program.post(
                f"{API}/{place}", content=body, headers={"content-type": kind}
            )
            assert_problem(answer, 413, "too_many_messages")
            assert answer.json()["limit"] == 10_000


def test_ten_thousand_messages_fit(program: TestClient) -> None:
    body = program.post(f"{API}/messages", content=b"1\n" * 10_000, headers=NDJSON).json()
    assert_outcome(body, 10_000)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_refused_whole(program: TestClient, chunked: bool) -> None:  # noqa: FBT001
    line = json.dumps(GREETING._replace(id="large", text="x" * 1_000).envelope()).encode() + b"\n"
    parts = [line] * (LARGEST // len(line) + 1)
    content = iter(parts) if chunked else b"".join(parts)
    answer = program.post(f"{API}/messages", content=content, headers=NDJSON)
    assert_problem(answer, 413, "too_large")
    assert answer.json()["limit"] == LARGEST


def test_a_large_body_where_none_belongs_is_refused(running: Running) -> None:
    answer = running.everybody.post(f"{API}/tokens", content=b" " * (1024 * 1024 + 1))
    assert_problem(answer, 413, "too_large")


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"messages":{}}', b'{"messages":[1]', b"\xff", b"[" * 100_000]
)
def test_a_body_that_is_no_batch_is_refused_whole(program: TestClient, body: bytes) -> None:
    answer = program.post(
        f"{API}/messages", content=body, headers={"content-type": "application/json"}
    )
    assert_problem(answer, 400, "unreadable_body")


def test_wecom_messages_need_their_corp(program: TestClient) -> None:
    assert_problem(program.post(f"{API}/wecom/messages", content=b"{}", headers=NDJSON), 422)


def test_when_nothing_can_be_kept_the_answer_says_when_to_come_again(
    program: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise Unavailable("磁盘已满", retry_after=7)

    monkeypatch.setattr(Door, "append", full)
    line = json.dumps(GREETING._replace(id="full").envelope())
    answer = program.post(f"{API}/messages", content=line, headers=NDJSON)
    assert_problem(answer, 503, "unavailable")
    assert answer.headers["retry-after"] == "7"


# reading


def test_a_message_has_the_documented_fields_wherever_it_is_shown(running: Running) -> None:
    envelope = GREETING._replace(id="shown", text="独角兽").envelope()
    running.program.post(f"{API}/messages", json={"messages": [envelope]})
    _catch_up(running.services)
    page = running.everybody.get(f"{API}/messages", params={"q": "独角兽"}).json()
    assert set(page) >= {"items", "total", "next", "took_ms"}
    assert page["total"] == {"value": 1, "relation": "eq"}
    [item] = page["items"]
    assert set(item) >= {
        *("seq", "id", "sent_at", "conversation", "sender", "recipients", "kind", "text"),
        *("highlights", "findings"),
    }
    assert item["highlights"] == [[0, 3]]
    opened = running.everybody.get(f"{API}/messages/{item['id']}").json()
    around = running.everybody.get(f"{API}/messages/{item['id']}/context").json()
    for shown in (opened, next(each for each in around["items"] if each["id"] == item["id"])):
        common = shown.keys() & item.keys()
        assert {name: shown[name] for name in common} == {name: item[name] for name in common}


@pytest.mark.parametrize(
    ("path", "names"),
    [
        (
            "/messages",
            (
                "q adviser client department conversation direction kind category severity "
                "state since until order count limit cursor"
            ),
        ),
        ("/messages/{name}/context", "before after"),
        ("/alerts", "state severity department since cursor"),
    ],
)
def test_the_documented_parameters_exist(running: Running, path: str, names: str) -> None:
    described = running.app.openapi()["paths"][API + path]["get"]["parameters"]
    assert {each["name"] for each in described} >= set(names.split())


def test_health_and_metrics_need_nobody(running: Running) -> None:
    assert running.nobody.get("/healthz").json()["status"] == "alive"
    ready = running.nobody.get("/readyz")
    assert (ready.status_code, ready.json()["ready"]) == (200, True)
    assert ready.json()["parts"]["database"]["ok"] is True
    metrics = running.nobody.get("/metrics")
    assert metrics.headers["content-type"].startswith("text/plain; version=")
    assert "liuhen_messages_total" in metrics.text
    assert 'liuhen_follower_lag{follower="search"}' in metrics.text


def test_metrics_name_routes_by_their_template(running: Running) -> None:
    running.everybody.get(f"{API}/messages/msg_1_123456")
    metrics = running.nobody.get("/metrics").text
    assert "msg_1_123456" not in metrics
    assert "/messages/{name}" in metrics


def test_without_its_database_it_is_alive_but_not_ready(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        raise Unavailable("数据库暂不可用")

    monkeypatch.setattr(Database, "write", gone)
    monkeypatch.setattr(Database, "read", gone)
    assert running.nobody.get("/healthz").status_code == 200
    ready = running.nobody.get("/readyz")
    assert (ready.status_code, ready.json()["ready"]) == (503, False)
    assert ready.json()["parts"]["database"]["ok"] is False
    assert running.nobody.get("/metrics").status_code == 200
    for place in ("messages?q=x", "messages/msg_1_1", "alerts", "audit", "session"):
        assert_problem(running.everybody.get(f"{API}/{place}"), 503)


# the description


def test_the_description_is_valid_and_lists_every_route_with_its_refusals(
    running: Running,
) -> None:
    document = running.nobody.get(f"{API}/openapi.json").json()
    OpenAPI.model_validate(document)
    described = {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    routes = {f"{each.method} {each.path}" for each in routes_of(running.app)}
    assert set(described) == routes - {"GET /"}
    assert len({each["operationId"] for each in described.values()}) == len(described)
    for operation in described.values():
        for status in ("4XX", "5XX"):
            assert PROBLEM in operation["responses"][status]["content"]


def _catch_up(services: Services) -> None:
    for follower in services.followers:
        for corp_id, end in services.tails_of(follower).items():
            after = follower.position(corp_id)
            while after < end:
                after = follower.step(corp_id, after, end)


def test_this_file_knows_every_documented_route_that_exists(running: Running) -> None:
    """The routes of the contract that are built; whoever builds another adds it here."""
    routes = {f"{each.method} {each.path.removeprefix(API)}" for each in routes_of(running.app)}
    assert routes >= {
        "POST /messages",
        "POST /wecom/messages",
        "GET /messages",
        "GET /messages/{name}",
        "GET /messages/{name}/context",
        "GET /messages/{name}/raw",
        "GET /alerts",
        "GET /alerts/{name}",
        "POST /alerts/{name}/{step}",
        "POST /check",
        "POST /check/{name}/decision",
    }
