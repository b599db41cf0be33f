"""Who may do what, as data: actions, the roles and token scopes that hold them, and how far a caller sees.

Rights come as grants: a set of actions together with the scope in which they hold. A caller is made for one
action at a time and carries the scope of exactly the grants that give this action, so that a right in one
department never widens a right in another.
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, NamedTuple

SESSION_COOKIE = "liuhen_session"


class Action(StrEnum):
    """Everything that can be permitted. A route, a command and a role speak of nothing else."""

    INGEST = "ingest"
    CHECK = "check"
    SEARCH = "search"  # find messages
    OPEN = "open"  # one message with its surroundings
    OPEN_RAW = "open_raw"  # the exact bytes as received
    READ_OWN = "read_own"  # an adviser's own messages and warnings
    SEE_ALERTS = "see_alerts"
    REVIEW_ALERTS = "review_alerts"
    SEE_PEOPLE = "see_people"
    MANAGE_PEOPLE = "manage_people"
    SEE_QUARANTINE = "see_quarantine"
    REPLAY_QUARANTINE = "replay_quarantine"
    SEE_AUDIT = "see_audit"
    MANAGE_USERS = "manage_users"
    MANAGE_TOKENS = "manage_tokens"
    OPERATE = "operate"  # jobs, lag, rebuild, fsck
    EXPORT = "export"
    APPROVE_EXPORT = "approve_export"
    SEE_RETENTION = "see_retention"  # schedules, holds, disposals and their certificates
    MANAGE_RETENTION = "manage_retention"  # propose, hold, ask for and do what others agreed to
    APPROVE_RETENTION = "approve_retention"
    SEE_LEXICONS = "see_lexicons"  # versions of the word lists, their files and back-tests
    MANAGE_LEXICONS = "manage_lexicons"  # draft, back-test, release what a second person approved
    APPROVE_LEXICON = "approve_lexicon"
    MANAGE_OVERSIGHT = "manage_oversight"  # what a check says, who is told of alerts and by when


class Role(StrEnum):
    """合规专员, 主管, 检查人员, 财富顾问, 系统管理员, 审计员."""

    OFFICER = "officer"
    SUPERVISOR = "supervisor"
    INSPECTOR = "inspector"
    ADVISER = "adviser"
    ADMINISTRATOR = "administrator"
    AUDITOR = "auditor"


class TokenScope(StrEnum):
    """What a program may be trusted with (contract, section 2)."""

    INGEST = "ingest"
    CHECK = "check"
    SEARCH = "search"
    ALERTS = "alerts"
    EXPORT = "export"
    ADMIN = "admin"


ROLE_ACTIONS: dict[Role, frozenset[Action]] = {
    Role.OFFICER: frozenset(
        {
            Action.SEARCH,
            Action.OPEN,
            Action.OPEN_RAW,
            Action.SEE_ALERTS,
            Action.REVIEW_ALERTS,
            Action.SEE_PEOPLE,
            Action.SEE_QUARANTINE,
            Action.REPLAY_QUARANTINE,
            Action.CHECK,
            Action.EXPORT,
            Action.SEE_RETENTION,
            Action.MANAGE_RETENTION,
            Action.APPROVE_RETENTION,
            Action.SEE_LEXICONS,
            Action.MANAGE_LEXICONS,
            Action.APPROVE_LEXICON,
            Action.MANAGE_OVERSIGHT,
        }
    ),
    Role.SUPERVISOR: frozenset(
        {
            Action.SEARCH,
            Action.OPEN,
            Action.SEE_ALERTS,
            Action.REVIEW_ALERTS,
            Action.SEE_PEOPLE,
            Action.CHECK,
            Action.APPROVE_EXPORT,
            Action.SEE_RETENTION,
            Action.APPROVE_RETENTION,
            Action.SEE_LEXICONS,
            Action.APPROVE_LEXICON,
        }
    ),
    Role.INSPECTOR: frozenset(
        {
            Action.SEARCH,
            Action.OPEN,
            Action.OPEN_RAW,
            Action.SEE_ALERTS,
            Action.SEE_PEOPLE,
            Action.EXPORT,
            Action.SEE_RETENTION,
        }
    ),
    Role.ADVISER: frozenset({Action.CHECK, Action.READ_OWN}),
    Role.ADMINISTRATOR: frozenset(
        {
            Action.SEE_PEOPLE,
            Action.MANAGE_PEOPLE,
            Action.MANAGE_USERS,
            Action.MANAGE_TOKENS,
            Action.OPERATE,
        }
    ),
    Role.AUDITOR: frozenset({Action.SEE_AUDIT}),
}

SCOPE_ACTIONS: dict[TokenScope, frozenset[Action]] = {
    TokenScope.INGEST: frozenset({Action.INGEST}),
    TokenScope.CHECK: frozenset({Action.CHECK}),
    TokenScope.SEARCH: frozenset(
        {
            Action.SEARCH,
            Action.OPEN,
            Action.OPEN_RAW,
            Action.SEE_PEOPLE,
            Action.SEE_QUARANTINE,
        }
    ),
    TokenScope.ALERTS: frozenset({Action.SEE_ALERTS, Action.REVIEW_ALERTS}),
    TokenScope.EXPORT: frozenset({Action.EXPORT}),
    TokenScope.ADMIN: frozenset(
        {
            Action.SEE_PEOPLE,
            Action.MANAGE_PEOPLE,
            Action.MANAGE_USERS,
            Action.MANAGE_TOKENS,
            Action.REPLAY_QUARANTINE,
            Action.OPERATE,
            Action.SEE_LEXICONS,
            Action.MANAGE_LEXICONS,
            Action.MANAGE_OVERSIGHT,
        }
    ),
}

REVEALING = frozenset(  # what shows people's words, or who asked for them
    {
        Action.SEARCH,
        Action.OPEN,
        Action.OPEN_RAW,
        Action.READ_OWN,
        Action.SEE_ALERTS,
        Action.REVIEW_ALERTS,
        Action.SEE_QUARANTINE,
        Action.SEE_AUDIT,
        Action.EXPORT,
        Action.APPROVE_EXPORT,
    }
)


class Scope(NamedTuple):
    """How far a caller sees: the union of department subtrees and of one employee's own conversations.

    `departments` are row ids whose whole subtree is seen, None is everything. `employee` is a row id.
    `Scope(frozenset(), 7)` sees employee 7 alone, `Scope(frozenset(), None)` nothing.
    """

    departments: frozenset[int] | None
    employee: int | None

    @property
    def is_everything(self) -> bool:
        """Whether nothing is hidden."""
        return self.departments is None


EVERYTHING = Scope(None, None)
NOTHING = Scope(frozenset(), None)


class Grant(NamedTuple):
    """Actions and the scope in which they hold."""

    actions: frozenset[Action]
    scope: Scope


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, seen from one action: `scope` is where this action holds.

    `id` is `usr_…`, `tok_…` or `operator`; `actions` are all that the caller holds somewhere.
    """

    kind: Literal["user", "token", "operator"]
    id: str
    name: str
    actions: frozenset[Action]
    scope: Scope
    request_id: str = ""

    def may(self, action: Action) -> bool:
        """Whether the caller holds the action at all."""
        return action in self.actions


