"""Who is who: corps, the department tree, employees and their supervisors, clients, groups, who served whom when.

Guarantees: people come from an import or, marked provisional, from messages; an import takes the good entries,
reports each bad one, and can be repeated; spans are half open; what a scope does not show is not in the answer,
because the scope is part of the query.
"""

from app.people.domain import KnownPeople, PartyRow, fold_userid
from app.people.service import People
from app.people.store import (
    ancestors,
    called,
    corp_codes,
    corp_ids,
    department_names,
    departments_at,
    departments_called,
    departments_named,
    employee_id,
    employee_key,
    known_corp,
    memberships_of,
    names,
    note_parties,
    subtree,
    supervisor_of,
    visible_departments,
    visible_userids,
)

__all__ = [
    "KnownPeople",
    "PartyRow",
    "People",
    "ancestors",
    "called",
    "corp_codes",
    "corp_ids",
    "department_names",
    "departments_at",
    "departments_called",
    "departments_named",
    "employee_id",
    "employee_key",
    "fold_userid",
    "known_corp",
    "memberships_of",
    "names",
    "note_parties",
    "subtree",
    "supervisor_of",
    "visible_departments",
    "visible_userids",
]
