"""The routes of sign-in, users, tokens and the audit trail."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import AfterValidator, AwareDatetime, BaseModel, Field, StringConstraints

from app.access import audit
from app.access.audit import Event, Filter, Head, Link
from app.access.domain import (
    SESSION_COOKIE,
    Action,
    Caller,
    Role,
    TokenScope,
    is_storable,
)
from app.access.gate import Gate, address_of
from app.access.service import Access
from app.access.views import TokenView, UserView
from app.foundation import http, paging
from app.foundation.errors import BadInput
from app.foundation.paging import BadCursor

LARGEST_ID = 2**63 - 1


def storable(text: str) -> str:
    """Validator: text that both databases can keep."""
    if not is_storable(text):
        raise ValueError("text holds NUL or a lone surrogate")
    return text


Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=128),
    AfterValidator(storable),
]
Login = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=2, max_length=64, pattern=r"^[^\s:]+$"),
    AfterValidator(storable),
]
Words = Annotated[str, StringConstraints(max_length=512), AfterValidator(storable)]
RowId = Annotated[int, Field(ge=1, le=LARGEST_ID)]
UserId = Annotated[str, Path(pattern=r"^usr_[0-9a-z]{1,40}$")]
GrantId = Annotated[str, Path(pattern=r"^grt_[0-9a-z]{1,40}$")]
TokenId = Annotated[str, Path(pattern=r"^tok_[0-9a-z]{1,40}$")]
Limit = Annotated[int, Query(ge=1, le=1000)]


class SignIn(BaseModel):
    """A login and its password."""

    login: Annotated[str, Field(max_length=256)]
    password: Annotated[str, Field(max_length=1024)]


class OwnPassword(BaseModel):
    """The current password and the one that replaces it."""

    current: Annotated[str, Field(max_length=1024)]
    password: Annotated[str, Field(max_length=1024)]


class RoleIn(BaseModel):
    """A role; without a department it holds everywhere."""

    role: Role
    department_id: RowId | None = None


class RoleOut(BaseModel):
    """A role that a user holds."""

    id: str
    role: Role
    department_id: int | None


class UserIn(BaseModel):
    """A new user."""

    login: Login
    name: Name
    password: Annotated[str, Field(max_length=1024)]
    employee_id: RowId | None = None
    roles: Annotated[list[RoleIn], Field(max_length=100)] = []


class UserChange(BaseModel):
    """What changes of a user; a field that is not sent stays."""

    name: Name | None = None
    password: Annotated[str, Field(max_length=1024)] | None = None
    employee_id: RowId | None = None
    disabled: bool | None = None


class UserOut(BaseModel):
    """A user as lists show her."""

    id: str
    login: str
    name: str
    employee_id: int | None
    created_at: datetime
    disabled_at: datetime | None
    roles: list[RoleOut]


class UserPage(BaseModel):
    """Users by login; `next` is the cursor of the following page."""

    items: list[UserOut]
    next: str | None


class SessionOut(BaseModel):
    """Who is signed in and what she may do."""

    kind: str
    id: str
    name: str
    login: str | None
    employee_id: int | None
    roles: list[RoleOut]
    actions: list[Action]


class TokenIn(BaseModel):
    """A new token."""

    name: Name
    scopes: Annotated[list[TokenScope], Field(min_length=1, max_length=len(TokenScope))]


class TokenOut(BaseModel):
    """A token as lists show it."""

    id: str
    name: str
    scopes: list[TokenScope]
    created_by: str
    created_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None


class TokenPage(BaseModel):
    """All tokens, newest first."""

    items: list[TokenOut]


class NewToken(BaseModel):
    """A token with its text, which is shown this once."""

    id: str
    token: str


class Created(BaseModel):
    """The id of what was made."""

    id: str


class AuditEntry(BaseModel):
    """One entry of the trail; `hash` chains it to the entry before."""

    seq: int
    at: datetime
    event: str
    actor_kind: str
    actor_id: str
    actor_name: str
    subject: str
    request_id: str
    details: dict[str, Any]
    hash: str


class AuditPage(BaseModel):
    """Entries newest first; `next` is the cursor of the following page."""

    items: list[AuditEntry]
    next: str | None


class AuditFault(BaseModel):
    """Where the chain is broken: `gap`, `hash`, or `head` for a noted end that is gone."""

    seq: int
    kind: str


class AuditProof(BaseModel):
    """The verdict over the whole chain, and its end, worth noting elsewhere for the next time."""

    intact: bool
    seq: int
    hash: str
    differences: list[AuditFault]


class AuditQuery(BaseModel):
    """Which entries are wanted."""

    event: Event | None = None
    actor: Words | None = None
    subject: Words | None = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    cursor: str | None = None


def routes(access: Access, gate: Gate) -> APIRouter:
    """Every route of access."""
    router = APIRouter(tags=["access"], responses=http.PROBLEMS)
    for part in (_session_routes, _user_routes, _token_routes, _audit_routes):
        router.include_router(part(access, gate))
    return router


def _session_routes(access: Access, gate: Gate) -> APIRouter:
    router = APIRouter(prefix="/session")

    @router.post("", dependencies=[gate.open()], status_code=204)
    def sign_in(body: SignIn, request: Request, response: Response) -> None:
        """Sign in; the session is a cookie that scripts cannot read."""
        token = access.sign_in(
            body.login, body.password, address_of(request), http.request_id(request)
        )
        _set_cookie(response, access, token, access.settings.session_hours * 3600)

    @router.delete("", dependencies=[gate.open()], status_code=204)
    def sign_out(request: Request, response: Response) -> None:
        """End the session; without one nothing happens."""
        access.sign_out(request.cookies.get(SESSION_COOKIE, ""), http.request_id(request))
        _set_cookie(response, access, "", 0)

    @router.get("")
    def who_am_i(caller: Annotated[Caller, gate.signed_in()]) -> SessionOut:
        """Who is signed in, her roles and actions."""
        user = access.user(caller.id) if caller.kind == "user" else None
        return SessionOut(
            kind=caller.kind,
            id=caller.id,
            name=caller.name,
            login=user.login if user else None,
            employee_id=user.employee_id if user else None,
            roles=_user_out(user).roles if user else [],
            actions=sorted(caller.actions),
        )

    @router.put("/password", status_code=204)
    def change_own_password(
        body: OwnPassword, request: Request, caller: Annotated[Caller, gate.signed_in()]
    ) -> None:
        """Set one's own password; ends every session, this one included."""
        access.change_own_password(caller, body.current, body.password, address_of(request))

    return router


