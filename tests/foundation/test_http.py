"""HTTP: whatever goes wrong, one problem document; a request id on every answer; no body past its limit."""

import asyncio
import importlib
import itertools
import json
import pkgutil
import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Annotated, Any

import pytest
from fastapi import FastAPI, HTTPException, Query
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from starlette.responses import StreamingResponse
from starlette.testclient import TestClient

import app as product
from app.foundation import errors, http, metrics
from app.foundation.errors import AppError, NotSignedIn, TooManyRequests, Unavailable
from app.foundation.http import PROBLEM, Body, BodyLimit, Problem

SECRET = "客户的原话"  # noqa: S105
LIMIT = 5_000
SHAPE = {"type", "title", "status", "code", "detail", "request_id"}


class Words(BaseModel):
    """A body that is read as JSON."""

    words: str


def build(error: Callable[[], Exception]) -> FastAPI:
    """An application with a route for every way to go wrong."""
    api = FastAPI()

    @api.get("/fails")
    def fails() -> None:
        raise error()

    @api.get("/number")
    def number(n: Annotated[int, Query(ge=1)]) -> int:
        return n

    @api.post("/raw")
    def raw(body: Body) -> int:
        return len(body)

    @api.post("/large")
    def large(body: Body) -> int:
        return len(body)

    @api.post("/words")
    def words(given: Words) -> int:
        return len(given.words)

    @api.get("/half")
    def half() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"half"
            raise error()

        return StreamingResponse(parts(), status_code=500)

    api.add_middleware(BodyLimit, large={"/large": LIMIT})
    http.install(api)
    return api


@pytest.fixture
def client() -> Iterator[TestClient]:
    with TestClient(build(lambda: ValueError(SECRET)), raise_server_exceptions=False) as opened:
        yield opened


def answer_to(error: Exception) -> Any:
    return TestClient(build(lambda: error), raise_server_exceptions=False).get("/fails")


def shown(response: Any) -> dict[str, Any]:
    """The problem document of an answer, checked for its shape."""
    assert response.headers["content-type"] == PROBLEM
    document: dict[str, Any] = response.json()
    assert document.keys() >= SHAPE
    Problem.model_validate(document)
    assert document["status"] == response.status_code
    assert document["type"] == f"urn:liuhen:error:{document['code']}"
    assert document["request_id"] == response.headers["x-request-id"]
    return document


def every_error() -> list[type[AppError]]:
    """Each error class of the product."""
    for module in pkgutil.walk_packages(product.__path__, "app."):
        importlib.import_module(module.name)
    found, waiting = [], [AppError]
    while waiting:
        kind = waiting.pop()
        if kind.__module__.startswith("app."):
            found.append(kind)
        waiting += kind.__subclasses__()
    return found


# --- errors


def test_every_error_of_the_product_has_the_one_shape() -> None:
    kinds = every_error()
    assert len(kinds) > 20
    for kind in kinds:
        error = kind.__new__(kind)
        AppError.__init__(error, "详情", fact=7)
        document = shown(answer_to(error))
        assert document["status"] == kind.status >= 400
        assert (document["detail"], document["fact"]) == ("详情", 7)
        assert re.fullmatch(r"[a-z][a-z_]+", document["code"])
        assert re.search(r"[\u4e00-\u9fff]", document["title"])


def test_a_code_has_one_status_whoever_gives_it() -> None:
    statuses: dict[str, set[int]] = {}
    for kind in every_error():
        statuses.setdefault(kind.code, set()).add(kind.status)
    assert {code: found for code, found in statuses.items() if len(found) > 1} == {}


@pytest.mark.parametrize(
    ("error", "header", "value"),
    [
        (Unavailable(), "retry-after", "5"),
        (Unavailable(retry_after=60), "retry-after", "60"),
        (TooManyRequests(retry_after=3), "retry-after", "3"),
        (NotSignedIn(), "www-authenticate", "Bearer"),
    ],
)
def test_an_answer_says_when_and_how_to_come_back(error: AppError, header: str, value: str) -> None:
    response = answer_to(error)
    shown(response)
    assert response.headers[header] == value


def test_an_unexpected_exception_is_answered_without_its_words(client: TestClient) -> None:
    response = client.get("/fails")
    assert shown(response)["code"] == "internal"
    assert response.status_code == 500
    assert SECRET not in response.text


@given(st.text(), st.text())
def test_any_words_make_a_readable_document(detail: str, fact: str) -> None:
    document = http.problem(errors.BadInput(detail, fact=fact), "req_1").body
    again = json.loads(bytes(document))
    if not re.search(r"[\ud800-\udfff]", detail + fact):
        assert (again["detail"], again["fact"]) == (detail or None, fact) or detail == ""


def test_lone_surrogates_make_a_readable_document() -> None:
    json.loads(bytes(http.problem(errors.BadInput("\ud800", fact="\udfff"), "req_1").body))


