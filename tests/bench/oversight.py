"""How soon a supervisor hears, what a check costs, and what a storm of breaches does.

    python -m tests.bench.oversight [--database sqlite|postgresql] [--seconds N] [--storm N]

Starts a real server, whose WeCom channel leads to the fake of `tests.outside`. First `/check` at 50 a second beside an
empty route, asked in turn over the same connections. Then breaches of different advisers, each with a supervisor of
his own, while 1,000 messages a second come in: from the answer to the alert's being listed and to the card's arrival.
Then a storm in one minute: how many alerts, how many cards a receiver got in any minute.
"""

import argparse
import json
import os
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import httpx

from tests.bench.ingest import (
    LIUHEN,
    Server,
    client,
    database,
    env,
    feed,
    folder,
    ms,
    server,
    wait_until,
)
from tests.outside import Web

API = "/api/v1"
CORP = "wwbench"
TEAMS = 40  # advisers, each with a supervisor of his own
STORM_TEAMS = 5
PER_SECOND = 50  # checks
LOAD = 1_000  # messages a second
WARM_UP = 2  # seconds of load before the first breach is timed
DIGEST = 65  # seconds until the letters held back for a minute have gone, so that none is uncounted
PASSWORD = "样例口令-不在别处使用"  # noqa: S105  (of users who live as long as the bench)
TEXTS = (
    "您好，今天净值更新了，请查收",
    "这款产品保本保收益，您放心买。",
    "合同已经寄出，请注意查收，有问题随时联系我",
    "绝对不会亏的，公司刚性兑付",
)


class Firm(NamedTuple):
    """The running server and the fake that its cards arrive at, with their moments by receiver."""

    it: Server
    token: str
    cards: dict[str, list[float]]


def main() -> None:
    """Run every part and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--storm", type=int, default=10_000)
    args = parser.parse_args()
    web = Arrivals()
    web.start()
    settings = {"WECOM_API": web.url, "WECOM_CORP_ID": CORP, "WECOM_AGENT_ID": "1"}
    os.environ |= {f"LIUHEN_{name}": value for name, value in settings.items()}
    os.environ["LIUHEN_WECOM_SECRET"] = "bench"  # noqa: S105  (of the fake)
    with folder() as data, database(args.database, data) as address, server(data, address) as it:
        firm = founded(it, web)
        checks(firm, args.seconds)
        heard(firm)
        storm(firm, args.storm)
    web.stop()


class Arrivals(Web):
    """The fake, noting when each receiver's card arrived."""

    def __init__(self) -> None:
        super().__init__()
        self.arrived: dict[str, list[float]] = defaultdict(list)
        self.cards = Noted(self.arrived)


class Noted(list[dict[str, Any]]):
    """A list of cards that notes the moment of each."""

    def __init__(self, arrived: dict[str, list[float]]) -> None:
        super().__init__()
        self._arrived = arrived

    def append(self, card: dict[str, Any]) -> None:
        """Take a card."""
        self._arrived[card["touser"]].append(time.perf_counter())


def founded(it: Server, web: Arrivals) -> Firm:
    """A firm whose every team is an adviser and his supervisor."""
    teams = range(TEAMS + STORM_TEAMS)
    people = {
        "corp": {"code": CORP, "name": "样例"},
        "departments": [{"code": f"d{n}", "name": f"团队{n}", "parent": None} for n in teams],
        "employees": [
            {
                "userid": f"{who}{n}",
                "name": who,
                "departments": [{"code": f"d{n}", "start": "2020-01-01"}],
            }
            for n in teams
            for who in ("adviser", "leader")
        ],
    }
    path = it.data / "people.json"
    path.write_text(json.dumps(people))
    liuhen(it, "people", "import", str(path))
    scopes = [part for scope in ("check", "admin") for part in ("--scope", scope)]
    token = liuhen(it, "token", "create", "--name", "oversight", *scopes)["token"]
    firm = Firm(it, token, web.arrived)
    with asking(firm) as http:
        departments = {each["code"]: each["id"] for each in listed(http, "departments")}
        employees = {each["userid"]: each["id"] for each in listed(http, "employees")}
        for n in teams:
            user = {
                "login": f"leader{n}",
                "name": f"主管{n}",
                "password": PASSWORD,
                "employee_id": employees[f"leader{n}"],
                "roles": [{"role": "supervisor", "department_id": departments[f"d{n}"]}],
            }
            liuhen_user(http, user)
        rules = {"quiet": None, "routes": [{"to": ["department"], "channels": ["wecom"]}]}
        http.put(f"{API}/oversight-rules", json=rules).raise_for_status()
    return firm