def _user_routes(access: Access, gate: Gate) -> APIRouter:
    router = APIRouter(prefix="/users")
    manager = gate.needs(Action.MANAGE_USERS)

    @router.get("")
    def list_users(
        _: Annotated[Caller, manager], limit: Limit = 100, cursor: str | None = None
    ) -> UserPage:
        """Users by login."""
        after = _text_position(cursor, of="users")
        users = access.users(after=after, limit=limit + 1)
        end = users[limit - 1].login if len(users) > limit else None
        return UserPage(
            items=[_user_out(user) for user in users[:limit]],
            next=paging.encode(end, of="users") if end is not None else None,
        )

    @router.post("", status_code=201)
    def create_user(body: UserIn, caller: Annotated[Caller, manager]) -> Created:
        """Make a user."""
        roles = [(each.role, each.department_id) for each in body.roles]
        fields = body.model_dump(exclude={"roles"})
        return Created(id=access.create_user(caller, roles=roles, **fields))

    @router.patch("/{user_id}")
    def change_user(
        user_id: UserId, body: UserChange, caller: Annotated[Caller, manager]
    ) -> UserOut:
        """Rename, disable or enable a user, set her password, link her employee."""
        _change_user(access, caller, user_id, body)
        return _user_out(access.user(user_id))

    @router.post("/{user_id}/roles", status_code=201)
    def grant_role(user_id: UserId, body: RoleIn, caller: Annotated[Caller, manager]) -> Created:
        """Give a role, in a department's subtree or everywhere."""
        return Created(id=access.grant_role(caller, user_id, body.role, body.department_id))

    @router.delete("/{user_id}/roles/{grant_id}", status_code=204)
    def revoke_role(user_id: UserId, grant_id: GrantId, caller: Annotated[Caller, manager]) -> None:
        """Take a role away."""
        access.revoke_role(caller, user_id, grant_id)

    return router


def _token_routes(access: Access, gate: Gate) -> APIRouter:
    router = APIRouter(prefix="/tokens")
    manager = gate.needs(Action.MANAGE_TOKENS)

    @router.get("")
    def list_tokens(_: Annotated[Caller, manager]) -> TokenPage:
        """All tokens, never with their text."""
        return TokenPage(items=[_token_out(each) for each in access.tokens()])

    @router.post("", status_code=201)
    def create_token(body: TokenIn, caller: Annotated[Caller, manager]) -> NewToken:
        """Make a token; its text is shown this once."""
        token_id, text = access.issue_token(body.name, body.scopes, caller)
        return NewToken(id=token_id, token=text)

    @router.delete("/{token_id}", status_code=204)
    def revoke_token(token_id: TokenId, caller: Annotated[Caller, manager]) -> None:
        """Stop a token."""
        access.revoke_token(caller, token_id)

    return router


