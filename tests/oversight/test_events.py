"""The live stream tells every step in order, once, and only what its reader may see."""

import asyncio
import json
from typing import Any

from app.access import EVERYTHING, NOTHING, Scope
from app.oversight import events
from app.oversight.events import stream
from tests.firm import Firm, message

PROMISE = "这款产品保本保息，您放心"


def heard(firm: Firm, scope: Scope, last: int = 0, lasts: float = 1.0) -> list[dict[str, Any]]:
    """What a stream of so many seconds tells."""

    async def listen() -> list[str]:
        return [part async for part in stream(firm.services.db, scope, last, lasts=lasts)]

    parts = [part.splitlines() for part in asyncio.run(listen())]
    return [
        json.loads(lines[2].removeprefix("data: ")) | {"number": int(lines[0].removeprefix("id: "))}
        for lines in parts
        if len(lines) > 2
    ]


def test_steps_come_in_order_and_without_content(firm: Firm) -> None:
    firm.say(message(1, PROMISE))
    [alert] = firm.officer.get("alerts").json()["items"]
    firm.officer.post(f"alerts/{alert['id']}/claim")
    told = heard(firm, EVERYTHING)
    assert [(each["id"], each["step"], each["state"]) for each in told] == [
        (alert["id"], "raise", "open"),
        (alert["id"], "claim", "claimed"),
    ]
    assert "保本" not in json.dumps(told, ensure_ascii=False)
    [after] = heard(firm, EVERYTHING, told[0]["number"])
    assert after["step"] == "claim"


def test_a_scope_hides_what_it_hides_in_lists(firm: Firm) -> None:
    firm.say(message(1, PROMISE), message(2, PROMISE, sender="shen"))
    two = Scope(frozenset({firm.departments["two"]}), None)
    assert heard(firm, NOTHING) == []
    assert len(heard(firm, two)) == 1
    assert len(heard(firm, EVERYTHING)) == 2


def test_where_a_stream_goes_on_is_never_beyond_the_end() -> None:
    assert [events._place(given, 7) for given in (None, "3", "9", "-1", "x", "9" * 31)] == [
        *(7, 3, 7, 7, 7, 7)
    ]
