"""Users, sign-in, sessions and tokens. Every change leaves its audit row in the same transaction.

Passwords are kept as argon2id hashes, sessions and tokens as the SHA-256 of 256 random bits. Sessions are looked
up on every request, so that ending one, disabling a user or taking a role away holds from the next request on.
Tokens are remembered for `TOKEN_MEMORY` seconds, because ingestion must not ask the database for every batch:
a revoked token is refused within these seconds, and at once by the process that revoked it.
"""

import contextlib
import hashlib
import secrets
import threading
import time
from collections.abc import Iterable, Sequence
from datetime import timedelta
from functools import cached_property
from typing import NamedTuple

from pwdlib import PasswordHash
from sqlalchemy import Connection

from app.access import attempts, audit, store
from app.access.audit import Event
from app.access.domain import (
    NOTHING,
    OPERATOR,
    REVEALING,
    Action,
    Caller,
    Identity,
    Role,
    TokenScope,
    fold_login,
    is_storable,
    role_grant,
    token_grant,
)
from app.access.store import Kept
from app.access.views import TokenView, UserView, scopes_of, token_view, user_views
from app.foundation import clock, ids
from app.foundation.database import Database, exclusive
from app.foundation.errors import (
    BadInput,
    Conflict,
    Forbidden,
    NotFound,
    NotSignedIn,
    TooManyRequests,
    Unavailable,
)
from app.foundation.settings import Settings

FIRST_LOGIN = "admin"
HASHES_AT_ONCE = 4  # one takes 64 MB and a third of a second
HASHING_PATIENCE = 5.0  # seconds
TOKEN_MEMORY = 3.0  # seconds
TOKENS_REMEMBERED = 1000
TOKEN_USE_NOTED_EVERY = timedelta(hours=1)
SESSIONS_KEPT = timedelta(days=30)  # after they expired
LOGIN_LENGTH = 64  # characters
PASSWORD_LENGTH = range(10, 257)  # characters


class WrongCredentials(NotSignedIn):
    """No such login, a wrong password, or a disabled user: which of them is not told."""

    code = "wrong_credentials"
    title = "账号或密码不正确"


class TooManySignIns(TooManyRequests):
    """Too many failures of this login or from this address."""

    code = "too_many_sign_ins"
    title = "登录失败次数过多"


class WeakPassword(BadInput):
    """The password does not meet the rule."""

    code = "weak_password"
    title = "密码不符合要求"
    status = 422


class LoginTaken(Conflict):
    """Another user has this login."""

    code = "login_taken"
    title = "账号已存在"


class RoleHeld(Conflict):
    """The user already holds this role at this place."""

    code = "role_held"
    title = "该用户已有此角色"


class OwnRights(Forbidden):
    """Nobody changes her own rights: another administrator does."""

    code = "own_rights"
    title = "不能变更自己的权限"


class BeyondOwnRights(Forbidden):
    """A token that reveals content can only be made by somebody who may see it, or at the command line."""

    code = "beyond_own_rights"
    title = "不能授予自己没有的内容权限"


class Credentials(NamedTuple):
    """What the first administrator signs in with, shown once."""

    login: str
    password: str