def _audit_routes(access: Access, gate: Gate) -> APIRouter:
    router = APIRouter(prefix="/audit")
    reader = gate.needs(Action.SEE_AUDIT)

    @router.get("")
    def read_audit(
        caller: Annotated[Caller, reader], query: Annotated[AuditQuery, Query()]
    ) -> AuditPage:
        """Entries of the trail, newest first; reading them is an entry too."""
        filters = query.model_dump(mode="json", exclude={"cursor", "limit"}, exclude_none=True)
        before = _number_position(query.cursor, of=filters)
        _note(access, Event.AUDIT_READ, caller, filters | {"before": before})
        wanted = Filter(query.event, query.actor, query.subject, query.since, query.until)
        with access.db.read() as connection:
            links = audit.page(connection, wanted, before=before, limit=query.limit + 1)
        return _audit_page(links, query.limit, filters)

    @router.get("/verify")
    def verify_audit(
        caller: Annotated[Caller, reader],
        seq: Annotated[int | None, Query(ge=0, le=LARGEST_ID)] = None,
        hash: Annotated[str | None, Query(pattern="^[0-9a-f]{64}$")] = None,  # noqa: A002
    ) -> AuditProof:
        """Prove the whole chain; with a noted `seq` and `hash`, that its end then is still there."""
        noted = _noted(seq, hash)
        _note(access, Event.AUDIT_VERIFY, caller, {})
        with access.db.read() as connection:
            end = audit.head(connection)
            found = audit.verify(connection, noted)
        return AuditProof(
            intact=not found,
            seq=end.seq,
            hash=end.hash.hex(),
            differences=[AuditFault(seq=each.seq, kind=each.kind) for each in found],
        )

    return router


def _set_cookie(response: Response, access: Access, token: str, seconds: int) -> None:
    response.set_cookie(
        SESSION_COOKIE,
        token,
        max_age=seconds,
        path="/",
        secure=access.settings.public_url.startswith("https:"),
        httponly=True,
        samesite="strict",
    )


def _change_user(access: Access, caller: Caller, user_id: str, body: UserChange) -> None:
    if body.name is not None:
        access.rename_user(caller, user_id, body.name)
    if "employee_id" in body.model_fields_set:
        access.link_employee(caller, user_id, body.employee_id)
    if body.password is not None:
        access.set_password(caller, user_id, body.password)
    if body.disabled is True:
        access.disable_user(caller, user_id)
    if body.disabled is False:
        access.enable_user(caller, user_id)


def _note(access: Access, event: Event, caller: Caller, details: dict[str, Any]) -> None:
    with access.db.write() as connection:
        audit.record(connection, event, caller, **details)


def _noted(seq: int | None, digest: str | None) -> Head | None:
    if seq is None and digest is None:
        return None
    if seq is None or digest is None:
        raise BadInput("seq 与 hash 须一起给出")
    return Head(seq, bytes.fromhex(digest))


def _audit_page(links: Sequence[Link], limit: int, filters: dict[str, Any]) -> AuditPage:
    end = links[limit - 1].entry.seq if len(links) > limit else None
    return AuditPage(
        items=[_audit_entry(link) for link in links[:limit]],
        next=paging.encode(end, of=filters) if end is not None else None,
    )


def _audit_entry(link: Link) -> AuditEntry:
    return AuditEntry.model_validate(
        link.entry._asdict()
        | {
            "at": audit.moment(link.entry),
            "details": audit.details(link.entry),
            "hash": link.hash.hex(),
        }
    )


def _text_position(cursor: str | None, *, of: Any) -> str:
    if cursor is None:
        return ""
    position = paging.decode(cursor, of=of)
    if not isinstance(position, str) or not is_storable(position):
        raise BadCursor
    return position


def _number_position(cursor: str | None, *, of: Any) -> int | None:
    if cursor is None:
        return None
    position = paging.decode(cursor, of=of)
    if type(position) is not int or not 0 <= position <= LARGEST_ID:
        raise BadCursor
    return position


def _user_out(user: UserView) -> UserOut:
    roles = [RoleOut(**role._asdict()) for role in user.roles]
    return UserOut(**(user._asdict() | {"roles": roles}))


def _token_out(token: TokenView) -> TokenOut:
    return TokenOut(**(token._asdict() | {"scopes": list(token.scopes)}))


__all__ = ["LARGEST_ID", "Gate", "routes", "storable"]
