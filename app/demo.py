"""The demonstration: a small invented trust company, pushed in through the real ingestion API.

What was made up on the first start (logins, the last day of the talk) stands in `sample.json` in the data folder,
so that a second start serves at once and pushes nothing twice.
"""

import datetime as dt
import json
import secrets
from functools import partial
from typing import Any

from rich.console import Console
from rich.table import Table

from app import operate
from app.access import OPERATOR, Role
from app.bootstrap import Services, open_services
from app.foundation import clock
from app.foundation.files import write_new
from app.foundation.settings import Settings
from app.people import corp_ids, employee_id
from app.sample import Company, company, messages, ndjson, people, push
from app.serve import serve

NOTES = "sample.json"
LOGINS = {
    Role.OFFICER: ("officer", "合规专员（样例）"),
    Role.SUPERVISOR: ("supervisor", "主管（样例）"),
    Role.INSPECTOR: ("inspector", "检查人员（样例）"),
    Role.ADVISER: ("adviser", "财富顾问（样例）"),
    Role.ADMINISTRATOR: ("administrator", "系统管理员（样例）"),
    Role.AUDITOR: ("auditor", "审计员（样例）"),
}
_say = Console(highlight=False)


def run(settings: Settings, count: int) -> None:
    """Prepare once, then serve; the talk goes in while the server already answers."""
    notes = settings.data / NOTES
    if not notes.exists():
        with open_services(settings, migrate=True) as services:
            write_new(notes, json.dumps(_prepare(services)).encode())
    known = json.loads(notes.read_text())
    serve(settings, on_ready=partial(_greet, settings, known, count))


def _prepare(services: Services) -> dict[str, Any]:
    """Make the people, one login per role and the token of the push; gives what must be remembered."""
    today = clock.now().date()
    operate.first_administrator(services)
    invented = company()
    operate.import_people(services, json.dumps(people(invented, today)))
    logins = {name: secrets.token_urlsafe(9) for name, _ in LOGINS.values()}
    for role, (login, shown) in LOGINS.items():
        services.access.create_user(
            OPERATOR,
            login=login,
            name=shown,
            password=logins[login],
            employee_id=_employee(services, invented) if role is Role.ADVISER else None,
            roles=[(role, None)],
        )
    token = operate.create_token(services, "样例数据", ["ingest"])["token"]
    return {"until": today.isoformat(), "logins": logins, "token": token}


def _employee(services: Services, invented: Company) -> int | None:
    """The row of the first adviser, whose own conversations the sample adviser sees."""
    with services.db.read() as connection:
        corp_id = corp_ids(connection, [invented.code])[invented.code]
        return employee_id(connection, corp_id, invented.assignments[0].employee)


def _greet(settings: Settings, known: dict[str, Any], count: int) -> None:
    """Push the talk unless it is there, then tell where to look."""
    url = f"http://127.0.0.1:{settings.port}"
    done = settings.data / f"{NOTES}.done"
    if not done.exists():
        _push(url, known, count)
        write_new(done, b"")
    table = Table("角色", "登录名", "口令", title=f"留痕样例：{url}")
    for _, (login, shown) in LOGINS.items():
        table.add_row(shown, login, known["logins"][login])
    _say.print(table)


def _push(url: str, known: dict[str, Any], count: int) -> None:
    until = dt.datetime.combine(
        dt.date.fromisoformat(known["until"]), dt.time(), dt.timezone(dt.timedelta(hours=8))
    )
    lines = ndjson(messages(company(), until, count))
    with _say.status("正在经接口推入样例消息") as status:
        pushed = push(
            url,
            known["token"],
            lines,
            on_progress=lambda so_far: status.update(f"已推入 {so_far.total} / {count} 条"),
        )
    _say.print(f"样例消息：新入档 {pushed.accepted}，重复 {pushed.duplicate}")


