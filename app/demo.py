"""The demonstration: a small invented trust company, pushed in through the real ingestion API.

What is made up on the first start (the passwords, the last day of the talk) is written to `sample.json` in the data
folder before anything else, so that a start that was cut short goes on where it stopped, and a later one serves at
once. `sample.json.done` says that the whole talk is in.
"""

import contextlib
import datetime as dt
import json
import secrets
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from app import operate
from app.access import OPERATOR, Role
from app.access.service import LoginTaken
from app.bootstrap import Services, open_services
from app.foundation import clock, logs
from app.foundation.files import write_new
from app.foundation.settings import Settings
from app.people import corp_ids, departments_at, employee_id
from app.sample import Company, company, messages, ndjson, people, push
from app.serve import serve

NOTES = "sample.json"
DONE = "sample.json.done"
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
    """Prepare what is missing, then serve; the talk goes in while the server already answers."""
    if "log_level" not in settings.model_fields_set:
        logs.configure(
            "warning", settings.log_format
        )  # a line for each request would bury the logins
    if (settings.data / DONE).exists():
        serve(settings, on_ready=partial(_greet, settings))
        return
    with open_services(settings, migrate=True) as services:
        notes = _notes(settings.data / NOTES)
        token = _prepare(services, notes)
    serve(settings, on_ready=partial(_fill, settings, token, notes["until"], count))


def _notes(path: Path) -> dict[str, Any]:
    """The last day of the talk and the password of each login, made up the first time."""
    if not path.exists():
        made = {
            "until": clock.now().date().isoformat(),
            "logins": {login: secrets.token_urlsafe(9) for login, _ in LOGINS.values()},
        }
        write_new(path, json.dumps(made).encode())
    known: dict[str, Any] = json.loads(path.read_text())
    return known


def _prepare(services: Services, notes: dict[str, Any]) -> str:
    """Make the people and one login per role, as far as they are missing; gives a token for the push."""
    invented = company()
    document = json.dumps(people(invented, dt.date.fromisoformat(notes["until"])))
    operate.import_people(services, document, kind=None, corp=None)
    employee, department = _adviser(services, invented)
    for role, (login, shown) in LOGINS.items():
        with contextlib.suppress(LoginTaken):
            services.access.create_user(
                OPERATOR,
                login=login,
                name=shown,
                password=notes["logins"][login],
                employee_id=employee if role is Role.ADVISER else None,
                roles=[(role, department if role is Role.SUPERVISOR else None)],
            )
    return str(operate.create_token(services, "样例数据", ["ingest"])["token"])


def _adviser(services: Services, invented: Company) -> tuple[int, int]:
    """The rows of the first adviser, as whom the adviser signs in, and of the department the supervisor leads."""
    userid = invented.assignments[0].employee
    with services.db.read() as connection:
        corp_id = corp_ids(connection, [invented.code])[invented.code]
        employee = employee_id(connection, corp_id, userid)
        if employee is None:
            raise LookupError(userid)  # the import just above has made her
        departments = departments_at(connection, corp_id, [userid], clock.now())[userid]
        return employee, min(departments)


def _greet(settings: Settings) -> None:
    """Tell where to look and how to sign in."""
    logins = json.loads((settings.data / NOTES).read_text())["logins"]
    table = Table("角色", "登录名", "口令", title=f"留痕样例：{_url(settings)}")
    for login, shown in LOGINS.values():
        table.add_row(shown, login, logins[login])
    _say.print(table)


def _fill(settings: Settings, token: str, until: str, count: int) -> None:
    """Greet, then push the talk; what a push that was cut short has left is pushed at the next start."""
    _greet(settings)
    try:
        _push(_url(settings), token, until, count)
    except httpx.HTTPError as error:
        _say.print(f"样例消息没有推完（{type(error).__name__}）；再次启动会接着推入")
        return
    write_new(settings.data / DONE, b"")


def _push(url: str, token: str, until: str, count: int) -> None:
    midnight = dt.datetime.fromisoformat(f"{until}T00:00:00+08:00")
    lines = ndjson(messages(company(), midnight, count))
    with _say.status("正在经接口推入样例消息") as status:
        pushed = push(
            url,
            token,
            lines,
            on_progress=lambda so_far: status.update(f"已推入 {so_far.total} / {count} 条"),
        )
    _say.print(f"样例消息：新入档 {pushed.accepted}，重复 {pushed.duplicate}")


def _url(settings: Settings) -> str:
    """Where this machine reaches the server."""
    host = settings.host.replace("0.0.0.0", "127.0.0.1")  # noqa: S104  (recognised, not listened on)
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"
