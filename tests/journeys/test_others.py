"""What the adviser, the inspector, the administrator and the auditor may do, and what they may not."""

from collections.abc import Callable

import httpx
import pytest

from tests.journeys.office import Office

CONTENT = (
    "/messages?q=琉璃",
    "/messages/{t3}",
    "/messages/{t3}/context",
    "/messages/{t3}/raw",
    "/alerts",
    "/quarantine",
)


@pytest.mark.parametrize("login", ["adviser", "keeper", "auditor"])
@pytest.mark.parametrize("route", CONTENT)
def test_who_has_no_business_with_content_is_refused_it(
    kind: str,
    office: Office,
    visitors: Callable[[str, str], httpx.Client],
    login: str,
    route: str,
) -> None:
    answer = visitors(kind, login).get(route.format(t3=office.ids["t3"]))
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize("route", CONTENT[:-1])
def test_the_inspector_may_read(office: Office, inspector: httpx.Client, route: str) -> None:
    assert inspector.get(route.format(t3=office.ids["t3"])).status_code == 200


def test_the_inspector_may_change_nothing(inspector: httpx.Client) -> None:
    alert = inspector.get("/alerts").json()["items"][0]
    assert inspector.post(f"/alerts/{alert['id']}/claim").status_code == 403


def test_every_look_stands_in_the_audit_trail(
    office: Office, officer: httpx.Client, auditor: httpx.Client
) -> None:
    asked = "琉璃口径"
    name = office.ids["t8"]
    officer.get("/messages", params={"q": asked})
    officer.get(f"/messages/{name}")
    officer.get(f"/messages/{name}/context")
    officer.get(f"/messages/{name}/raw")
    trail = auditor.get("/audit", params={"limit": 1000}).json()["items"]
    opened = {each["event"] for each in trail if each["subject"] == name}
    assert opened >= {
        "archive:message:open",
        "archive:message:context",
        "archive:message:raw",
    }
    searches = [each for each in trail if each["event"] == "search:message:find"]
    assert any(each["details"].get("asked", {}).get("q") == asked for each in searches)
    assert {each["actor_name"] for each in trail if each["subject"] == name} == {"样例officer"}


def test_a_refusal_stands_in_the_audit_trail(office: Office, auditor: httpx.Client) -> None:
    with office.signed_in("adviser") as client:
        client.get("/messages", params={"q": "琉璃"})
    refused = auditor.get("/audit", params={"event": "access:action:refused"})
    assert refused.status_code == 200, refused.text
    assert "样例adviser" in {each["actor_name"] for each in refused.json()["items"]}


def test_the_auditor_proves_the_chain_whole(auditor: httpx.Client) -> None:
    first = auditor.get("/audit/verify").json()
    assert first["intact"] is True
    assert first["differences"] == []
    noted = {"seq": first["seq"], "hash": first["hash"]}
    assert auditor.get("/audit/verify", params=noted).json()["intact"] is True
    forged = noted | {"hash": "0" * 64}
    assert auditor.get("/audit/verify", params=forged).json()["intact"] is False


def test_a_token_reaches_only_as_far_as_its_scopes(office: Office) -> None:
    with office.signed_in("keeper") as keeper:
        made = keeper.post("/tokens", json={"name": "接入", "scopes": ["ingest"]}).json()
    headers = {"Authorization": f"Bearer {made['token']}"}
    with httpx.Client(base_url=f"{office.server.url}/api/v1", headers=headers) as client:
        assert client.post("/messages", json={"messages": []}).status_code == 200
        assert client.get("/messages", params={"q": "琉璃"}).status_code == 403
        assert client.get("/alerts").status_code == 403


def test_an_ended_session_reads_nothing(office: Office) -> None:
    with office.signed_in("officer") as client:
        cookies = dict(client.cookies)
        assert client.delete("/session").status_code == 204
    with httpx.Client(base_url=f"{office.server.url}/api/v1", cookies=cookies) as client:
        assert client.get("/alerts").status_code == 401