class Access:
    """The room's service. `hasher` is argon2id with the library's recommended cost unless given."""

    def __init__(
        self, db: Database, settings: Settings, *, hasher: PasswordHash | None = None
    ) -> None:
        self.db = db
        self.settings = settings
        self._hasher = hasher or PasswordHash.recommended()
        self._tokens: dict[bytes, tuple[float, Identity]] = {}
        self._hashing = threading.BoundedSemaphore(HASHES_AT_ONCE)

    # users

    def create_first_administrator(self) -> Credentials | None:
        """Make the first user with a random password; None and no change when there are users."""
        password = secrets.token_urlsafe(15)
        hashed = self._hash(password)
        with self.db.write() as connection:
            exclusive(connection, "users")
            if store.count_users(connection):
                return None
            user_id = self._add_user(connection, FIRST_LOGIN, "系统管理员", hashed, None)
            audit.record(connection, Event.USER_CREATE, OPERATOR, user_id, login=FIRST_LOGIN)
            self._add_role(connection, OPERATOR, user_id, Role.ADMINISTRATOR, None)
        return Credentials(FIRST_LOGIN, password)

    def create_user(
        self,
        caller: Caller,
        *,
        login: str,
        name: str,
        password: str,
        employee_id: int | None = None,
        roles: Iterable[tuple[Role, int | None]] = (),
    ) -> str:
        """Make a user with roles and the departments they hold in; gives her id.

        Raises `LoginTaken`, `WeakPassword`.
        """
        login = fold_login(login)
        _check_login(login)
        _check_password(password, login)
        hashed = self._hash(password)
        with self.db.write() as connection:
            exclusive(connection, "users")
            if store.user_by_login(connection, login):
                raise LoginTaken(f"账号 {login} 已存在；请换一个")
            user_id = self._add_user(connection, login, name, hashed, employee_id)
            audit.record(
                connection, Event.USER_CREATE, caller, user_id, login=login, employee=employee_id
            )
            for role, department in dict.fromkeys(roles):
                self._add_role(connection, caller, user_id, role, department)
        return user_id

    def rename_user(self, caller: Caller, user_id: str, name: str) -> None:
        """Give a user another name to be shown by."""
        with self.db.write() as connection:
            self._known_user(connection, user_id)
            store.change_user(connection, user_id, {"name": name})
            audit.record(connection, Event.USER_CHANGE, caller, user_id, name=name)

    def link_employee(self, caller: Caller, user_id: str, employee_id: int | None) -> None:
        """Say which employee the user is; an adviser sees this employee's conversations."""
        _refuse_self(caller, user_id)
        with self.db.write() as connection:
            self._known_user(connection, user_id)
            store.change_user(connection, user_id, {"employee_id": employee_id})
            audit.record(connection, Event.USER_CHANGE, caller, user_id, employee=employee_id)

    def set_password(self, caller: Caller, user_id: str, password: str) -> None:
        """Give a user another password and end her sessions; raises `WeakPassword`."""
        with self.db.read() as connection:
            login = self._known_user(connection, user_id).login
        _check_password(password, login)
        hashed = self._hash(password)
        now = clock.now()
        with self.db.write() as connection:
            self._known_user(connection, user_id)
            store.change_user(connection, user_id, {"password_hash": hashed})
            store.end_sessions_of(connection, user_id, now)
            audit.record(connection, Event.USER_PASSWORD, caller, user_id)

    def disable_user(self, caller: Caller, user_id: str) -> None:
        """Keep a user out from now on and end her sessions; nobody disables herself."""
        _refuse_self(caller, user_id)
        now = clock.now()
        with self.db.write() as connection:
            if self._known_user(connection, user_id).disabled_at is not None:
                return
            store.change_user(connection, user_id, {"disabled_at": now})
            store.end_sessions_of(connection, user_id, now)
            audit.record(connection, Event.USER_DISABLE, caller, user_id)

    def enable_user(self, caller: Caller, user_id: str) -> None:
        """Let a disabled user in again."""
        with self.db.write() as connection:
            if self._known_user(connection, user_id).disabled_at is None:
                return
            store.change_user(connection, user_id, {"disabled_at": None})
            audit.record(connection, Event.USER_ENABLE, caller, user_id)

    def grant_role(
        self, caller: Caller, user_id: str, role: Role, department_id: int | None = None
    ) -> str:
        """Give a role, in one department's subtree or everywhere; gives the grant's id.

        Raises `RoleHeld`; nobody grants to herself.
        """
        _refuse_self(caller, user_id)
        with self.db.write() as connection:
            exclusive(connection, "users")
            self._known_user(connection, user_id)
            if store.has_role(connection, user_id, role, department_id):
                raise RoleHeld
            return self._add_role(connection, caller, user_id, role, department_id)

    def revoke_role(self, caller: Caller, user_id: str, grant_id: str) -> None:
        """Take a role away; holds from the user's next request on."""
        _refuse_self(caller, user_id)
        with self.db.write() as connection:
            held = store.role_of(connection, grant_id)
            if held is None or held.user_id != user_id:
                raise NotFound("没有这项角色授予")
            store.remove_role(connection, grant_id)
            audit.record(
                connection,
                Event.ROLE_REVOKE,
                caller,
                user_id,
                role=held.role,
                department=held.department_id,
            )

    def users(self, *, after: str = "", limit: int = 100) -> list[UserView]:
        """Users by login, those behind the login `after`."""
        with self.db.read() as connection:
            rows = store.users(connection, after=after, limit=limit)
            return user_views(connection, rows)

    def user(self, user_id: str) -> UserView:
        """One user; raises `NotFound`."""
        with self.db.read() as connection:
            return user_views(connection, [self._known_user(connection, user_id)])[0]

    # sign-in

    def sign_in(self, login: str, password: str, address: str, request_id: str = "") -> str:
        """Begin a session and give its token; raises `WrongCredentials` or `TooManySignIns`.

        An attempt counts before the password is looked at, so that many at once do not slip through, and an
        unknown login costs the same work as a known one.
        """
        login = fold_login(login)
        decoy = self._decoy
        attempt = self._admit(login, address, request_id)
        with self.db.read() as connection:
            found = store.user_by_login(connection, login)
        fits, better_hash = self._fits(password, found.password_hash if found else decoy)
        if found is None or found.disabled_at is not None or not fits:
            self._note_failure(found, address, request_id)
            raise WrongCredentials
        return self._begin_session(found, attempt, address, better_hash, request_id)

    def sign_out(self, token: str, request_id: str = "") -> None:
        """End a session; an unknown or ended one is left as it is."""
        hashed, now = _hash_token(token), clock.now()
        with self.db.write() as connection:
            found = store.session_user(connection, hashed, now)
            if found is None:
                return
            store.end_session(connection, hashed, now)
            audit.record(connection, Event.LOGOUT, _signing(found, request_id), found.id)

    def change_own_password(
        self, caller: Caller, current: str, password: str, address: str
    ) -> None:
        """Set one's own password after proving the current one; ends every session."""
        with self.db.read() as connection:
            found = self._known_user(connection, caller.id)
        attempt = self._admit(found.login, address, caller.request_id)
        if not self._fits(current, found.password_hash)[0]:
            self._note_failure(found, address, caller.request_id)
            raise WrongCredentials
        with self.db.write() as connection:
            attempts.forgive(connection, attempt, found.login)
        self.set_password(caller, caller.id, password)

    def identify_session(self, token: str) -> Identity:
        """Who a session belongs to, with today's roles; raises `NotSignedIn`."""
        with self.db.read() as connection:
            found = store.session_user(connection, _hash_token(token), clock.now())
            if found is None:
                raise NotSignedIn("登录已失效，请重新登录")
            held = store.roles(connection, [found.id])
        grants = tuple(role_grant(Role(r.role), r.department_id, found.employee_id) for r in held)
        return Identity("user", found.id, found.name, grants)

    def identify_user(self, user_id: str) -> Identity:
        """A user by her id, with today's roles, for what runs in her name; raises `NotSignedIn` when she is gone."""
        with self.db.read() as connection:
            found = store.user(connection, user_id)
            if found is None or found.disabled_at is not None:
                raise NotSignedIn
            held = store.roles(connection, [found.id])
        grants = tuple(role_grant(Role(r.role), r.department_id, found.employee_id) for r in held)
        return Identity("user", found.id, found.name, grants)

    def identify_token(self, token: str) -> Identity:
        """Who an API token stands for, remembered for `TOKEN_MEMORY` seconds; raises `NotSignedIn`."""
        hashed, now = _hash_token(token), time.monotonic()
        until, identity = self._tokens.get(hashed, (0.0, None))
        if identity is not None and now < until:
            return identity
        identity = self._look_up_token(hashed)
        if len(self._tokens) >= TOKENS_REMEMBERED:
            self._tokens.clear()
        self._tokens[hashed] = (now + TOKEN_MEMORY, identity)
        return identity

    def caller_of_session(
        self, token: str, action: Action | None = None, request_id: str = ""
    ) -> Caller:
        """The session's caller for one action; without an action her scope is empty."""
        return self.identify_session(token).caller(action, request_id)

    def caller_of_token(
        self, token: str, action: Action | None = None, request_id: str = ""
    ) -> Caller:
        """The token's caller for one action; without an action its scope is empty."""
        return self.identify_token(token).caller(action, request_id)

    # tokens

    def create_token(self, name: str, scopes: Iterable[TokenScope], caller: Caller) -> str:
        """Make an API token and give its text, which is shown this once; raises `BeyondOwnRights`."""
        return self.issue_token(name, scopes, caller)[1]

    def issue_token(
        self, name: str, scopes: Iterable[TokenScope], caller: Caller
    ) -> tuple[str, str]:
        """Make an API token; gives its id and its text."""
        wanted = sorted(set(scopes))
        _refuse_beyond(caller, wanted)
        token_id, text = ids.new_id("tok"), f"lh_{secrets.token_urlsafe(32)}"
        row = {
            "id": token_id,
            "token_hash": _hash_token(text),
            "name": name,
            "scopes": " ".join(wanted),
            "created_by": caller.id,
            "created_at": clock.now(),
        }
        with self.db.write() as connection:
            store.add_token(connection, row)
            audit.record(connection, Event.TOKEN_CREATE, caller, token_id, name=name, scopes=wanted)
        return token_id, text

    def revoke_token(self, caller: Caller, token_id: str) -> None:
        """Stop a token; a second call changes nothing."""
        with self.db.write() as connection:
            found = store.token(connection, token_id)
            if found is None:
                raise NotFound("没有这个令牌")
            if found.revoked_at is None:
                store.change_token(connection, token_id, {"revoked_at": clock.now()})
                audit.record(connection, Event.TOKEN_REVOKE, caller, token_id, name=found.name)
        self._tokens.clear()

    def tokens(self) -> list[TokenView]:
        """All tokens, newest first."""
        with self.db.read() as connection:
            return [token_view(row) for row in store.tokens(connection)]

    # audit

    def refuse(self, caller: Caller, action: Action) -> None:
        """Note in the trail that a known caller asked for what she may not do."""
        with self.db.write() as connection:
            audit.record(connection, Event.REFUSED, caller, action=action.value)

    # within

    @cached_property
    def _decoy(self) -> str:
        return self._hash(secrets.token_urlsafe(15))

    def _hash(self, password: str) -> str:
        return self._hasher.hash(_bytes(password))

    def _fits(self, password: str, hashed: str) -> tuple[bool, str | None]:
        if not self._hashing.acquire(timeout=HASHING_PATIENCE):
            raise Unavailable("登录请求过多，请稍后重试")
        try:
            return self._hasher.verify_and_update(_bytes(password), hashed)
        finally:
            self._hashing.release()

    def _admit(self, login: str, address: str, request_id: str) -> str:
        attempt = ids.new_id("att")
        with self.db.write() as connection:
            exclusive(connection, "sign-in")
            refused = attempts.admit(connection, attempt, login, address, clock.now())
            if refused is not None and refused.is_news:
                caller = _signing(None, request_id)
                audit.record(
                    connection, Event.LOGIN_THROTTLED, caller, by=refused.by, address=address
                )
        if refused is not None:
            raise TooManySignIns(f"请在 {refused.seconds} 秒后再试", retry_after=refused.seconds)
        return attempt

    def _note_failure(self, found: Kept | None, address: str, request_id: str) -> None:
        # an unknown login is not written down: people type passwords into that field
        caller = _signing(found, request_id)
        with self.db.write() as connection:
            audit.record(connection, Event.LOGIN_FAILED, caller, caller.id, address=address)

    def _begin_session(
        self,
        found: Kept,
        attempt: str,
        address: str,
        better_hash: str | None,
        request_id: str,
    ) -> str:
        token, now = secrets.token_urlsafe(32), clock.now()
        row = {
            "token_hash": _hash_token(token),
            "user_id": found.id,
            "created_at": now,
            "expires_at": now + timedelta(hours=self.settings.session_hours),
        }
        with self.db.write() as connection:
            if better_hash is not None:
                store.change_user(connection, found.id, {"password_hash": better_hash})
            attempts.forgive(connection, attempt, found.login)
            store.forget_sessions(connection, now - SESSIONS_KEPT)
            store.add_session(connection, row)
            caller = _signing(found, request_id)
            audit.record(connection, Event.LOGIN_OK, caller, found.id, address=address)
        return token

    def _look_up_token(self, hashed: bytes) -> Identity:
        with self.db.read() as connection:
            found = store.living_token(connection, hashed)
        if found is None:
            raise NotSignedIn("令牌无效或已撤销")
        self._note_use(found)
        grant = token_grant(scopes_of(found))
        return Identity("token", found.id, found.name, (grant,))

    def _note_use(self, found: Kept) -> None:
        now = clock.now()
        if found.last_used_at is not None and now - found.last_used_at < TOKEN_USE_NOTED_EVERY:
            return
        with contextlib.suppress(Unavailable), self.db.write() as connection:  # a convenience only
            store.change_token(connection, found.id, {"last_used_at": now})

    def _add_user(
        self,
        connection: Connection,
        login: str,
        name: str,
        hashed: str,
        employee_id: int | None,
    ) -> str:
        user_id = ids.new_id("usr")
        row = {
            "id": user_id,
            "login": login,
            "name": name,
            "password_hash": hashed,
            "employee_id": employee_id,
            "created_at": clock.now(),
        }
        store.add_user(connection, row)
        return user_id

    def _add_role(
        self,
        connection: Connection,
        caller: Caller,
        user_id: str,
        role: Role,
        department: int | None,
    ) -> str:
        grant_id = ids.new_id("grt")
        row = {"id": grant_id, "user_id": user_id, "role": role.value, "department_id": department}
        store.add_role(connection, row)
        audit.record(
            connection, Event.ROLE_GRANT, caller, user_id, role=role.value, department=department
        )
        return grant_id

    def _known_user(self, connection: Connection, user_id: str) -> Kept:
        found = store.user(connection, user_id)
        if found is None:
            raise NotFound("没有这个用户")
        return found


