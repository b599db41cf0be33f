"""Two journeys through HTTP on a real server, with a real SMTP server, a real webhook receiver and the WeCom fake.

Breach → alert → notified → claimed → sent up the line → proposed → resolved by a second person → allow-phrase draft;
and warned before sending → sent anyway → matched in the archive.
"""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from app.foundation import clock
from tests.journeys.conftest import _empty_database
from tests.journeys.office import CORP, Office, Said, open_office, push
from tests.outside import Outside, outside
from tests.server import Server, prepare

WITHIN = 30.0  # seconds; only a notice that never comes needs them
MISTAKEN = "网点搬到璟晖保本巷璀璨坊七弄"  # words that the model does not know
PROMISE = "这个信托保本，收益也有保证，请放心。"


@pytest.fixture
def world() -> Iterator[Outside]:
    with outside() as made:
        yield made


@pytest.fixture
def firm(
    request: pytest.FixtureRequest,
    kind: str,
    world: Outside,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Office]:
    """A firm of its own, whose channels lead to `world`."""
    settings = world.settings() | {"public_url": ""}
    if kind == "postgresql":
        settings["database_url"] = _empty_database(request.getfixturevalue("postgres"))
    home = prepare(tmp_path_factory.mktemp("oversight"), data=None, **settings)
    with Server(home) as server:
        yield open_office(home, server)


def until(look: Callable[[], Any]) -> Any:
    """What `look` gives as soon as it gives something."""
    deadline = time.monotonic() + WITHIN
    while not (found := look()):
        assert time.monotonic() < deadline, "it has not happened"
        time.sleep(0.05)
    return found


def about(client: httpx.Client, text: str) -> dict[str, Any] | None:
    """The alert whose newest message is this text."""
    items = client.get("/alerts", params={"limit": 200}).json()["items"]
    return next((each for each in items if each["message"]["text"] == text), None)


def test_from_breach_to_allow_phrase(firm: Office, world: Outside) -> None:
    with (
        firm.signed_in("officer") as officer,
        firm.signed_in("leader") as leader,
        firm.program() as program,
    ):
        user = leader.get("/session").json()["id"]
        for channel, address in (("mail", "leader@example.com"), ("wecom", "leader")):
            place = f"/contacts/{user}/{channel}"
            assert officer.put(place, json={"address": address}).status_code == 204
        rules = officer.get("/oversight-rules").json()
        every = ["wecom", "mail", "webhook", "robot"]
        rules |= {"quiet": None, "routes": [{"to": ["department"], "channels": every}]}
        assert officer.put("/oversight-rules", json=rules).status_code == 204

        now = clock.now().isoformat()
        push(program, [Said("mistake", "yuan", "wmA", MISTAKEN, at=now).envelope()])
        alert = until(lambda: about(leader, MISTAKEN))
        place = f"/alerts/{alert['id']}"
        until(lambda: world.mailbox.mails and world.web.cards and world.web.hooks)
        assert world.mailbox.mails[0]["to"] == "leader@example.com"
        assert world.web.cards[0]["touser"] == "leader"
        assert json.loads(world.web.hooks[0][1])["alerts"][0]["alert"] == alert["id"]
        until(lambda: leader.get(place).json()["due_at"])

        assert leader.post(f"{place}/claim").status_code == 200
        up = leader.post(f"{place}/escalate", json={"note": "请合规定夺"}).json()
        assert (up["state"], up["level"], up["owner"]) == ("escalated", 1, None)
        assert officer.post(f"{place}/claim").status_code == 200
        given = {"note": "地名，不是承诺", "disposition": "false_alarm"}
        proposed = officer.post(f"{place}/resolve", json=given).json()
        assert (alert["severity"], proposed["state"]) == ("red", "proposed")
        assert officer.post(f"{place}/approve").status_code == 403
        done = leader.post(f"{place}/approve").json()
        assert (done["state"], done["disposition"]) == ("resolved", "false_alarm")
        assert [each["step"] for each in done["history"]] == [
            *("raise", "claim", "escalate", "claim", "propose", "approve"),
        ]
        sent = {each["channel"] for each in done["notices"] if each["state"] == "sent"}
        assert sent == set(every)

        [proposal] = officer.get("/allow-phrases").json()["items"]
        phrase = {"alert": alert["id"], "rule": proposal["rule"], "phrase": "保本巷"}
        draft = officer.post("/allow-phrases", json=phrase).json()
        assert (draft["state"], draft["failures"]) == ("tested", 0)
        lexicon = f"/lexicons/{draft['id']}"
        assert officer.post(f"{lexicon}/approve", json={}).status_code == 403
        released = officer.get("/lexicons/released").json()
        assert released["id"] != draft["id"]


def test_from_warning_to_the_archive(firm: Office) -> None:
    with (
        firm.signed_in("officer") as officer,
        firm.signed_in("adviser") as adviser,
        firm.program() as program,
    ):
        asked = {
            "corp": CORP,
            "sender": {"type": "employee", "id": "yuan"},
            "recipients": [{"type": "client", "id": "wmA"}],
            "conversation": {"kind": "single"},
            "text": PROMISE,
        }
        check = adviser.post("/check", json=asked).json()
        assert check["outcome"] == "block"
        better = check["findings"][0]["suggestion"]
        assert adviser.post("/check", json=asked | {"text": better}).json()["outcome"] == "clear"
        decision = {"decision": "sent_anyway", "reason": "客户要求"}
        place = f"/check/{check['check_id']}/decision"
        assert adviser.post(place, json=decision).status_code == 200
        now = clock.now().isoformat()
        push(program, [Said("anyway", "yuan", "wmA", PROMISE, at=now).envelope()])
        alert = until(lambda: about(officer, PROMISE))
        [warning] = alert["warnings"]
        assert (warning["check_id"], warning["decision"], warning["reason"]) == (
            check["check_id"],
            "sent_anyway",
            "客户要求",
        )
        [own, *_] = adviser.get("/own/alerts").json()["items"]
        assert own["id"] == alert["id"]
