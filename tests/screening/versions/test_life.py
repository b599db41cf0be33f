"""The life of a version as a table, who may approve, and what a back-test warns of. No database."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.screening.versions import (
    BEGINNINGS,
    TRANSITIONS,
    Approver,
    LexiconStepNotPossible,
    OverrideMissing,
    ReasonMissing,
    SecondPersonNeeded,
    State,
    Step,
    alarms,
    check_approver,
    check_volume,
    next_state,
)


@given(st.lists(st.sampled_from(Step), max_size=15))
def test_states_follow_the_table_and_nothing_else(steps: list[Step]) -> None:
    state = State.DRAFT
    for each in steps:
        is_allowed = each in TRANSITIONS and state in TRANSITIONS[each].sources
        try:
            state = next_state(state, each)
        except LexiconStepNotPossible:
            assert not is_allowed
        else:
            assert is_allowed
            assert state is TRANSITIONS[each].target


@given(st.lists(st.sampled_from(Step), max_size=15))
def test_nothing_is_released_without_its_examples_and_an_approval(steps: list[Step]) -> None:
    state, done = State.DRAFT, []
    for each in steps:
        try:
            state = next_state(state, each)
        except LexiconStepNotPossible:
            continue
        done.append(each)
    if state in (State.RELEASED, State.RETIRED):
        assert done.index(Step.TEST) < done.index(Step.APPROVE) < done.index(Step.RELEASE)


def test_a_rejected_version_stays_rejected() -> None:
    for step in Step:
        with pytest.raises(LexiconStepNotPossible):
            next_state(State.REJECTED, step)


def test_every_state_is_reached() -> None:
    reached = {*BEGINNINGS.values(), *(each.target for each in TRANSITIONS.values())}
    assert reached == set(State)


def test_who_drafted_does_not_approve() -> None:
    check_approver(Approver("user", "usr_b"), "usr_a")
    for kind in ("user", "token"):
        with pytest.raises(SecondPersonNeeded):
            check_approver(Approver(kind, "usr_a"), "usr_a")
    with pytest.raises(SecondPersonNeeded):
        check_approver(Approver("token", "tok_b"), "usr_a")


def test_the_operator_approves_only_by_saying_so_and_why() -> None:
    operator = Approver("operator", "operator")
    with pytest.raises(SecondPersonNeeded):
        check_approver(operator, "usr_a", reason="理由")
    with pytest.raises(ReasonMissing):
        check_approver(operator, "usr_a", as_operator=True, reason=" ")
    check_approver(operator, "usr_a", as_operator=True, reason="合规岗休假")


def test_a_console_user_is_no_operator_by_saying_so() -> None:
    with pytest.raises(SecondPersonNeeded):
        check_approver(Approver("user", "usr_a"), "usr_a", as_operator=True, reason="理由")


def result(messages: int, released: int, candidate: int) -> dict[str, Any]:
    return {
        "messages": messages,
        "released": {"alerts": released},
        "candidate": {"alerts": candidate},
    }


@pytest.mark.parametrize(
    ("messages", "released", "candidate", "count"),
    [
        (1000, 10, 20, 0),
        (1000, 10, 21, 1),  # more than 2 %
        (10_000, 10, 51, 1),  # more than five times as many
        (10_000, 10, 50, 0),
        (1000, 0, 5, 0),
        (1000, 0, 6, 1),
        (1000, 1, 1000, 2),
        (0, 0, 0, 0),
    ],
)
def test_volume_warns_of_too_many_and_of_far_more_than_now(
    messages: int, released: int, candidate: int, count: int
) -> None:
    assert len(alarms(result(messages, released, candidate), 0.02)) == count


def test_a_warning_needs_a_reason_to_go_on() -> None:
    check_volume([], "")
    check_volume(["太多"], "已逐条核对")
    with pytest.raises(OverrideMissing) as refused:
        check_volume(["太多"], "  ")
    assert refused.value.facts["warnings"] == ["太多"]
