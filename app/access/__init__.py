"""Who may do what: users, sign-in, roles with scopes, API tokens, and the audit trail of all of it.

Guarantees: a right exists only where a role or a token scope gives it, in the scope it gives it for; nobody
changes her own rights; no change without its audit entry in the same transaction; the trail is append-only and
proves itself.
"""

from app.access.audit import Event, Head, record, verify
from app.access.domain import (
    EVERYTHING,
    NOTHING,
    OPERATOR,
    ROLE_ACTIONS,
    SCOPE_ACTIONS,
    Action,
    Caller,
    Role,
    Scope,
    TokenScope,
    is_storable,
    operator,
)
from app.access.holders import Holder, employee_of, employee_of_user, holders
from app.access.service import Access

__all__ = [
    "EVERYTHING",
    "NOTHING",
    "OPERATOR",
    "ROLE_ACTIONS",
    "SCOPE_ACTIONS",
    "Access",
    "Action",
    "Caller",
    "Event",
    "Head",
    "Holder",
    "Role",
    "Scope",
    "TokenScope",
    "employee_of",
    "employee_of_user",
    "holders",
    "is_storable",
    "operator",
    "record",
    "verify",
]
