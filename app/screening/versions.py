"""The life of a version of the word lists, as data, and what must be true before somebody may approve it."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from app.foundation.errors import BadInput, Conflict, Forbidden

GROWTH = 5  # times the alerts of the released version


class State(StrEnum):
    """草稿, 示例通过, 已回测, 已批准, 已发布, 已退役, 已驳回."""

    DRAFT = "draft"
    TESTED = "tested"
    BACKTESTED = "backtested"
    APPROVED = "approved"
    RELEASED = "released"
    RETIRED = "retired"
    REJECTED = "rejected"


class Step(StrEnum):
    """What somebody, or the product itself, did with a version."""

    DRAFT = "draft"
    INSTALL = "install"  # the first lists of an installation come released
    TEST = "test"
    BACKTEST = "backtest"
    APPROVE = "approve"
    REJECT = "reject"
    RELEASE = "release"
    RETIRE = "retire"


class Transition(NamedTuple):
    """From which states a step is possible and where it leads."""

    sources: frozenset[State]
    target: State


_OPEN = frozenset({State.DRAFT, State.TESTED, State.BACKTESTED, State.APPROVED})
BEGINNINGS = {Step.DRAFT: State.DRAFT, Step.INSTALL: State.RELEASED}
TRANSITIONS: dict[Step, Transition] = {
    Step.TEST: Transition(frozenset({State.DRAFT}), State.TESTED),
    Step.BACKTEST: Transition(frozenset({State.TESTED, State.BACKTESTED}), State.BACKTESTED),
    Step.APPROVE: Transition(frozenset({State.TESTED, State.BACKTESTED}), State.APPROVED),
    Step.REJECT: Transition(_OPEN, State.REJECTED),
    Step.RELEASE: Transition(frozenset({State.APPROVED, State.RETIRED}), State.RELEASED),
    Step.RETIRE: Transition(frozenset({State.RELEASED}), State.RETIRED),
}
_WORDS = {
    State.DRAFT: "草稿（示例未全部通过）",
    State.TESTED: "示例已通过",
    State.BACKTESTED: "已回测",
    State.APPROVED: "已批准",
    State.RELEASED: "已发布",
    State.RETIRED: "已退役",
    State.REJECTED: "已驳回",
}


class LexiconStepNotPossible(Conflict):
    """The version is in a state that does not allow this step."""

    code = "lexicon_step_not_possible"
    title = "词库版本当前状态不允许此操作"


class ReleasedMeanwhile(Conflict):
    """Another version was released since the caller looked."""

    code = "lexicon_released_meanwhile"
    title = "另一个词库版本刚刚发布"


class SecondPersonNeeded(Forbidden):
    """Who drafted a version cannot approve it, and a program or the local operator is no second person."""

    code = "second_person_needed"
    title = "词库须由起草人以外的人员批准"


class OverrideMissing(Conflict):
    """The back-test shows an alarming volume; approving needs a reason."""

    code = "lexicon_override_missing"
    title = "回测显示预警量异常"


class ReasonMissing(BadInput):
    """The step needs a reason."""

    code = "reason_missing"
    title = "须说明理由"


class Approver(NamedTuple):
    """Who asks to approve: `kind` is `user`, `token` or `operator`."""

    kind: str
    id: str


def next_state(state: State, step: Step) -> State:
    """Where a step leads; raises `LexiconStepNotPossible`."""
    transition = TRANSITIONS.get(step)
    if transition is None or state not in transition.sources:
        raise LexiconStepNotPossible(f"该版本{_WORDS[state]}，不能 {step}", state=state, step=step)
    return transition.target


def check_approver(
    approver: Approver, drafted_by: str, *, as_operator: bool = False, reason: str = ""
) -> None:
    """Raise unless this is a second person, or the local operator who takes it on himself with a reason."""
    if approver.kind == "operator":
        if not as_operator:
            raise SecondPersonNeeded(
                "请在控制台由另一位人员批准；确需在本机代批，用 --as-operator 并说明理由"
            )
        if not reason.strip():
            raise ReasonMissing("以本机身份代批须用 --reason 说明理由")
        return
    if approver.kind != "user":
        raise SecondPersonNeeded("接口令牌不能批准词库")
    if approver.id == drafted_by:
        raise SecondPersonNeeded("起草人不能批准自己的版本")


def alarms(result: Mapping[str, Any], share: float) -> list[str]:
    """What a back-test's result warns of, in words: alerts on too many messages, or far more than now."""
    candidate, released = result["candidate"]["alerts"], result["released"]["alerts"]
    messages = result["messages"]
    found = []
    if candidate > share * messages:
        found.append(
            f"{messages} 条消息中有 {candidate} 条会预警，超过 {share:.1%}；多半有规则写得太宽"
        )
    if candidate > GROWTH * max(released, 1):
        found.append(f"预警 {candidate} 条，超过现行版本（{released} 条）的 {GROWTH} 倍")
    return found


def check_volume(warnings: list[str], override: str) -> None:
    """Raise `OverrideMissing` when there are warnings and no reason to go on in spite of them."""
    if warnings and not override.strip():
        raise OverrideMissing(f"{'；'.join(warnings)}。确认无误须填写放行理由", warnings=warnings)