def _check_login(login: str) -> None:
    is_word = bool(login) and not any(character.isspace() for character in login)
    if not is_word or len(login) > LOGIN_LENGTH or not is_storable(login):
        raise BadInput(f"账号须为 1 至 {LOGIN_LENGTH} 个字符，不含空白")


def _check_password(password: str, login: str) -> None:
    if len(password) not in PASSWORD_LENGTH:
        raise WeakPassword(f"密码长度须为 {PASSWORD_LENGTH.start} 至 {PASSWORD_LENGTH.stop - 1} 位")
    if login in password.lower():
        raise WeakPassword("密码不能包含账号")


def _refuse_self(caller: Caller, user_id: str) -> None:
    if caller.id == user_id:
        raise OwnRights("请由另一位管理员操作")


def _refuse_beyond(caller: Caller, scopes: Sequence[TokenScope]) -> None:
    lacking = (token_grant(scopes).actions & REVEALING) - caller.actions
    if lacking:
        raise BeyondOwnRights(
            "请在服务器命令行上用 liuhen token create 创建", lacking=sorted(lacking)
        )


def _signing(found: Kept | None, request_id: str) -> Caller:
    """Somebody at the door, who holds nothing yet; nobody known without a row."""
    user_id, name = (found.id, found.name) if found else ("", "")
    return Caller("user", user_id, name, frozenset(), NOTHING, request_id)


def _bytes(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")


def _hash_token(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
