"""Packages: who may have them, what they prove, that they are the same whenever they are built."""

import base64
import json
import zipfile
from pathlib import Path

import bagit
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from app.access import EVERYTHING, OPERATOR, Action, Caller, Event, Role
from app.access.models import AuditEvent
from app.bootstrap import Services
from app.evidence import assembly, bag, exports, fsck, logs, verify
from app.evidence.exports import NothingSelected, SamePerson, State
from app.evidence.selection import Asked
from app.foundation import jobs
from app.foundation.errors import AppError, BadInput
from app.main import create_app
from tests.archive.samples import SENT_AT, envelope, put
from tests.evidence.conftest import seal
from tests.evidence.packages import APPROVER, DAY, OFFICER, SINCE, build, request, talk

PASSWORD = "long-enough-password-1"  # noqa: S105


def _verdicts(services: Services, path: Path, **given: str) -> dict[str, str]:
    key = services.signer.vkey("liuhen/export")
    return {
        claim: verdict for claim, (verdict, _) in verify.verify(str(path), [key], **given).items()
    }


def _texts(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as package:
        lines = package.read("data/10-records/records-0001.jsonl").splitlines()
    return [record["text"] for record in map(json.loads, lines) if "text" in record]


def test_a_package_proves_all_it_claims(services: Services) -> None:
    talk(services)
    found, path = build(services, request())
    assert (found.state, found.done, found.digest) == (
        State.READY,
        19,
        bag.digest_of(path),
    )
    assert _verdicts(services, path) == dict.fromkeys("ABCFG", "proved") | dict.fromkeys(
        "DE", "not_claimed"
    )
    assert len(_texts(path)) == 19


def test_an_independent_validator_accepts_the_bag(services: Services, tmp_path: Path) -> None:
    talk(services)
    _, path = build(services, request())
    with zipfile.ZipFile(path) as package:
        package.extractall(tmp_path / "bag")
    assert bagit.Bag(str(tmp_path / "bag")).validate()
    assert _verdicts(services, tmp_path / "bag")["A"] == "proved"


def test_a_period_is_complete_and_says_what_lies_outside(services: Services) -> None:
    talk(services)
    _, path = build(services, request(asked=Asked(since=SINCE, until=SENT_AT + 2 * DAY)))
    assert _verdicts(services, path)["F"] == "proved"
    with zipfile.ZipFile(path) as package:
        places = [
            json.loads(line)
            for line in package.read("data/70-gaps/conversations.jsonl").splitlines()
        ]
    assert all(place["first"] == 3 and place["last"] < place["head"] for place in places)


def test_holes_are_shown_by_bare_leaves(services: Services) -> None:
    talk(services)
    found, path = build(services, request(asked=Asked(until=SENT_AT + 2 * DAY)))
    late = found.preview  # the recall came last but was sent early: the ones between are bare
    assert late["bare_leaves"] == 0
    _, path = build(services, request(asked=Asked(adviser=("SU.HE",), since=SINCE)))
    with zipfile.ZipFile(path) as package:
        statement = _statement(package)
    assert statement["counts"]["not_selected"] == 0
    assert _verdicts(services, path)["F"] == "proved"


def _statement(package: zipfile.ZipFile) -> dict[str, dict[str, int]]:
    payload = json.loads(package.read("statement.dsse.json"))["payload"]
    told: dict[str, dict[str, int]] = json.loads(base64.b64decode(payload))
    return told


def test_what_is_chosen_by_words_claims_no_completeness(services: Services) -> None:
    talk(services)
    _, path = build(services, request(asked=Asked(q="净值")))
    assert _verdicts(services, path)["F"] == "not_claimed"
    assert {text[:1] for text in _texts(path)} == {"第"}


def test_redactions_are_provable_and_listed(services: Services) -> None:
    talk(services)
    _, path = build(services, request(redactions={"msg_1_1": "无关第三人隐私"}))
    verdicts = _verdicts(services, path)
    assert (verdicts["C"], verdicts["G"]) == ("proved", "proved")
    assert not any(text.startswith("第0次") for text in _texts(path))
    with zipfile.ZipFile(path) as package:
        whole = b"".join(
            package.read(name) for name in package.namelist() if name.endswith((".jsonl", ".json"))
        )
        assert "第0次" not in whole.decode()
        [listed] = json.loads(package.read("data/70-gaps/coverage.json"))["withheld"]
    assert (listed["index"], listed["note"]) == (0, "无关第三人隐私")


def test_the_same_export_is_the_same_bytes_whenever_it_is_built(services: Services) -> None:
    talk(services)
    found, path = build(services, request())
    first = path.read_bytes()
    services.builder.remove(found)
    talk_more = request(asked=Asked(client=("wmB",)))
    build(services, talk_more)  # time goes on: other exports, other heads
    with services.db.write() as connection:
        exports.change(connection, found, state=State.APPROVED)
    assert services.builder.build(found.id)
    assert path.read_bytes() == first


def test_a_build_that_dies_anywhere_goes_on_and_ends_in_the_same_bytes(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk(services)
    found, path = build(services, request())
    expected = path.read_bytes()
    services.builder.remove(found)
    with services.db.write() as connection:
        exports.change(connection, found, state=State.APPROVED)
    steps = [
        "_make_plan",
        "_write_part",
        "_write_proofs",
        "_write_views",
        "_write_custody",
        "_write_papers",
        "finish",
    ]
    for step in steps:
        for when in ("before", "after"):
            original = getattr(assembly.Assembly, step)

            def die(*arguments: object, original: object = original, when: str = when) -> None:
                if when == "after":
                    original(*arguments)  # type: ignore[operator]
                raise OSError(28, "No space left on device")

            with monkeypatch.context() as patched:
                patched.setattr(assembly.Assembly, step, die)
                if step == "finish" or not _is_done(services, found.id, step):
                    with pytest.raises(OSError, match="No space"):
                        services.builder.build(found.id)
    assert services.builder.build(found.id)
    assert path.read_bytes() == expected
    assert fsck.check(services.db, services.signer, "liuhen") == []


def _is_done(services: Services, name: str, step: str) -> bool:
    marks = {
        "_make_plan": "plan.json",
        "_write_part": "records-0001.done",
        "_write_proofs": "bag/data/30-proofs/consistency.jsonl",
        "_write_views": "views-0001.done",
        "_write_custody": "custody.json",
        "_write_papers": "papers.done",
    }
    return (services.settings.data / "exports" / name / "work" / marks[step]).exists()


def test_an_older_checkpoint_is_bridged(services: Services) -> None:
    talk(services, 2)
    seal(services)
    with services.db.read() as connection:
        older = logs.latest(connection, 1)
    assert older is not None
    put_more = request()
    talk_again(services)
    _, path = build(services, put_more)
    assert _verdicts(services, path, checkpoint=older.note)["D"] == "proved"
    forged = older.note.replace("\n7\n", "\n6\n", 1)
    assert forged != older.note
    assert _verdicts(services, path, checkpoint=forged)["D"] == "failed"


def talk_again(services: Services) -> None:
    """More messages in the same log."""
    put(services.door, *(envelope(f"more{number}") for number in range(5)))


def test_nobody_approves_her_own_request(services: Services) -> None:
    talk(services, 1)
    both = Caller(
        "user", "usr_a", "合规甲", frozenset({Action.EXPORT, Action.APPROVE_EXPORT}), EVERYTHING
    )
    name = exports.request(services.db, both, request()).id
    with pytest.raises(SamePerson):
        exports.approve(services.db, both, name, "自己批准")
    exports.approve(services.db, APPROVER, name, "")
    with pytest.raises(AppError):  # once is enough
        exports.approve(services.db, APPROVER, name, "")
    alone = exports.request(services.db, OPERATOR, request()).id
    with pytest.raises(SamePerson):
        exports.approve(services.db, OPERATOR, alone, " ")
    exports.approve(services.db, OPERATOR, alone, "夜间值守，无第二人")


def test_an_export_abroad_needs_an_approval(services: Services) -> None:
    talk(services, 1)
    with pytest.raises(BadInput, match="境外"):
        exports.request(services.db, OFFICER, request(jurisdiction="US"))
    exports.request(
        services.db, OFFICER, request(jurisdiction="US", foreign_approval="〔2026〕1号")
    )


def test_what_cannot_be_selected_is_refused(services: Services) -> None:
    talk(services, 1)
    for wanted in (
        request(asked=Asked(q="不存在的话")),
        request(asked=Asked(client=("nobody",))),
        request(asked=Asked(conversation="wrNowhere")),
    ):
        with pytest.raises(NothingSelected):
            exports.request(services.db, OFFICER, wanted)
    with pytest.raises(BadInput):
        exports.request(services.db, OFFICER, request(corp="ww-none"))
    with pytest.raises(BadInput):
        exports.request(services.db, OFFICER, request(redactions={"msg_1_99": "x"}))


def test_the_whole_way_over_http(services: Services) -> None:
    talk(services, 2)
    people = {}
    for login, role in (
        ("officer", Role.OFFICER),
        ("boss", Role.SUPERVISOR),
        ("admin", Role.ADMINISTRATOR),
    ):
        services.access.create_user(
            OPERATOR,
            login=login,
            name=login,
            password=PASSWORD,
            employee_id=None,
            roles=[(role, None)],
        )
        people[login] = TestClient(create_app(services), base_url="https://testserver")
        people[login].post("/api/v1/session", json={"login": login, "password": PASSWORD})
    body = dict.fromkeys(("case", "legal_basis", "purpose", "recipient"), "x") | {"corp": "ww1"}
    asked = people["officer"].post("/api/v1/exports", json=body)
    assert asked.status_code == 201, asked.text
    assert asked.json()["preview"]["messages"] == 7
    place = f"/api/v1/exports/{asked.json()['id']}"
    assert people["officer"].post(f"{place}/approve", json={}).status_code == 403
    assert people["admin"].get(place).status_code == 404
    early = people["officer"].get(f"{place}/package")
    assert (early.status_code, early.json()["code"]) == (409, "export_state")
    assert (
        people["boss"].get("/api/v1/exports/to-decide").json()["items"][0]["state"] == "requested"
    )
    assert people["boss"].post(f"{place}/approve", json={}).json()["state"] == "approved"
    seal(services)
    jobs.Worker(services.db, services.handlers, name="t").work_off()
    assert people["officer"].get(place).json()["state"] == "ready"
    package = people["officer"].get(f"{place}/package")
    assert package.headers["content-type"] == "application/zip"
    assert people["boss"].get(f"{place}/package").status_code == 403
    target = services.settings.data / "got.zip"
    target.write_bytes(package.content)
    assert _verdicts(services, target)["C"] == "proved"
    signed = people["officer"].get(f"{place}/signature").json()
    assert signed["payloadType"] == verify.STATEMENT_TYPE
    with services.db.read() as connection:
        seen = set(connection.execute(select(AuditEvent.event)).scalars())
    assert {
        Event.EXPORT_REQUEST,
        Event.EXPORT_APPROVE,
        Event.EXPORT_BUILD,
        Event.EXPORT_DOWNLOAD,
    } <= {Event(each) for each in seen}


def test_a_rejection_has_a_reason_and_is_final(services: Services) -> None:
    talk(services, 1)
    name = exports.request(services.db, OFFICER, request()).id
    with pytest.raises(BadInput):
        exports.reject(services.db, APPROVER, name, " ")
    assert exports.reject(services.db, APPROVER, name, "范围过大").state == State.REJECTED
    with pytest.raises(AppError):
        exports.approve(services.db, APPROVER, name, "")
