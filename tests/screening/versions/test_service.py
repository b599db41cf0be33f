"""Versions in the database: the first one, drafts, a second person, one release at a time, nothing half done."""

import threading
from typing import Any

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from app.access import OPERATOR, Caller, Event
from app.access.models import AuditEvent
from app.bootstrap import Services
from app.screening import LexiconError, Turn, lexicons
from app.screening.lexicons import LexiconNotFound, Version
from app.screening.models import LexiconRow, LexiconStep
from app.screening.releases import Released
from app.screening.service import LexiconKnown
from app.screening.versions import (
    LexiconStepNotPossible,
    ReasonMissing,
    ReleasedMeanwhile,
    SecondPersonNeeded,
    State,
    Step,
)
from app.screening.wordfiles import version_of
from tests.screening.versions.lists import (
    APPROVER,
    DRAFTER,
    FIRST,
    SAMPLE,
    approved,
    category,
    changed,
    lists,
    released,
    rule,
    wording,
    write,
)


def draft(services: Services, *words: str, by: Caller = DRAFTER) -> Version:
    return services.lexicons.draft(by, wording(*words), based_on="released")


def steps(services: Services, name: str) -> list[Step]:
    with services.db.read() as connection:
        version = lexicons.one(connection, name)
        return [each.step for each in lexicons.history(connection, version)]


def states(services: Services) -> dict[str, State]:
    with services.db.read() as connection:
        return {e.version: e.state for e in lexicons.page(connection, before=None, limit=100)}


def audited(services: Services) -> list[tuple[str, str]]:
    with services.db.read() as connection:
        query = select(AuditEvent.event, AuditEvent.actor_id).order_by(AuditEvent.seq)
        return [(event, actor) for event, actor in connection.execute(query)]


def test_the_shipped_lists_are_the_first_released_version(services: Services) -> None:
    lexicon = services.lexicons.released.current()
    version = services.lexicons.one("released")
    assert lexicon.version == version.version == version_of(FIRST)
    assert (version.created_by, version.examples, version.failures) == ("program", 2, ())
    assert steps(services, version.id) == [Step.INSTALL]


def test_of_many_who_install_at_once_one_does(services: Services) -> None:
    barrier, found = threading.Barrier(4), []

    def install() -> None:
        barrier.wait()
        found.append(services.lexicons.released.install())

    threads = [threading.Thread(target=install) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [version_of(FIRST)] * 4
    assert list(states(services).values()) == [State.RELEASED]


def test_newer_shipped_lists_are_offered_once_and_replace_nothing(
    services: Services, tmp_path: Any
) -> None:
    services.lexicons.released.begin()
    newer = write(tmp_path / "newer", changed("琉璃稳赢", "琉璃必赢"))
    program = Released(services.db, newer)
    assert program.current().version == version_of(FIRST)
    offered = program.offer()
    assert offered is not None
    assert program.offer() is None
    assert services.lexicons.released.offer() is None
    assert program.current().version == version_of(FIRST)
    assert services.lexicons.one(offered).state is State.TESTED


def test_a_shipped_list_with_a_mistake_is_told_before_anything_is_installed(
    services: Services, tmp_path: Any
) -> None:
    wrong = write(tmp_path / "wrong", {**FIRST, SAMPLE: "category = "})
    with pytest.raises(LexiconError):
        Released(services.db, wrong).begin()
    assert states(services) == {}


def test_a_draft_whose_examples_hold_is_tested(services: Services) -> None:
    made = draft(services, "琉璃稳赢", "琉璃必赢")
    assert (made.state, made.based_on) == (State.TESTED, services.lexicons.one("released").id)
    assert steps(services, made.id) == [Step.DRAFT, Step.TEST]


def test_a_draft_whose_examples_fail_stays_a_draft_and_says_which(services: Services) -> None:
    files: dict[str, str | None] = {SAMPLE: category(rule("one", "琉璃稳赢", match=["今天天气好"]))}
    made = services.lexicons.draft(DRAFTER, files, based_on="released")
    assert made.state is State.DRAFT
    kept = services.lexicons.one(made.id)
    assert [(f.file, f.sentence) for f in kept.failures] == [(SAMPLE, "今天天气好")]
    for step in (services.lexicons.approve, services.lexicons.release):
        with pytest.raises(LexiconStepNotPossible):
            step(APPROVER, made.id)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('category = "sample', "categories/sample.toml 第 1 行"),
        ("", "缺少「category」"),
        (category(), "没有任何规则"),
        (category(rule("one", "<没有>")), "概念「没有」"),
        ("rule = 1\n" + category(), "读不出来"),
    ],
)
def test_files_that_cannot_be_used_make_no_version(
    services: Services, text: str, told: str
) -> None:
    services.lexicons.released.begin()
    with pytest.raises(LexiconError, match=told):
        services.lexicons.draft(DRAFTER, {SAMPLE: text}, based_on="released")
    assert list(states(services)) == [version_of(FIRST)]