def test_an_unknown_address_is_not_found(client: TestClient) -> None:
    response = client.get("/nowhere")
    assert (response.status_code, shown(response)["code"]) == (404, "not_found")


def test_an_unknown_method_is_said_with_those_that_are_known(client: TestClient) -> None:
    response = client.post("/number")
    assert (response.status_code, shown(response)["code"]) == (405, "method_not_allowed")
    assert response.headers["allow"] == "GET"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 413])
def test_the_frameworks_own_refusals_have_the_shape(status: int) -> None:
    response = answer_to(HTTPException(status, SECRET))
    assert shown(response)["status"] == status
    assert SECRET not in response.text


@pytest.mark.parametrize(
    ("path", "place", "rule"),
    [
        ("/number", "query.n", "missing"),
        ("/number?n=x", "query.n", "int_parsing"),
        ("/number?n=0", "query.n", "greater_than_equal"),
    ],
)
def test_a_wrong_parameter_is_named_with_its_rule(
    client: TestClient, path: str, place: str, rule: str
) -> None:
    response = client.get(path)
    document = shown(response)
    assert (response.status_code, document["code"]) == (422, "invalid_fields")
    assert document["fields"] == [{"field": place, "rule": rule}]
    assert place in document["detail"]


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[]", f'{{"word": "{SECRET}"}}'.encode()])
def test_a_wrong_body_is_refused_without_quoting_it(client: TestClient, body: bytes) -> None:
    response = client.post("/words", content=body, headers={"content-type": "application/json"})
    assert response.status_code in {400, 422}
    assert shown(response)["code"] in {"bad_input", "invalid_fields"}
    assert SECRET not in response.text


def test_an_answer_that_has_begun_is_not_begun_again() -> None:
    sent = call(build(ValueError), "GET", "/half", [b""])
    assert [message["type"] for message in sent].count("http.response.start") == 1
    assert [message.get("body") for message in sent[1:]] == [b"half"]


# --- request ids and counting


def test_an_answer_is_named_by_the_request_id_it_was_given(client: TestClient) -> None:
    response = client.get("/number?n=1", headers={"x-request-id": "A.b-c_9"})
    assert response.headers["x-request-id"] == "A.b-c_9"


@pytest.mark.parametrize("given_id", ["", "a b", "a" * 65, "a\tb", "é", "<script>", "a,b"])
def test_an_unusable_request_id_is_replaced(client: TestClient, given_id: str) -> None:
    headers = {"x-request-id": given_id.encode("latin-1")}
    response = client.get("/number?n=1", headers=headers)  # type: ignore[arg-type]
    assert re.fullmatch(r"req_[0-9a-z]{24}", response.headers["x-request-id"])


def test_each_request_has_an_id_of_its_own(client: TestClient) -> None:
    names = {client.get("/number?n=1").headers["x-request-id"] for _ in range(20)}
    assert len(names) == 20


def test_a_request_is_counted_under_its_route_not_its_address(client: TestClient) -> None:
    client.get("/number?n=1")
    client.get("/nowhere/保本")
    text = metrics.exposition().decode()
    assert 'liuhen_request_seconds_count{method="GET",route="/number",status="200"}' in text
    assert 'route="-",status="404"' in text
    assert "nowhere" not in text


# --- bodies


@pytest.mark.parametrize("path", ["/raw", "/words"])
def test_a_body_past_the_limit_is_refused_whatever_reads_it(client: TestClient, path: str) -> None:
    body = b'{"words": "' + b"x" * http.SMALL_BODY + b'"}'
    response = client.post(path, content=body, headers={"content-type": "application/json"})
    assert (response.status_code, shown(response)["code"]) == (413, "too_large")
    assert response.json()["limit"] == http.SMALL_BODY


def test_a_body_up_to_its_routes_limit_passes(client: TestClient) -> None:
    assert client.post("/large", content=b"x" * LIMIT).json() == LIMIT
    assert client.post("/large", content=b"x" * (LIMIT + 1)).status_code == 413
    assert client.post("/raw", content=b"x" * http.SMALL_BODY).json() == http.SMALL_BODY


def test_a_body_past_the_limit_is_refused_while_it_arrives() -> None:
    endless = itertools.repeat(bytes(1_000))
    counted = itertools.count()
    pulled = (part for part, _ in zip(endless, counted, strict=False))
    sent = call(build(ValueError), "POST", "/large", pulled)
    assert sent[0]["status"] == 413
    assert next(counted) == LIMIT // 1_000 + 1


def call(api: FastAPI, method: str, path: str, body: Iterable[bytes]) -> list[Any]:
    """What an application sends for a request whose body arrives in these parts."""
    parts, sent = iter(body), list[Any]()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": next(parts), "more_body": method == "POST"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"spec_version": "2.4"},
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [],
        "http_version": "1.1",
        "scheme": "http",
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 1),
    }
    asyncio.run(api(scope, receive, send))
    return sent
