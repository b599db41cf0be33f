"""Users, sign-in, sessions and tokens on a real database, each with its audit entry."""

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import pytest
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy import func, insert, select, text
from sqlalchemy.exc import IntegrityError

from app.access import (
    EVERYTHING,
    OPERATOR,
    Access,
    Action,
    Caller,
    Event,
    Role,
    Scope,
    TokenScope,
    verify,
)
from app.access import service as service_module
from app.access.audit import Filter, details, page
from app.access.models import ApiToken, AuditEvent, LoginAttempt, User, UserRole, UserSession
from app.access.service import (
    BeyondOwnRights,
    LoginTaken,
    OwnRights,
    RoleHeld,
    TooManySignIns,
    WeakPassword,
    WrongCredentials,
)
from app.access.throttle import ADDRESS_LIMIT, LOGIN_LIMIT, WINDOW
from app.foundation import clock
from app.foundation.database import Database
from app.foundation.errors import BadInput, NotFound, NotSignedIn, Unavailable
from app.foundation.settings import Settings

PASSWORD = "a-long-enough-one"  # noqa: S105  (sample data)
HOME = "192.0.2.1"
Clock = Callable[[timedelta], None]


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Lets time pass for every room: the clock is the one place that tells it."""
    now = clock.now()

    def move(by: timedelta) -> None:
        nonlocal now
        now += by

    monkeypatch.setattr(clock, "now", lambda: now)
    monkeypatch.setattr(clock, "now_ms", lambda: clock.to_ms(now))
    return move


def events(db: Database) -> list[str]:
    with db.read() as connection:
        rows = connection.execute(select(AuditEvent.event).order_by(AuditEvent.seq))
        return list(rows.scalars())


def facts(db: Database, event: Event) -> list[tuple[str, str, dict[str, Any]]]:
    with db.read() as connection:
        links = page(connection, Filter(event=event), before=None, limit=100)
    return [
        (link.entry.actor_id, link.entry.subject, details(link.entry)) for link in reversed(links)
    ]


def fail(access: Access, login: str = "chief", address: str = HOME, times: int = 1) -> None:
    for _ in range(times):
        with pytest.raises(WrongCredentials):
            access.sign_in(login, "wrong-password", address)


def staff(
    access: Access, login: str, *roles: tuple[Role, int | None], employee: int | None = None
) -> str:
    return access.create_user(
        OPERATOR, login=login, name="样例", password=PASSWORD, employee_id=employee, roles=roles
    )


def session_caller(access: Access, login: str, action: Action | None = None) -> Caller:
    return access.caller_of_session(access.sign_in(login, PASSWORD, HOME), action)


# users


def test_the_first_administrator_is_made_once(db: Database, access: Access) -> None:
    made = access.create_first_administrator()
    assert made is not None
    before = events(db)
    assert access.create_first_administrator() is None
    assert events(db) == before == [Event.USER_CREATE, Event.ROLE_GRANT]
    token = access.sign_in(made.login, made.password, HOME)
    assert access.caller_of_session(token).may(Action.MANAGE_USERS)


@pytest.mark.usefixtures("administrator")
def test_a_login_is_taken_in_whatever_case(access: Access) -> None:
    with pytest.raises(LoginTaken):
        staff(access, " CHIEF ")


@pytest.mark.parametrize("password", ["short", "x" * 257, "Chief-chief-1"])
def test_a_weak_password_is_refused(access: Access, administrator: str, password: str) -> None:
    with pytest.raises(WeakPassword):
        access.set_password(OPERATOR, administrator, password)


@pytest.mark.parametrize("login", ["", "  ", "a b", "x" * 65, "a\0b", "a\ud800"])
def test_a_login_that_is_no_word_is_refused(access: Access, login: str) -> None:
    with pytest.raises(BadInput):
        staff(access, login)


def test_nobody_changes_her_own_rights(access: Access, administrator: str) -> None:
    caller = session_caller(access, "chief", Action.MANAGE_USERS)
    grant = access.user(administrator).roles[0].id
    for change in (
        lambda: access.grant_role(caller, administrator, Role.OFFICER),
        lambda: access.revoke_role(caller, administrator, grant),
        lambda: access.link_employee(caller, administrator, 1),
        lambda: access.disable_user(caller, administrator),
    ):
        with pytest.raises(OwnRights):
            change()
    assert access.user(administrator).roles == (access.user(administrator).roles[0],)


def test_a_role_is_held_once_at_one_place(access: Access, administrator: str) -> None:
    access.grant_role(OPERATOR, administrator, Role.OFFICER, 3)
    access.grant_role(OPERATOR, administrator, Role.OFFICER, 4)
    for place in (None, 3):
        with pytest.raises(RoleHeld):
            access.grant_role(
                OPERATOR,
                administrator,
                Role.ADMINISTRATOR if place is None else Role.OFFICER,
                place,
            )


@pytest.mark.parametrize("place", [None, 3])
def test_the_database_itself_keeps_a_role_single(
    db: Database, administrator: str, place: int | None
) -> None:
    rows = [
        {"id": f"grt_{n}", "user_id": administrator, "role": "auditor", "department_id": place}
        for n in range(2)
    ]
    with pytest.raises(IntegrityError), db.write() as connection:
        connection.execute(insert(UserRole), rows)


def test_a_role_of_somebody_else_is_not_revoked(access: Access, administrator: str) -> None:
    other = staff(access, "other", (Role.AUDITOR, None))
    grant = access.user(other).roles[0].id
    with pytest.raises(NotFound):
        access.revoke_role(OPERATOR, administrator, grant)
    assert access.user(other).roles


def test_a_role_holds_and_ends_with_the_next_request(access: Access) -> None:
    user = staff(access, "officer", (Role.OFFICER, 3))
    token = access.sign_in("officer", PASSWORD, HOME)
    assert access.caller_of_session(token, Action.SEARCH).scope == Scope(frozenset({3}), None)
    access.grant_role(OPERATOR, user, Role.OFFICER)
    assert access.caller_of_session(token, Action.SEARCH).scope == EVERYTHING
    for role in access.user(user).roles:
        access.revoke_role(OPERATOR, user, role.id)
    assert not access.caller_of_session(token).actions


def test_an_adviser_sees_the_employee_she_is(access: Access) -> None:
    user = staff(access, "adviser", (Role.ADVISER, None), employee=7)
    token = access.sign_in("adviser", PASSWORD, HOME)
    assert access.caller_of_session(token, Action.READ_OWN).scope == Scope(frozenset(), 7)
    access.link_employee(OPERATOR, user, None)
    assert access.caller_of_session(token, Action.READ_OWN).scope == Scope(frozenset(), None)


def test_users_are_listed_by_login_in_pages(access: Access) -> None:
    for login in ("c", "a", "d", "b"):
        staff(access, f"user-{login}", (Role.AUDITOR, None))
    first = access.users(limit=3)
    rest = access.users(after=first[-1].login, limit=3)
    assert [user.login[-1] for user in (*first, *rest)] == ["a", "b", "c", "d"]
    assert all(user.roles[0].role is Role.AUDITOR for user in (*first, *rest))


def test_every_change_of_users_leaves_one_entry_of_its_kind(
    db: Database, access: Access, administrator: str
) -> None:
    steps: list[tuple[Event, Callable[[], object]]] = [
        (Event.USER_CHANGE, lambda: access.rename_user(OPERATOR, administrator, "样例乙")),
        (Event.USER_CHANGE, lambda: access.link_employee(OPERATOR, administrator, 5)),
        (Event.USER_PASSWORD, lambda: access.set_password(OPERATOR, administrator, "another-one")),
        (Event.USER_DISABLE, lambda: access.disable_user(OPERATOR, administrator)),
        (Event.USER_ENABLE, lambda: access.enable_user(OPERATOR, administrator)),
        (Event.ROLE_GRANT, lambda: access.grant_role(OPERATOR, administrator, Role.AUDITOR, 2)),
    ]
    for event, step in steps:
        before = events(db)
        step()
        assert events(db) == [*before, event]
    assert "another-one" not in str(facts(db, Event.USER_PASSWORD))
    with db.read() as connection:
        assert verify(connection) == []


def test_no_change_without_its_audit_entry(
    db: Database, access: Access, administrator: str
) -> None:
    refuse = {
        "sqlite": "CREATE TRIGGER full BEFORE INSERT ON audit_events"
        " BEGIN SELECT RAISE(ABORT, 'no audit'); END",
        "postgresql": "ALTER TABLE audit_events ADD CONSTRAINT full_table CHECK (seq < 1) NOT VALID",
    }
    with db.write() as connection:
        connection.execute(text(refuse[connection.dialect.name]))
    for change in (
        lambda: access.grant_role(OPERATOR, administrator, Role.OFFICER),
        lambda: access.disable_user(OPERATOR, administrator),
        lambda: access.sign_in("chief", PASSWORD, HOME),
        lambda: access.create_token("样例", [TokenScope.INGEST], OPERATOR),
        lambda: staff(access, "other"),
    ):
        with pytest.raises(IntegrityError):
            change()
    assert len(access.users()) == 1
    assert len(access.user(administrator).roles) == 1
    assert access.user(administrator).disabled_at is None
    assert access.tokens() == []
    with db.read() as connection:
        assert connection.execute(select(func.count()).select_from(UserSession)).scalar() == 0


def test_what_is_not_there_is_not_found(access: Access) -> None:
    for ask in (
        lambda: access.user("usr_none"),
        lambda: access.set_password(OPERATOR, "usr_none", PASSWORD),
        lambda: access.disable_user(OPERATOR, "usr_none"),
        lambda: access.grant_role(OPERATOR, "usr_none", Role.AUDITOR),
        lambda: access.revoke_role(OPERATOR, "usr_none", "grt_none"),
        lambda: access.revoke_token(OPERATOR, "tok_none"),
    ):
        with pytest.raises(NotFound):
            ask()


# sign-in


@pytest.mark.usefixtures("administrator")
def test_nothing_secret_is_kept_in_the_clear(db: Database, access: Access) -> None:
    session = access.sign_in("chief", PASSWORD, HOME)
    token = access.create_token("样例", [TokenScope.INGEST], OPERATOR)
    with db.read() as connection:
        kept = [
            repr(tuple(row))
            for table in (User, UserSession, ApiToken, LoginAttempt, AuditEvent)
            for row in connection.execute(select(*table.__table__.columns))
        ]
    assert not [row for row in kept if any(each in row for each in (PASSWORD, session, token))]
    assert any("$argon2id$" in row for row in kept)


@pytest.mark.usefixtures("administrator")
def test_a_login_is_typed_as_people_type_it(access: Access) -> None:
    assert access.sign_in(" ChieF ", PASSWORD, HOME)


@pytest.mark.parametrize(
    "password", ["", "wrong-password", PASSWORD + " ", "\0", "\ud800", "x" * 5000]
)
@pytest.mark.usefixtures("administrator")
def test_a_wrong_password_is_refused(access: Access, password: str) -> None:
    with pytest.raises(WrongCredentials):
        access.sign_in("chief", password, HOME)


def test_unknown_and_disabled_are_refused_like_a_wrong_password(
    access: Access, administrator: str
) -> None:
    access.disable_user(OPERATOR, administrator)
    told = set()
    for login, password in (
        ("chief", PASSWORD),
        ("nobody", PASSWORD),
        ("no\0body\ud800", PASSWORD),
    ):
        with pytest.raises(WrongCredentials) as refusal:
            access.sign_in(login, password, HOME)
        told.add((refusal.value.detail, str(refusal.value.facts)))
    assert len(told) == 1


@pytest.mark.usefixtures("administrator")
def test_an_unknown_login_costs_one_verification_like_a_known_one(
    db: Database, settings: Settings
) -> None:
    verified: list[str] = []

    class Counting(Argon2Hasher):
        def verify(self, password: str | bytes, hash: str | bytes) -> bool:  # noqa: A002
            verified.append(str(hash).split("$")[3])
            return super().verify(password, hash)

    cost = Counting(time_cost=1, memory_cost=8, parallelism=1)
    access = Access(db, settings, hasher=PasswordHash((cost,)))
    fail(access, "chief")
    fail(access, "nobody")
    assert verified == ["m=8,t=1,p=1"] * 2


def test_sign_ins_are_told_with_where_they_came_from(
    db: Database, access: Access, administrator: str
) -> None:
    fail(access)
    fail(access, "my-secret-password")
    access.sign_in("chief", PASSWORD, HOME)
    assert facts(db, Event.LOGIN_FAILED) == [
        (administrator, administrator, {"address": HOME}),
        ("", "", {"address": HOME}),
    ]
    assert facts(db, Event.LOGIN_OK) == [(administrator, administrator, {"address": HOME})]


@pytest.mark.usefixtures("administrator")
def test_a_hash_of_an_older_cost_is_made_anew_at_sign_in(
    db: Database, settings: Settings, access: Access
) -> None:
    dearer = PasswordHash((Argon2Hasher(time_cost=2, memory_cost=16, parallelism=1),))
    Access(db, settings, hasher=dearer).sign_in("chief", PASSWORD, HOME)
    with db.read() as connection:
        assert "m=16,t=2" in connection.execute(select(User.password_hash)).scalar_one()
    assert access.sign_in("chief", PASSWORD, HOME)


# throttle


@pytest.mark.usefixtures("administrator")
def test_a_login_is_shut_after_its_failures_and_opens_when_they_are_old(
    db: Database, access: Access, later: Clock
) -> None:
    fail(access, times=LOGIN_LIMIT)
    with pytest.raises(TooManySignIns) as refusal:
        access.sign_in("chief", PASSWORD, "198.51.100.7")
    assert refusal.value.status == 429
    assert refusal.value.facts["retry_after"] == WINDOW // 1000
    assert facts(db, Event.LOGIN_THROTTLED) == [
        ("", "", {"address": "198.51.100.7", "by": "login"})
    ]
    later(timedelta(milliseconds=WINDOW))
    assert access.sign_in("chief", PASSWORD, HOME)


@pytest.mark.usefixtures("administrator")
def test_refusals_do_not_keep_a_login_shut_and_are_told_once(
    db: Database, access: Access, later: Clock
) -> None:
    fail(access, times=LOGIN_LIMIT)
    for _ in range(10):
        with pytest.raises(TooManySignIns):
            access.sign_in("chief", PASSWORD, HOME)
        later(timedelta(milliseconds=WINDOW // 20))
    assert len(facts(db, Event.LOGIN_THROTTLED)) == 1
    later(timedelta(milliseconds=WINDOW // 2))
    assert access.sign_in("chief", PASSWORD, HOME)


@pytest.mark.usefixtures("administrator")
def test_a_success_makes_the_login_forget_its_failures(access: Access) -> None:
    for _ in range(3):
        fail(access, times=LOGIN_LIMIT - 1)
        assert access.sign_in("chief", PASSWORD, HOME)


@pytest.mark.usefixtures("administrator")
def test_an_address_is_shut_over_many_logins(db: Database, access: Access) -> None:
    for number in range(ADDRESS_LIMIT):
        fail(access, f"user{number}")
    with pytest.raises(TooManySignIns):
        access.sign_in("chief", PASSWORD, HOME)
    assert facts(db, Event.LOGIN_THROTTLED)[0][2]["by"] == "address"
    assert access.sign_in("chief", PASSWORD, "198.51.100.7")


@pytest.mark.usefixtures("administrator")
def test_a_success_of_ones_own_login_does_not_open_the_address(access: Access) -> None:
    for number in range(ADDRESS_LIMIT - 1):
        fail(access, f"user{number}")
    access.sign_in("chief", PASSWORD, HOME)
    fail(access, "another")
    with pytest.raises(TooManySignIns):
        access.sign_in("chief", PASSWORD, HOME)


@pytest.mark.usefixtures("administrator")
def test_many_guesses_at_once_are_counted_like_one_after_the_other(access: Access) -> None:
    refused: list[type[Exception]] = []

    def guess() -> None:
        try:
            access.sign_in("chief", "wrong-password", HOME)
        except (WrongCredentials, TooManySignIns) as error:
            refused.append(type(error))

    threads = [threading.Thread(target=guess) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused.count(WrongCredentials) == LOGIN_LIMIT
    assert refused.count(TooManySignIns) == 20 - LOGIN_LIMIT


@pytest.mark.usefixtures("administrator")
def test_old_attempts_are_forgotten(db: Database, access: Access, later: Clock) -> None:
    fail(access, "nobody", times=LOGIN_LIMIT)
    later(timedelta(milliseconds=WINDOW))
    access.sign_in("chief", PASSWORD, HOME)
    with db.read() as connection:
        assert connection.execute(select(func.count()).select_from(LoginAttempt)).scalar() == 0


def test_passwords_are_looked_at_a_few_at_a_time(
    db: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_module, "HASHES_AT_ONCE", 1)
    monkeypatch.setattr(service_module, "HASHING_PATIENCE", 0.0)
    asked, go_on = threading.Event(), threading.Event()

    class Slow(Argon2Hasher):
        def verify(self, password: str | bytes, hash: str | bytes) -> bool:  # noqa: A002
            asked.set()
            go_on.wait(30)
            return super().verify(password, hash)

    slow = PasswordHash((Slow(time_cost=1, memory_cost=8, parallelism=1),))
    access = Access(db, settings, hasher=slow)
    first = threading.Thread(target=fail, args=(access, "one"))
    first.start()
    assert asked.wait(30)
    with pytest.raises(Unavailable):
        access.sign_in("two", PASSWORD, HOME)
    go_on.set()
    first.join()
    fail(access, "two")


# sessions


def test_a_session_ends_at_its_hour(
    access: Access, settings: Settings, administrator: str, later: Clock
) -> None:
    token = access.sign_in("chief", PASSWORD, HOME)
    later(timedelta(hours=settings.session_hours) - timedelta(milliseconds=1))
    assert access.caller_of_session(token).id == administrator
    later(timedelta(milliseconds=1))
    with pytest.raises(NotSignedIn):
        access.caller_of_session(token)


def test_signing_out_ends_this_session_alone(
    db: Database, access: Access, administrator: str
) -> None:
    first, second = (access.sign_in("chief", PASSWORD, HOME) for _ in range(2))
    access.sign_out(first)
    access.sign_out(first)
    access.sign_out("no such session")
    with pytest.raises(NotSignedIn):
        access.caller_of_session(first)
    assert access.caller_of_session(second).id == administrator
    assert len(facts(db, Event.LOGOUT)) == 1


@pytest.mark.parametrize("end", ["disable", "password", "own password"])
def test_every_session_ends_when_a_user_is_disabled_or_has_another_password(
    access: Access, administrator: str, end: str
) -> None:
    tokens = [access.sign_in("chief", PASSWORD, HOME) for _ in range(2)]
    if end == "disable":
        access.disable_user(OPERATOR, administrator)
        access.enable_user(OPERATOR, administrator)
    elif end == "password":
        access.set_password(OPERATOR, administrator, "another-one")
    else:
        caller = access.caller_of_session(tokens[0])
        access.change_own_password(caller, PASSWORD, "another-one", HOME)
        assert access.sign_in("chief", "another-one", HOME)
    for token in tokens:
        with pytest.raises(NotSignedIn):
            access.caller_of_session(token)


@pytest.mark.usefixtures("administrator")
def test_ones_own_password_needs_the_current_one_and_guesses_are_counted(access: Access) -> None:
    caller = session_caller(access, "chief")
    for _ in range(LOGIN_LIMIT):
        with pytest.raises(WrongCredentials):
            access.change_own_password(caller, "wrong-password", "another-one", HOME)
    with pytest.raises(TooManySignIns):
        access.change_own_password(caller, PASSWORD, "another-one", HOME)


@pytest.mark.usefixtures("administrator")
def test_sessions_long_expired_are_forgotten(db: Database, access: Access, later: Clock) -> None:
    access.sign_in("chief", PASSWORD, HOME)
    later(timedelta(days=40))
    access.sign_in("chief", PASSWORD, HOME)
    with db.read() as connection:
        assert connection.execute(select(func.count()).select_from(UserSession)).scalar() == 1


@pytest.mark.parametrize("token", ["", "x", "\0", "\ud800", "lh_" + "a" * 43])
def test_what_is_no_session_and_no_token_is_nobody(access: Access, token: str) -> None:
    with pytest.raises(NotSignedIn):
        access.caller_of_session(token)
    with pytest.raises(NotSignedIn):
        access.caller_of_token(token)


# tokens


def test_a_token_may_what_its_scopes_say(access: Access) -> None:
    token = access.create_token("样例", [TokenScope.INGEST, TokenScope.CHECK], OPERATOR)
    caller = access.caller_of_token(token, Action.INGEST, "req_9")
    assert token.startswith("lh_")
    assert caller.actions == {Action.INGEST, Action.CHECK}
    assert (caller.kind, caller.name, caller.scope, caller.request_id) == (
        "token",
        "样例",
        EVERYTHING,
        "req_9",
    )


def test_a_revoked_token_is_refused_at_once_here(db: Database, access: Access) -> None:
    token_id, token = access.issue_token("样例", [TokenScope.INGEST], OPERATOR)
    access.caller_of_token(token)
    access.revoke_token(OPERATOR, token_id)
    access.revoke_token(OPERATOR, token_id)
    with pytest.raises(NotSignedIn):
        access.caller_of_token(token)
    assert len(facts(db, Event.TOKEN_REVOKE)) == 1


@pytest.mark.parametrize(("memory", "is_known"), [(3600.0, True), (0.0, False)])
def test_a_revoked_token_is_known_elsewhere_for_as_long_as_the_memory_lasts(
    db: Database,
    settings: Settings,
    access: Access,
    cheap_hasher: PasswordHash,
    monkeypatch: pytest.MonkeyPatch,
    memory: float,
    is_known: bool,  # noqa: FBT001
) -> None:
    monkeypatch.setattr(service_module, "TOKEN_MEMORY", memory)
    elsewhere = Access(db, settings, hasher=cheap_hasher)
    token_id, token = access.issue_token("样例", [TokenScope.INGEST], OPERATOR)
    assert elsewhere.caller_of_token(token).id == token_id
    access.revoke_token(OPERATOR, token_id)
    if is_known:
        assert elsewhere.caller_of_token(token).id == token_id
        return
    with pytest.raises(NotSignedIn):
        elsewhere.caller_of_token(token)


def test_the_memory_of_a_token_is_short() -> None:
    assert service_module.TOKEN_MEMORY <= 5


def test_a_remembered_token_does_not_ask_the_database(db: Database, access: Access) -> None:
    token = access.create_token("样例", [TokenScope.INGEST], OPERATOR)
    access.caller_of_token(token)
    db.close()
    assert access.caller_of_token(token).may(Action.INGEST)


def test_the_memory_of_tokens_stays_within_its_bound(
    access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_module, "TOKENS_REMEMBERED", 3)
    for number in range(8):
        access.caller_of_token(access.create_token(f"t{number}", [TokenScope.INGEST], OPERATOR))
        assert len(access._tokens) <= 3


def test_the_use_of_a_token_is_noted_to_the_hour(
    access: Access, later: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_module, "TOKEN_MEMORY", -1.0)
    token = access.create_token("样例", [TokenScope.INGEST], OPERATOR)

    def used_after(by: timedelta) -> datetime | None:
        later(by)
        access.caller_of_token(token)
        return access.tokens()[0].last_used_at

    first = used_after(timedelta())
    assert first == clock.now()
    assert used_after(timedelta(minutes=59)) == first
    assert used_after(timedelta(minutes=1)) == clock.now() != first


@pytest.mark.usefixtures("administrator")
def test_an_administrator_gives_no_token_that_reveals_what_she_may_not_see(access: Access) -> None:
    caller = session_caller(access, "chief", Action.MANAGE_TOKENS)
    for scope in TokenScope:
        with suppress(BeyondOwnRights):
            access.create_token("样例", [scope], caller)
    given = {scope for token in access.tokens() for scope in token.scopes}
    assert given == {TokenScope.INGEST, TokenScope.CHECK, TokenScope.ADMIN}


def test_the_operator_gives_any_token(db: Database, access: Access) -> None:
    access.create_token("样例", TokenScope, OPERATOR)
    assert set(access.tokens()[0].scopes) == set(TokenScope)
    assert facts(db, Event.TOKEN_CREATE)[0][2]["scopes"] == sorted(TokenScope)


def test_a_token_is_known_though_its_use_cannot_be_noted(
    access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = access.create_token("样例", [TokenScope.SEARCH], OPERATOR)

    def full() -> None:
        raise Unavailable

    monkeypatch.setattr(access.db, "write", full)
    assert access.caller_of_token(token).may(Action.SEARCH)
