"""The life of an alert, as data."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from app.foundation.errors import BadInput, Conflict, Forbidden

STRETCH = timedelta(hours=2)  # silence that ends a stretch of conversation
MOST = 200  # messages of one alert; what comes then begins another
REPEATS = 2  # established breaches of an adviser that raise the next one by a level
REPEATS_WITHIN = timedelta(days=90)
TOP = 3  # levels up the line after which lateness is sent no further
SEVERITIES = ("red", "orange", "yellow")  # worst first


class State(StrEnum):
    """待处理, 处理中, 已升级, 待复核, 已办结."""

    OPEN = "open"
    CLAIMED = "claimed"
    ESCALATED = "escalated"
    PROPOSED = "proposed"
    RESOLVED = "resolved"


class Step(StrEnum):
    """What somebody, or the product itself, did with an alert."""

    RAISE = "raise"
    JOIN = "join"
    CLAIM = "claim"
    RELEASE = "release"
    ASSIGN = "assign"
    COMMENT = "comment"
    ESCALATE = "escalate"
    OVERDUE = "overdue"
    PROPOSE = "propose"
    APPROVE = "approve"
    RETURN = "return"
    RESOLVE = "resolve"
    REOPEN = "reopen"


class Disposition(StrEnum):
    """违规成立, 误报, 需整改, 客户线索."""

    CONFIRMED = "confirmed"
    FALSE_ALARM = "false_alarm"
    REMEDY = "remedy"
    LEAD = "lead"


ESTABLISHED = (Disposition.CONFIRMED, Disposition.REMEDY)  # a breach it was


class StepNotPossible(Conflict):
    """The alert is in a state that does not allow this step."""

    code = "step_not_possible"
    title = "预警当前状态不允许此操作"


class NotTheOwner(Conflict):
    """Somebody else deals with the alert."""

    code = "not_the_owner"
    title = "这条预警由其他人处理中"


class DispositionMissing(BadInput):
    """Resolving needs a disposition and its reason."""

    code = "disposition_missing"
    title = "办结须选择处置结论并说明理由"


class NoteMissing(BadInput):
    """The step needs a reason."""

    code = "note_missing"
    title = "须说明理由"


class OwnAlert(Forbidden):
    """Nobody handles an alert about himself or about a conversation he took part in."""

    code = "own_alert"
    title = "不能处理与本人有关的预警"


class SecondPersonNeeded(Forbidden):
    """Who proposed how to resolve an alert cannot approve it, and a program is no second person."""

    code = "second_reviewer_needed"
    title = "须由另一位人员复核"


class Transition(NamedTuple):
    """From which states a step is possible and where it leads; None stays."""

    sources: frozenset[State]
    target: State | None


_ALL = frozenset(State)
_AT_WORK = frozenset({State.OPEN, State.CLAIMED, State.ESCALATED})
JOINABLE = _AT_WORK  # states in which further findings join an alert
TRANSITIONS: dict[Step, Transition] = {
    Step.CLAIM: Transition(frozenset({State.OPEN, State.ESCALATED}), State.CLAIMED),
    Step.RELEASE: Transition(frozenset({State.CLAIMED}), State.OPEN),
    Step.ASSIGN: Transition(_AT_WORK, State.CLAIMED),
    Step.COMMENT: Transition(_ALL, None),
    Step.ESCALATE: Transition(_AT_WORK, State.ESCALATED),
    Step.PROPOSE: Transition(frozenset({State.CLAIMED}), State.PROPOSED),
    Step.APPROVE: Transition(frozenset({State.PROPOSED}), State.RESOLVED),
    Step.RETURN: Transition(frozenset({State.PROPOSED}), State.CLAIMED),
    Step.RESOLVE: Transition(frozenset({State.CLAIMED}), State.RESOLVED),
    Step.REOPEN: Transition(frozenset({State.RESOLVED}), State.OPEN),
}
_NOTED = frozenset({Step.ESCALATE, Step.RETURN, Step.REOPEN, Step.COMMENT})
_OWNERS = frozenset({Step.RELEASE, Step.RESOLVE, Step.PROPOSE})
_WORDS = {
    State.OPEN: "待处理",
    State.CLAIMED: "处理中",
    State.ESCALATED: "已升级",
    State.PROPOSED: "待复核",
    State.RESOLVED: "已办结",
}


class Actor(NamedTuple):
    """Who takes a step: `kind` is `user`, `token` or `operator`."""

    kind: str
    id: str


class Held(NamedTuple):
    """What a step looks at: where the alert stands and who has it."""

    state: State
    severity: str
    owner: str | None
    proposed_by: str | None


def next_state(state: State, step: Step) -> State:
    """Where a step leads; raises `StepNotPossible`."""
    transition = TRANSITIONS.get(step)
    if transition is None or state not in transition.sources:
        raise StepNotPossible(f"预警{_WORDS[state]}，不能 {step}", state=state, step=step)
    return transition.target or state


def check_step(held: Held, step: Step, actor: Actor, *, note: str = "") -> tuple[Step, State]:
    """The step that is taken and where it leads; a red alert is only proposed to be resolved.

    Raises `StepNotPossible`, `NotTheOwner`, `SecondPersonNeeded`, `NoteMissing`.
    """
    if step is Step.RESOLVE and held.severity == SEVERITIES[0]:
        step = Step.PROPOSE
    state = next_state(held.state, step)
    if step in _OWNERS and held.owner != actor.id:
        raise NotTheOwner("请先认领，或由主管转派")
    if step in (Step.APPROVE, Step.RETURN) and (
        actor.kind != "user" or actor.id == held.proposed_by
    ):
        raise SecondPersonNeeded("请由提出处置意见以外的人员登录复核")
    if step in _NOTED and not note.strip():
        raise NoteMissing
    return step, state


def worst(severities: Iterable[str]) -> str:
    """The gravest of some severities."""
    return min(severities, key=SEVERITIES.index)


def raised(severity: str, established: int) -> str:
    """The severity of an alert about somebody with so many established breaches behind him."""
    if established < REPEATS:
        return severity
    return SEVERITIES[max(0, SEVERITIES.index(severity) - 1)]


class Breach(NamedTuple):
    """A violating message: its record, where and by whom it was sent."""

    record: int
    conversation: int
    adviser: str
    sent_at: datetime


class Open(NamedTuple):
    """An alert that further breaches may join."""

    alert: int
    last_at: datetime
    messages: int


class Group(NamedTuple):
    """Breaches that go together: into an alert that is there, or into a new one (None)."""

    alert: int | None
    breaches: tuple[Breach, ...]


def grouped(breaches: Iterable[Breach], known: Mapping[tuple[int, str], Open]) -> list[Group]:
    """One group per stretch of conversation and adviser; `known` are the newest open alerts by these two."""
    groups: list[Group] = []
    current: dict[tuple[int, str], tuple[int, Open]] = {}
    for breach in breaches:
        key = breach.conversation, breach.adviser
        place, latest = current.get(key, (-1, known.get(key)))
        if latest is None or not _joins(breach, latest):
            place, latest = len(groups), Open(0, breach.sent_at, 0)
            groups.append(Group(None, ()))
        elif place < 0:
            place = len(groups)
            groups.append(Group(latest.alert, ()))
        group = groups[place]
        groups[place] = group._replace(breaches=(*group.breaches, breach))
        last_at = max(latest.last_at, breach.sent_at)
        current[key] = place, latest._replace(last_at=last_at, messages=latest.messages + 1)
    return groups


def _joins(breach: Breach, latest: Open) -> bool:
    return latest.messages < MOST and abs(breach.sent_at - latest.last_at) <= STRETCH
