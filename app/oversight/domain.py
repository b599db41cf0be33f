"""The life of an alert, as data."""

from enum import StrEnum
from typing import NamedTuple

from app.foundation.errors import BadInput, Conflict


class State(StrEnum):
    """待处理, 处理中, 已升级, 已办结."""

    OPEN = "open"
    CLAIMED = "claimed"
    ESCALATED = "escalated"
    RESOLVED = "resolved"


class Step(StrEnum):
    """What somebody, or the product itself, did with an alert."""

    RAISE = "raise"
    JOIN = "join"
    CLAIM = "claim"
    RELEASE = "release"
    COMMENT = "comment"
    ESCALATE = "escalate"
    RESOLVE = "resolve"
    REOPEN = "reopen"


class Disposition(StrEnum):
    """违规成立, 误报, 需整改, 客户线索."""

    CONFIRMED = "confirmed"
    FALSE_ALARM = "false_alarm"
    REMEDY = "remedy"
    LEAD = "lead"


class StepNotPossible(Conflict):
    """The alert is in a state that does not allow this step."""

    code = "step_not_possible"
    title = "预警当前状态不允许此操作"


class DispositionMissing(BadInput):
    """Resolving needs a disposition and its reason."""

    code = "disposition_missing"
    title = "办结须选择处置结论并说明理由"


class Transition(NamedTuple):
    """From which states a step is possible and where it leads; None stays."""

    sources: frozenset[State]
    target: State | None


_ALL = frozenset(State)
TRANSITIONS: dict[Step, Transition] = {
    Step.CLAIM: Transition(frozenset({State.OPEN, State.ESCALATED}), State.CLAIMED),
    Step.RELEASE: Transition(frozenset({State.CLAIMED}), State.OPEN),
    Step.COMMENT: Transition(_ALL, None),
    Step.ESCALATE: Transition(frozenset({State.OPEN, State.CLAIMED}), State.ESCALATED),
    Step.RESOLVE: Transition(frozenset({State.CLAIMED, State.ESCALATED}), State.RESOLVED),
    Step.REOPEN: Transition(frozenset({State.RESOLVED}), State.OPEN),
}
SEVERITIES = ("red", "orange", "yellow")  # worst first


def next_state(state: State, step: Step) -> State:
    """Where a step leads; raises `StepNotPossible`."""
    transition = TRANSITIONS.get(step)
    if transition is None or state not in transition.sources:
        raise StepNotPossible(f"预警状态为 {state}，不能 {step}", state=state, step=step)
    return transition.target or state


def worst(severities: list[str]) -> str:
    """The gravest of some severities."""
    return min(severities, key=SEVERITIES.index)
