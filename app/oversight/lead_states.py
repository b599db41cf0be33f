"""The life of a lead, as data: what a client asks or complains of is followed up, and never held against anybody."""

from enum import StrEnum

from app.foundation.errors import BadInput, Conflict

COMPLAINT = "complaint_intent"  # the category whose leads are due soonest


class LeadState(StrEnum):
    """待跟进, 跟进中, 已完成, 无须跟进."""

    OPEN = "open"
    CLAIMED = "claimed"
    DONE = "done"
    DISMISSED = "dismissed"


class LeadStep(StrEnum):
    """What somebody, or the product itself, did with a lead."""

    NOTE = "note"
    JOIN = "join"
    CLAIM = "claim"
    RELEASE = "release"
    ASSIGN = "assign"
    COMMENT = "comment"
    POSTPONE = "postpone"
    DONE = "done"
    DISMISS = "dismiss"
    REOPEN = "reopen"


class LeadStepNotPossible(Conflict):
    """The lead is in a state that does not allow this step."""

    code = "lead_step_not_possible"
    title = "线索当前状态不允许此操作"


class LeadNoteMissing(BadInput):
    """The step needs a note."""

    code = "lead_note_missing"
    title = "须填写跟进说明"


class DueMissing(BadInput):
    """Postponing needs a moment to come."""

    code = "due_missing"
    title = "须给出将来的跟进期限"


AT_WORK = frozenset({LeadState.OPEN, LeadState.CLAIMED})
_ENDED = frozenset({LeadState.DONE, LeadState.DISMISSED})
LEAD_TRANSITIONS: dict[LeadStep, tuple[frozenset[LeadState], LeadState | None]] = {
    LeadStep.CLAIM: (frozenset({LeadState.OPEN}), LeadState.CLAIMED),
    LeadStep.RELEASE: (frozenset({LeadState.CLAIMED}), LeadState.OPEN),
    LeadStep.ASSIGN: (AT_WORK, LeadState.CLAIMED),
    LeadStep.COMMENT: (frozenset(LeadState), None),
    LeadStep.POSTPONE: (AT_WORK, None),
    LeadStep.DONE: (frozenset({LeadState.CLAIMED}), LeadState.DONE),
    LeadStep.DISMISS: (AT_WORK, LeadState.DISMISSED),
    LeadStep.REOPEN: (_ENDED, LeadState.OPEN),
}
_NOTED = frozenset(
    {LeadStep.COMMENT, LeadStep.POSTPONE, LeadStep.DONE, LeadStep.DISMISS, LeadStep.REOPEN}
)
_WORDS = {
    LeadState.OPEN: "待跟进",
    LeadState.CLAIMED: "跟进中",
    LeadState.DONE: "已完成",
    LeadState.DISMISSED: "无须跟进",
}


def next_lead_state(state: LeadState, step: LeadStep, *, note: str = "") -> LeadState:
    """Where a step leads; raises `LeadStepNotPossible`, `LeadNoteMissing`."""
    sources, target = LEAD_TRANSITIONS.get(step, (frozenset(), None))
    if state not in sources:
        raise LeadStepNotPossible(f"线索{_WORDS[state]}，不能 {step}", state=state, step=step)
    if step in _NOTED and not note.strip():
        raise LeadNoteMissing
    return target or state
