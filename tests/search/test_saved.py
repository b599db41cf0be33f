"""Saved searches: whose they are, who may run them, and when their owner is told."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from app.access import OPERATOR, Caller, Role, TokenScope
from app.access.domain import Action
from app.access.models import AuditEvent
from app.bootstrap import Services
from app.foundation.errors import Unavailable
from app.main import create_app
from app.search import saved
from app.search.asked import Asked
from app.search.saved import Saved, SavedNotFound, TooManySaved, Wish
from app.search.watch import count_watched
from tests.search.firm import department, follow, line

SEARCHES = "/api/v1/searches"


def user(services: Services, login: str, code: str | None = None) -> Caller:
    place = None if code is None else department(services, code)
    role = Role.OFFICER if code is None else Role.SUPERVISOR
    made = services.access.create_user(
        OPERATOR,
        login=login,
        name=login,
        password="long enough 1",  # noqa: S106
        employee_id=None,
        roles=[(role, place)],
    )
    return services.access.identify_user(made).caller(Action.SEARCH)


def kept(services: Services, caller: Caller, wish: Wish) -> Saved:
    with services.db.write() as connection:
        return saved.add(connection, caller, wish)


def read(services: Services, caller: Caller, name: str) -> Saved:
    with services.db.read() as connection:
        return saved.read_one(connection, name, caller)


def watched(services: Services) -> int:
    return count_watched(services.db, services.access, services.finder)


WISH = Wish("话", Asked(q="话"), shared=False, alert_at=None)


def test_an_own_search_is_hidden_until_it_is_shared_and_stays_its_owners(firm: Services) -> None:
    owner, other = user(firm, "lin"), user(firm, "qiao")
    made = kept(firm, owner, WISH)
    with pytest.raises(SavedNotFound):
        read(firm, other, made.id)
    with firm.db.write() as connection:
        saved.change(connection, made.id, owner, WISH._replace(shared=True))
    assert read(firm, other, made.id).wanted == Asked(q="话")
    with firm.db.read() as connection:
        assert [each.id for each in saved.read_page(connection, other, before=None, limit=5)] == [
            made.id
        ]
    for deed in (
        lambda connection: saved.change(connection, made.id, other, WISH),
        lambda connection: saved.remove(connection, made.id, other),
        lambda connection: saved.note_seen(connection, made.id, other),
    ):
        with firm.db.write() as connection, pytest.raises(SavedNotFound):
            deed(connection)
    with firm.db.write() as connection:
        saved.remove(connection, made.id, owner)
    with pytest.raises(SavedNotFound):
        read(firm, owner, made.id)


def test_nobody_keeps_more_than_so_many(firm: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved, "MOST_SAVED", 1)
    owner = user(firm, "lin")
    kept(firm, owner, WISH)
    with pytest.raises(TooManySaved):
        kept(firm, owner, WISH)


def test_the_owner_is_told_once_when_enough_has_come_and_again_after_looking(
    firm: Services,
) -> None:
    owner = user(firm, "lin")
    made = kept(firm, owner, WISH._replace(alert_at=2))
    assert watched(firm) == 0  # what was there before is known
    firm.capture.receive([line(10, "又一句话")])
    follow(firm)
    assert (watched(firm), read(firm, owner, made.id).grown) == (0, 1)
    firm.capture.receive([line(11, "再一句话"), line(12, "无关")])
    follow(firm)
    assert watched(firm) == 1
    found = read(firm, owner, made.id)
    assert (found.grown, found.reached_at is None) == (2, False)
    assert watched(firm) == 0
    with firm.db.write() as connection:
        seen = saved.note_seen(connection, made.id, owner)
    assert (seen.grown, seen.reached_at) == (0, None)
    firm.capture.receive([line(13, "话"), line(14, "话")])
    follow(firm)
    assert watched(firm) == 1


def test_counting_for_the_owner_goes_as_far_as_the_owner_sees(firm: Services) -> None:
    owner = user(firm, "west", "west")
    made = kept(firm, owner, WISH._replace(alert_at=1))
    watched(firm)
    assert read(firm, owner, made.id).total == 1
    firm.capture.receive([line(10, "东区的话", sender="su.he")])
    follow(firm)
    assert (watched(firm), read(firm, owner, made.id).total) == (0, 1)


def test_a_search_whose_owner_is_gone_is_not_run_and_holds_up_nobody(firm: Services) -> None:
    gone, owner = user(firm, "gone"), user(firm, "lin")
    lost = kept(firm, gone, WISH._replace(alert_at=1))
    made = kept(firm, owner, WISH._replace(alert_at=1))
    firm.access.disable_user(OPERATOR, gone.id)
    watched(firm)
    assert read(firm, gone, lost.id).total is None
    assert read(firm, owner, made.id).total == 3


@pytest.fixture
def client(firm: Services) -> Iterator[TestClient]:
    token = firm.access.create_token("t", [TokenScope.SEARCH], OPERATOR)
    with TestClient(create_app(firm)) as opened:
        opened.headers["Authorization"] = f"Bearer {token}"
        yield opened


def test_a_search_is_saved_run_changed_and_deleted_over_http(client: TestClient) -> None:
    asked = {"q": "话", "since": "2026-03-01T00:00:00+08:00", "category": ["principal_guarantee"]}
    made = client.post(SEARCHES, json={"name": "三月", "asked": asked}).json()
    assert made["is_own"]
    assert client.get(SEARCHES).json()["items"] == [made]
    place = f"{SEARCHES}/{made['id']}"
    page = client.get(f"{place}/messages", params={"count": "exact", "limit": 1}).json()
    assert [item["text"] for item in page["items"]] == ["苏禾的话，保本保息"]
    changed = client.put(place, json={"name": "全部", "asked": {"q": "话"}, "shared": True}).json()
    assert (changed["name"], changed["shared"]) == ("全部", True)
    assert client.get(f"{place}/messages").json()["total"]["value"] == 3
    assert client.delete(place).status_code == 204
    assert client.get(place).json()["code"] == "saved_search_not_found"


def test_words_that_cannot_be_read_are_refused_when_saved_and_tokens_are_told_nothing(
    client: TestClient,
) -> None:
    refused = client.post(SEARCHES, json={"name": "坏", "asked": {"q": '"没有结束'}})
    assert (refused.status_code, refused.json()["code"]) == (400, "bad_query")
    refused = client.post(SEARCHES, json={"name": "醒", "asked": {"q": "话"}, "alert_at": 1})
    assert refused.json()["code"] == "nobody_to_tell"


LOOKS = ("/messages?q=话", "/messages/facets?q=话", "/threads?client=wmA1")


@pytest.mark.parametrize("path", LOOKS)
def test_what_cannot_be_audited_is_not_answered(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    def fails(*_given: object, **_facts: object) -> None:
        raise Unavailable("审计写不进去")

    monkeypatch.setattr("app.search.api.record", fails)
    answer = client.get(f"/api/v1{path}")
    assert (answer.status_code, "items" in answer.json()) == (503, False)


def test_every_look_leaves_its_audit_row(client: TestClient, firm: Services) -> None:
    def trail() -> list[str]:
        with firm.db.read() as connection:
            query = select(AuditEvent.event).order_by(AuditEvent.seq)
            return list(connection.execute(query).scalars())

    known = len(trail())
    for path in LOOKS:
        assert client.get(f"/api/v1{path}").status_code == 200
    assert trail()[known:] == [
        "search:message:find",
        "search:message:count",
        "search:thread:read",
    ]