def test_a_rule_with_empty_lists_finds_nothing_and_fails_nothing(services: Services) -> None:
    empty = '\n[[rule]]\nid = "empty"\nsay = []\nmatch = []\nno_match = []\n'
    made = services.lexicons.draft(DRAFTER, {SAMPLE: category(empty)}, based_on="released")
    assert (made.state, made.examples) == (State.TESTED, 0)
    turns = [Turn("adviser", "琉璃稳赢")]
    assert services.lexicons.attempt(DRAFTER, made.id, turns).findings == ()


def test_a_version_needs_every_shared_file_and_a_category(services: Services) -> None:
    for missing in ("speech.toml", SAMPLE):
        with pytest.raises(LexiconError):
            services.lexicons.draft(DRAFTER, {missing: None}, based_on="released")


def test_equal_content_is_one_version(services: Services) -> None:
    made = draft(services, "琉璃必赢")
    with pytest.raises(LexiconKnown) as refused:
        draft(services, "琉璃必赢", by=APPROVER)
    assert refused.value.facts["id"] == made.id
    with pytest.raises(LexiconKnown):
        services.lexicons.draft(DRAFTER, FIRST)


def test_two_equal_drafts_at_once_make_one_version(services: Services) -> None:
    services.lexicons.released.begin()
    barrier, outcomes = threading.Barrier(3), []

    def work() -> None:
        barrier.wait()
        try:
            outcomes.append(draft(services, "琉璃必赢").id)
        except LexiconKnown:
            outcomes.append("known")

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("known") == 2
    assert len(states(services)) == 2


def test_only_a_second_person_approves(services: Services) -> None:
    made = draft(services, "琉璃必赢")
    program = DRAFTER.__class__("token", "tok_1", "程序", DRAFTER.actions, DRAFTER.scope)
    for nobody in (DRAFTER, program, OPERATOR):
        with pytest.raises(SecondPersonNeeded):
            services.lexicons.approve(nobody, made.id)
    done = services.lexicons.approve(APPROVER, made.id, note="已看")
    assert (done.state, done.approved_by, done.approved_by_name) == (State.APPROVED, "usr_b", "b")
    with pytest.raises(LexiconStepNotPossible):
        services.lexicons.approve(APPROVER, made.id)


def test_the_operator_may_take_it_on_himself_and_the_history_says_so(services: Services) -> None:
    made = draft(services, "琉璃必赢", by=OPERATOR)
    services.lexicons.approve(OPERATOR, made.id, note="合规岗休假", as_operator=True)
    with services.db.read() as connection:
        last = lexicons.history(connection, made)[-1]
    assert (last.actor, last.note) == ("operator", "本机代批；合规岗休假；未回测")


def test_a_rejection_says_why_and_is_final(services: Services) -> None:
    made = draft(services, "琉璃必赢")
    with pytest.raises(ReasonMissing):
        services.lexicons.reject(APPROVER, made.id, " ")
    assert services.lexicons.reject(APPROVER, made.id, "太宽").state is State.REJECTED
    with pytest.raises(LexiconStepNotPossible):
        services.lexicons.approve(APPROVER, made.id)


def test_a_release_retires_the_version_before_and_can_be_taken_back(services: Services) -> None:
    first = services.lexicons.one(services.lexicons.released.current().version)
    second = released(services, "琉璃必赢")
    assert states(services) == {first.version: State.RETIRED, second.version: State.RELEASED}
    assert services.lexicons.released.current().version == second.version
    services.lexicons.release(DRAFTER, first.id)
    assert states(services) == {first.version: State.RELEASED, second.version: State.RETIRED}
    assert services.lexicons.released.current().version == first.version
    assert steps(services, first.id) == [Step.INSTALL, Step.RETIRE, Step.RELEASE]