def liuhen(it: Server, *arguments: str) -> dict[str, Any]:
    """Run a command and give what it prints."""
    done = subprocess.run(
        [LIUHEN, *arguments, "--json"], check=True, capture_output=True, env=env(it.data)
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def liuhen_user(http: httpx.Client, user: dict[str, Any]) -> None:
    """Make a user."""
    http.post(f"{API}/users", json=user).raise_for_status()


def listed(http: httpx.Client, what: str) -> list[dict[str, Any]]:
    """Every item of a list."""
    answer = http.get(f"{API}/{what}", params={"limit": 200}).raise_for_status()
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def asking(firm: Firm) -> httpx.Client:
    """A connection with the token that may check and manage."""
    headers = {"authorization": f"Bearer {firm.token}"}
    return httpx.Client(base_url=firm.it.url, headers=headers, timeout=60)


def checks(firm: Firm, seconds: int) -> None:
    """`/check` and an empty route in turn, each at 50 a second, whatever the answers take."""
    took: dict[str, list[float]] = defaultdict(list)
    with asking(firm) as http:
        for text in TEXTS:
            ask(http, text)

        def both(number: int) -> None:
            took["empty"].append(timed(lambda: http.get("/healthz").raise_for_status()))
            took["check"].append(timed(lambda: ask(http, TEXTS[number % len(TEXTS)])))

        paced(both, seconds * PER_SECOND, 1 / PER_SECOND)
    for name, found in took.items():
        print(f"{name:<9} p50 {ms(found, 0.5)} p99 {ms(found, 0.99)} max {ms(found, 1)} ms")
    ratio = float(ms(took["check"], 0.99)) / float(ms(took["empty"], 0.99))
    print(f"check     p99 is {ratio:.1f} times the empty route's")


def ask(http: httpx.Client, text: str) -> None:
    """One check."""
    body = {
        "corp": CORP,
        "sender": {"type": "employee", "id": "adviser0"},
        "recipients": [{"type": "client", "id": "wm0"}],
        "conversation": {"kind": "single"},
        "text": text,
    }
    http.post(f"{API}/check", json=body).raise_for_status()


def timed(act: Callable[[], Any]) -> float:
    """Seconds that something takes."""
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def paced(act: Callable[[int], None], times: int, every: float) -> None:
    """Begin something at fixed moments, on threads where one is not done before the next."""
    began = time.perf_counter()
    threads = []
    for number in range(times):
        time.sleep(max(0.0, began + number * every - time.perf_counter()))
        thread = threading.Thread(target=act, args=(number,))
        thread.start()
        threads.append(thread)
    for thread in threads:
        thread.join()


def heard(firm: Firm) -> None:
    """From the answer to the alert's being listed and to the supervisor's card, under load."""
    stopping = threading.Event()
    feeder = threading.Thread(target=feed, args=(firm.it, LOAD, stopping))
    feeder.start()
    listed_after: list[float] = []
    told_after: list[float] = []
    time.sleep(WARM_UP)
    for number in range(TEAMS):
        seen, told = one(firm, number)
        listed_after.append(seen)
        told_after.append(told)
    stopping.set()
    feeder.join()
    for name, found in (("listed", listed_after), ("told", told_after)):
        print(
            f"{name:<9} p50 {ms(found, 0.5)} p99 {ms(found, 0.99)} max {ms(found, 1)} ms  ({TEAMS})"
        )


def one(firm: Firm, number: int) -> tuple[float, float]:
    """One breach of one team: seconds until listed, until told."""
    with client(firm.it, "application/x-ndjson") as http:
        http.post(f"{API}/messages", content=breach(number, f"wmOne{number}", 0)).raise_for_status()
        accepted = time.perf_counter()
        seen = wait_until(partial(is_listed, http, f"adviser{number}")) - accepted
        told = wait_until(lambda: firm.cards.get(f"leader{number}"))
    return seen, max(0.0, firm.cards[f"leader{number}"][0] - accepted) if told else 0.0


def is_listed(http: httpx.Client, adviser: str) -> bool:
    """Whether there is an alert about an adviser."""
    answer = http.get(f"{API}/alerts", params={"adviser": adviser, "limit": 1})
    return bool(answer.raise_for_status().json()["items"])


def breach(team: int, recipient: str, number: int) -> bytes:
    """One line of the contract."""
    envelope = {
        "corp": CORP,
        "source": "bench-oversight",
        "source_msg_id": f"{team}-{recipient}-{number}",
        "sent_at": time.strftime("%Y-%m-%dT%H:%M:%S+08:00"),
        "conversation": {"kind": "single", "id": None, "name": None},
        "sender": {"type": "employee", "id": f"adviser{team}", "name": "样例"},
        "recipients": [{"type": "client", "id": recipient, "name": "样例客户"}],
        "kind": "text",
        "action": "send",
        "text": f"这款产品保本保息，您放心 {number}",
    }
    return json.dumps(envelope, ensure_ascii=False).encode() + b"\n"


def storm(firm: Firm, count: int) -> None:
    """So many breaches in a minute by a few advisers to fifty clients each."""
    before = {name: len(moments) for name, moments in firm.cards.items()}
    began = time.perf_counter()
    with client(firm.it, "application/x-ndjson") as http:
        for second in range(60):
            numbers = range(second * count // 60, (second + 1) * count // 60)
            lines = [breach(TEAMS + n % STORM_TEAMS, f"wm{n % 50}", n) for n in numbers]
            http.post(f"{API}/messages", content=b"".join(lines)).raise_for_status()
            time.sleep(max(0.0, began + second + 1 - time.perf_counter()))
    pushed = time.perf_counter()
    liuhen(firm.it, "catch-up")
    behind = time.perf_counter() - pushed
    time.sleep(DIGEST)
    alerts = messages = 0
    with client(firm.it) as http:
        for team in range(TEAMS, TEAMS + STORM_TEAMS):
            asked: dict[str, str | int] = {"adviser": f"adviser{team}", "limit": 200}
            items = http.get(f"{API}/alerts", params=asked).raise_for_status().json()["items"]
            alerts, messages = alerts + len(items), messages + sum(i["messages"] for i in items)
    cards = {
        name: moments[before.get(name, 0) :]
        for name, moments in firm.cards.items()
        if int(name.removeprefix("leader")) >= TEAMS
    }
    most = max(busiest_minute(moments) for moments in cards.values())
    print(
        f"storm     {count:,} breaches: {messages:,} of them in {alerts:,} alerts, all {behind:.1f} s after the last push;"
        f" {sum(map(len, cards.values()))} cards to {len(cards)} receivers, at most {most} in a minute"
    )


def busiest_minute(moments: Sequence[float]) -> int:
    """The most of these moments that lie within 60 seconds; jobs begin on whole milliseconds."""
    return max(sum(0 <= other - moment < 59.9 for other in moments) for moment in moments)


if __name__ == "__main__":
    main()