class Identity(NamedTuple):
    """Somebody known by a session or a token, with every grant."""

    kind: Literal["user", "token"]
    id: str
    name: str
    grants: tuple[Grant, ...]

    def caller(self, action: Action | None = None, request_id: str = "") -> Caller:
        """The caller as she is for one action; without an action she sees nothing."""
        actions = frozenset[Action]().union(*(grant.actions for grant in self.grants))
        scope = union(grant.scope for grant in self.grants if action in grant.actions)
        return Caller(self.kind, self.id, self.name, actions, scope, request_id)


def union(scopes: Iterable[Scope]) -> Scope:
    """What several scopes show together; nothing when there are none.

    An employee's own conversations belong to one user, hence to one employee.
    """
    seen = list(scopes)
    if any(scope.is_everything for scope in seen):
        return EVERYTHING
    departments = frozenset[int]().union(*(scope.departments or () for scope in seen))
    own = [scope.employee for scope in seen if scope.employee is not None]
    return Scope(departments, own[0] if own else None)


def role_grant(role: Role, department: int | None, employee: int | None) -> Grant:
    """What a role gives: an adviser sees herself, every other role its department or everything."""
    if role is Role.ADVISER:
        return Grant(ROLE_ACTIONS[role], Scope(frozenset(), employee))
    if department is None:
        return Grant(ROLE_ACTIONS[role], EVERYTHING)
    return Grant(ROLE_ACTIONS[role], Scope(frozenset({department}), None))


def token_grant(scopes: Iterable[TokenScope]) -> Grant:
    """What a token gives: a program sees everything its scopes allow."""
    return Grant(frozenset[Action]().union(*(SCOPE_ACTIONS[each] for each in scopes)), EVERYTHING)


def operator(name: str = "local") -> Caller:
    """The person at the server's own command line, who holds the keys and the files anyway."""
    return Caller("operator", "operator", name, frozenset(Action), EVERYTHING)


OPERATOR = operator()


def fold_login(login: str) -> str:
    """The form in which logins are compared: NFKC, lower case, no outer blanks."""
    return unicodedata.normalize("NFKC", login).strip().lower()


def is_storable(text: str) -> bool:
    """Whether both databases can keep the text: no NUL, no lone surrogate."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)