def test_what_is_not_approved_is_not_released(services: Services) -> None:
    made = draft(services, "琉璃必赢")
    with pytest.raises(LexiconStepNotPossible):
        services.lexicons.release(DRAFTER, made.id)
    with pytest.raises(LexiconStepNotPossible):
        services.lexicons.release(DRAFTER, "released")


def test_of_two_releases_at_once_one_wins_and_the_other_is_told(services: Services) -> None:
    old = services.lexicons.one(services.lexicons.released.current().version)
    chosen = [approved(services, "琉璃必赢"), approved(services, "琉璃包赢")]
    barrier, outcomes = threading.Barrier(2), []

    def release(version: Version) -> None:
        barrier.wait()
        try:
            services.lexicons.release(DRAFTER, version.id, replaces=old.id)
            outcomes.append(version.version)
        except ReleasedMeanwhile:
            outcomes.append("refused")

    threads = [threading.Thread(target=release, args=(each,)) for each in chosen]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("refused") == 1
    [winner] = set(outcomes) - {"refused"}
    assert services.lexicons.released.current().version == winner
    assert sorted(states(services).values()) == [State.APPROVED, State.RELEASED, State.RETIRED]


@pytest.mark.parametrize("nth", [1, 2])
@pytest.mark.parametrize("broken", ["change", "add_step"])
def test_a_release_that_dies_in_between_leaves_the_old_version(
    services: Services, monkeypatch: pytest.MonkeyPatch, broken: str, nth: int
) -> None:
    old = services.lexicons.released.current().version
    made = approved(services, "琉璃必赢")
    before, calls, whole = steps(services, old), [], getattr(lexicons, broken)

    def fail(*arguments: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) == nth:
            raise RuntimeError("killed in between")
        return whole(*arguments, **named)

    monkeypatch.setattr(lexicons, broken, fail)
    with pytest.raises(RuntimeError):
        services.lexicons.release(DRAFTER, made.id)
    assert states(services) == {old: State.RELEASED, made.version: State.APPROVED}
    assert steps(services, old) == before
    assert services.lexicons.released.current().version == old
    monkeypatch.undo()
    services.lexicons.release(DRAFTER, made.id)
    assert services.lexicons.released.current().version == made.version


def test_the_database_itself_keeps_the_released_version_single(services: Services) -> None:
    services.lexicons.released.begin()
    with services.db.read() as connection:
        row = dict(connection.execute(select(LexiconRow.__table__)).mappings().one())
    twin = {**row, "number": 99, "id": "lex_twin", "version": "twin"}
    with pytest.raises(IntegrityError), services.db.write() as connection:
        connection.execute(insert(LexiconRow).values(twin))


def test_history_cannot_be_changed(services: Services) -> None:
    services.lexicons.released.begin()
    with pytest.raises(DBAPIError), services.db.write() as connection:
        connection.execute(update(LexiconStep).values(note="nothing happened"))


def test_every_deed_is_in_the_audit_trail(services: Services) -> None:
    made = released(services, "琉璃必赢")
    other = draft(services, "琉璃包赢")
    services.lexicons.reject(APPROVER, other.id, "重复")
    services.lexicons.files(DRAFTER, made.id)
    assert [each for each in audited(services) if each[0].startswith("screening:")] == [
        (Event.LEXICON_DRAFT, "program"),
        (Event.LEXICON_DRAFT, "usr_a"),
        (Event.LEXICON_APPROVE, "usr_b"),
        (Event.LEXICON_RELEASE, "usr_a"),
        (Event.LEXICON_DRAFT, "usr_a"),
        (Event.LEXICON_REJECT, "usr_b"),
        (Event.LEXICON_READ, "usr_a"),
    ]


def test_versions_are_found_by_id_and_by_version(services: Services) -> None:
    made = draft(services, "琉璃必赢")
    assert services.lexicons.one(made.version) == services.lexicons.one(made.id)
    assert services.lexicons.files(DRAFTER, made.version) == {**FIRST, **wording("琉璃必赢")}
    with pytest.raises(LexiconNotFound):
        services.lexicons.one("lex_nothing")


def test_a_draft_without_a_base_is_exactly_what_was_given(services: Services) -> None:
    files = lists(other=category(rule("one", "琥珀稳赢"), slug="other", name="乙"))
    made = services.lexicons.draft(DRAFTER, files)
    assert (made.based_on, dict(services.lexicons.files(DRAFTER, made.id))) == (None, files)
