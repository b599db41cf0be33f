"""Roles, token scopes and how grants add up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.access import (
    EVERYTHING,
    NOTHING,
    OPERATOR,
    ROLE_ACTIONS,
    SCOPE_ACTIONS,
    Action,
    Role,
    Scope,
    TokenScope,
    is_storable,
)
from app.access.domain import REVEALING, Identity, fold_login, role_grant, token_grant, union

CONTENT = {Action.SEARCH, Action.OPEN, Action.OPEN_RAW, Action.SEE_ALERTS, Action.SEE_QUARANTINE}
SCOPES = st.one_of(
    st.just(EVERYTHING),
    st.builds(Scope, st.frozensets(st.integers(1, 5)), st.none() | st.just(7)),
)
HELD = st.lists(st.tuples(st.sampled_from(Role), st.none() | st.integers(1, 5)), max_size=5)


def test_every_role_and_every_token_scope_has_its_actions() -> None:
    assert ROLE_ACTIONS.keys() == set(Role)
    assert SCOPE_ACTIONS.keys() == set(TokenScope)
    assert all(ROLE_ACTIONS.values())
    assert all(SCOPE_ACTIONS.values())


def test_every_action_is_held_by_a_role_or_a_token() -> None:
    assert set(Action) == frozenset().union(*ROLE_ACTIONS.values(), *SCOPE_ACTIONS.values())


def test_the_administrator_sees_no_content() -> None:
    assert not ROLE_ACTIONS[Role.ADMINISTRATOR] & REVEALING
    assert not SCOPE_ACTIONS[TokenScope.ADMIN] & REVEALING


def test_the_auditor_sees_the_trail_and_nothing_else() -> None:
    assert ROLE_ACTIONS[Role.AUDITOR] == {Action.SEE_AUDIT}
    assert [role for role in Role if Action.SEE_AUDIT in ROLE_ACTIONS[role]] == [Role.AUDITOR]


def test_nobody_who_sees_content_manages_users() -> None:
    for actions in ROLE_ACTIONS.values():
        assert not (actions & CONTENT and actions & {Action.MANAGE_USERS, Action.MANAGE_TOKENS})


def test_nobody_asks_for_an_export_and_approves_it_by_one_role() -> None:
    for actions in ROLE_ACTIONS.values():
        assert not {Action.EXPORT, Action.APPROVE_EXPORT} <= actions


def test_the_inspector_changes_nothing() -> None:
    changing = {Action.REVIEW_ALERTS, Action.REPLAY_QUARANTINE, Action.MANAGE_PEOPLE, Action.INGEST}
    assert not ROLE_ACTIONS[Role.INSPECTOR] & changing


@given(HELD, st.sampled_from(Action))
def test_a_caller_sees_for_an_action_what_the_roles_with_it_show(
    held: list[tuple[Role, int | None]], action: Action
) -> None:
    grants = tuple(role_grant(role, department, 7) for role, department in held)
    caller = Identity("user", "usr_1", "样例", grants).caller(action)
    giving = [(role, place) for role, place in held if action in ROLE_ACTIONS[role]]
    assert caller.may(action) == bool(giving)
    if any(role is not Role.ADVISER and place is None for role, place in giving):
        assert caller.scope == EVERYTHING
    else:
        assert caller.scope == Scope(
            frozenset(place for role, place in giving if role is not Role.ADVISER and place),
            7 if any(role is Role.ADVISER for role, _ in giving) else None,
        )


def test_a_right_in_one_department_never_widens_a_right_in_another() -> None:
    grants = (role_grant(Role.ADMINISTRATOR, None, None), role_grant(Role.OFFICER, 3, None))
    caller = Identity("user", "usr_1", "样例", grants)
    assert caller.caller(Action.SEARCH).scope == Scope(frozenset({3}), None)
    assert caller.caller(Action.MANAGE_USERS).scope == EVERYTHING
    assert caller.caller().scope == NOTHING


def test_an_adviser_who_is_no_employee_sees_nothing() -> None:
    assert role_grant(Role.ADVISER, None, None).scope == NOTHING


@given(st.lists(SCOPES, max_size=4))
def test_a_union_of_scopes_shows_what_any_of_them_shows(scopes: list[Scope]) -> None:
    together = union(scopes)
    if EVERYTHING in scopes:
        assert together == EVERYTHING
        return
    assert together.departments == frozenset().union(*(scope.departments or () for scope in scopes))
    assert together.employee == (7 if any(scope.employee for scope in scopes) else None)


@given(st.sets(st.sampled_from(TokenScope)))
def test_a_token_may_what_its_scopes_may(scopes: set[TokenScope]) -> None:
    grant = token_grant(scopes)
    assert grant.actions == {action for scope in scopes for action in SCOPE_ACTIONS[scope]}


def test_the_operator_may_everything() -> None:
    assert all(OPERATOR.may(action) for action in Action)
    assert OPERATOR.scope == EVERYTHING


@pytest.mark.parametrize("login", [" Chief ", "CHIEF", "\uff43\uff48\uff49\uff45\uff46"])
def test_logins_are_compared_folded(login: str) -> None:
    assert fold_login(login) == "chief"


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0")))
def test_whole_characters_are_storable(text: str) -> None:
    assert is_storable(text)


@pytest.mark.parametrize("text", ["\0", "a\ud800", "\udfff"])
def test_nul_and_lone_surrogates_are_not_storable(text: str) -> None:
    assert not is_storable(text)
