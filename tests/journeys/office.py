"""An invented firm on a running server: its people, its users, and what was pushed in for them to find.

Two departments under one: `yuan` and `qiao` work in 财富一部, `shen` in 财富二部; each looks after a client. What the
officer has to find is pushed as contract envelopes by `POST /messages`; the documented WeCom examples come by
`POST /wecom/messages`.
"""

import json
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx

from tests.server import Home, Server, run

API: Final = "/api/v1"
CORP: Final = "ww0001"
PASSWORD: Final = "样例口令-不在别处使用"  # noqa: S105  (of users who live as long as the test)
EXAMPLES: Final = Path(__file__).parents[1] / "data" / "wecom_examples.ndjson"
PEOPLE: Final = {
    "corp": {"code": CORP, "name": "样例信托"},
    "departments": [
        {"code": "wealth", "name": "财富中心", "parent": None},
        {"code": "one", "name": "财富一部", "parent": "wealth"},
        {"code": "two", "name": "财富二部", "parent": "wealth"},
    ],
    "employees": [
        {
            "userid": "yuan",
            "name": "袁样例",
            "departments": [{"code": "one", "start": "2020-01-01"}],
        },
        {
            "userid": "qiao",
            "name": "乔样例",
            "departments": [{"code": "one", "start": "2020-01-01"}],
        },
        {
            "userid": "shen",
            "name": "沈样例",
            "departments": [{"code": "two", "start": "2020-01-01"}],
        },
        {
            "userid": "zhangwei",
            "name": "甲样例",
            "departments": [{"code": "one", "start": "2020-01-01"}],
        },
    ],
    "clients": [
        {"external_id": "wmA", "name": "客户甲"},
        {"external_id": "wmB", "name": "客户乙"},
    ],
    "assignments": [
        {"client": "wmA", "employee": "yuan", "start": "2020-01-01"},
        {"client": "wmB", "employee": "shen", "start": "2020-01-01"},
    ],
}
ROLES: Final = {  # login: role and the department it holds in
    "officer": ("officer", None),
    "leader": ("supervisor", "one"),
    "inspector": ("inspector", None),
    "adviser": ("adviser", None),
    "keeper": ("administrator", None),
    "auditor": ("auditor", None),
}
BREACH: Final = "这款产品保本保收益，您放心买。"


class Said(NamedTuple):
    """One message of the firm, as the tests speak of it."""

    id: str
    sender: str
    recipient: str
    text: str
    kind: str = "text"
    at: str = "2026-03-05T10:00:00+08:00"
    group: str | None = None

    def envelope(self) -> dict[str, Any]:
        """As the contract has it."""
        kind = "group" if self.group else "single"
        return {
            "corp": CORP,
            "source": "journey",
            "source_msg_id": self.id,
            "sent_at": self.at,
            "conversation": {"kind": kind, "id": self.group},
            "sender": _party(self.sender),
            "recipients": [_party(self.recipient)],
            "kind": self.kind,
            "action": "send",
            "text": self.text,
        }


TALK: Final = (
    Said("t1", "yuan", "wmA", "早上好，今天琉璃更新了，请查收附件。"),
    Said("t2", "wmA", "yuan", "收到，谢谢，琉璃涨了吗？", at="2026-03-05T10:01:00+08:00"),
    Said("t3", "yuan", "wmA", BREACH, at="2026-03-05T10:02:00+08:00"),
    Said("t4", "qiao", "wmA", "琉璃周报链接", kind="link", at="2026-03-06T09:00:00+08:00"),
    Said("t5", "shen", "wmB", "琉璃报告已寄出，注意查收。", at="2026-03-07T09:00:00+08:00"),
    Said("t6", "wmB", "shen", "好的，琉璃报告收到了。", at="2026-03-07T09:05:00+08:00"),
    Said("t7", "shen", "wmB", f"关于琉璃：{BREACH}", at="2026-03-08T09:00:00+08:00"),
    Said(
        "t8", "yuan", "qiao", "琉璃口径下周统一。", at="2026-03-09T09:00:00+08:00", group="wrTeam"
    ),
)


class Office(NamedTuple):
    """The running firm. `departments` are row ids by code, `ids` message ids by their id at the source."""

    home: Home
    server: Server
    departments: Mapping[str, int]
    ids: Mapping[str, str]

    @contextmanager
    def signed_in(self, login: str) -> Generator[httpx.Client]:
        """A browser's connection with this user's session."""
        with httpx.Client(base_url=self.server.url + API, timeout=60) as client:
            answer = client.post("/session", json={"login": login, "password": PASSWORD})
            assert answer.status_code == 204, answer.text
            yield client

    def program(self) -> httpx.Client:
        """A program's connection with its token."""
        client = self.server.client()
        client.base_url = httpx.URL(self.server.url + API)
        return client

    def catch_up(self) -> None:
        """Wait until what was pushed is findable and screened."""
        run(self.home, "catch-up", "--timeout", "60", "--json").json()


def open_office(home: Home, server: Server) -> Office:
    """Import the people, make the users, push the talk and the WeCom examples."""
    document = home.logs / "people.json"
    document.write_text(json.dumps(PEOPLE, ensure_ascii=False))
    imported = run(home, "people", "import", str(document), "--json").json()
    assert imported["problem_count"] == 0, imported
    departments = _departments(server)
    _make_users(home, server, departments)
    office = Office(home, server, departments, {})
    with office.program() as program:
        push(program, [each.envelope() for each in TALK])
        sent = program.post(
            "/wecom/messages",
            params={"corp": CORP},
            content=EXAMPLES.read_bytes(),
            headers={"content-type": "application/x-ndjson"},
        )
        assert sent.json()["accepted"] == len(EXAMPLES.read_bytes().splitlines()), sent.text
        office.catch_up()
        return office._replace(ids=_ids(program))


def push(program: httpx.Client, envelopes: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Push envelopes as one JSON body; gives the answer."""
    answer = program.post("/messages", json={"messages": list(envelopes)})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def _departments(server: Server) -> dict[str, int]:
    with server.client() as client:
        found = client.get(f"{API}/departments").json()["items"]
    return {each["code"]: each["id"] for each in found}


def _make_users(home: Home, server: Server, departments: Mapping[str, int]) -> None:
    """The first administrator makes the others, each with one role."""
    made = run(
        home,
        *("user", "create", "--login", "root", "--role", "administrator"),
        *("--password", PASSWORD, "--json"),
    ).json()
    assert made["id"].startswith("usr_")
    office = Office(home, server, departments, {})
    with office.signed_in("root") as root:
        employees = root.get("/employees", params={"q": "yuan"}).json()["items"]
        for login, (role, department) in ROLES.items():
            place = departments[department] if department else None
            answer = root.post(
                "/users",
                json={
                    "login": login,
                    "name": f"样例{login}",
                    "password": PASSWORD,
                    "employee_id": employees[0]["id"] if role == "adviser" else None,
                    "roles": [{"role": role, "department_id": place}],
                },
            )
            assert answer.status_code == 201, answer.text


def _ids(program: httpx.Client) -> dict[str, str]:
    """The message ids of everything archived, by their id at the source."""
    asked: dict[str, Any] = {"since": "2000-01-01T00:00:00Z", "limit": 200}
    found: dict[str, str] = {}
    while True:
        page = program.get("/messages", params=asked).json()
        found |= {each["source_msg_id"]: each["id"] for each in page["items"]}
        if page["next"] is None:
            return found
        asked["cursor"] = page["next"]


def _party(name: str) -> dict[str, str]:
    return {"type": "client" if name.startswith("wm") else "employee", "id": name}
