"""The check before sending, and who decides what it says."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Response
from pydantic import AfterValidator, BaseModel, Field

from app.access import Action, Caller
from app.access.api import Gate, RowId, storable
from app.advice.domain import MAX_TEXT, Decision, Outcome, Policy
from app.advice.service import Advice, Draft
from app.archive.domain import MAX_ID_LENGTH, ConversationKind, Party, PartyType
from app.people import fold_userid

Id = Annotated[str, Field(min_length=1, max_length=MAX_ID_LENGTH), AfterValidator(storable)]
Text = Annotated[str, Field(max_length=MAX_TEXT), AfterValidator(storable)]
Reason = Annotated[str, Field(max_length=1000), AfterValidator(storable)]
CheckName = Annotated[str, Path(max_length=64)]


class SenderIn(BaseModel):
    """The employee about to send."""

    type: Literal["employee"] = "employee"
    id: Id
    name: str | None = None


class RecipientIn(BaseModel):
    """Who will receive it."""

    type: PartyType
    id: Id
    name: str | None = None


class ConversationIn(BaseModel):
    """Where to: a single chat with the recipient, or a group by its id."""

    kind: ConversationKind = ConversationKind.SINGLE
    id: Id | None = None
    name: str | None = None


class CheckIn(BaseModel):
    """A text about to be sent; parties and conversation as in a message."""

    corp: Id
    sender: SenderIn
    recipients: Annotated[list[RecipientIn], Field(max_length=2000)] = []
    conversation: ConversationIn = ConversationIn()
    text: Text


class AdviceOut(BaseModel):
    """One finding with the wording that may be sent instead; `start` and `end` count characters of the text."""

    category: str
    severity: Literal["red", "orange", "yellow"]
    start: int
    end: int
    phrase: str
    rule: str
    basis: str
    explanation: str
    suggestion: str


class CheckOut(BaseModel):
    """What the check says."""

    check_id: str
    outcome: Outcome
    findings: list[AdviceOut]


class DecisionIn(BaseModel):
    """What the sender did; `text` is what he sent in the end where it differs."""

    decision: Decision
    reason: Reason = ""
    text: Text | None = None


class DecisionOut(BaseModel):
    """What is kept of it."""

    check_id: str
    decision: Decision
    reason: str
    decided_at: datetime


class PolicyIn(BaseModel):
    """What findings of each severity lead to, and whether the text of a warned check is kept."""

    department_id: RowId | None = None
    red: Outcome
    orange: Outcome
    yellow: Outcome
    keep_text: bool = False


class PolicyOut(PolicyIn):
    """A policy in force."""

    set_at: datetime
    set_by: str


class PolicyList(BaseModel):
    """Every policy in force; where none is set, red blocks, the others warn and no text is kept."""

    items: list[PolicyOut]


def routes(advice: Advice, gate: Gate) -> APIRouter:
    """Routes of the advice room."""
    router = APIRouter(tags=["发送前检查"])

    @router.post("/check", summary="发送前检查")
    def check_text(caller: Annotated[Caller, gate.needs(Action.CHECK)], given: CheckIn) -> CheckOut:
        check = advice.check(caller, _draft(given))
        findings = [AdviceOut.model_validate(each) for each in check.findings]
        return CheckOut(check_id=check.id, outcome=check.outcome, findings=findings)

    @router.post("/check/{name}/decision", summary="登记对提示的决定")
    def decide(
        caller: Annotated[Caller, gate.needs(Action.CHECK)], name: CheckName, given: DecisionIn
    ) -> DecisionOut:
        kept = advice.decide(caller, name, given.decision, reason=given.reason, text=given.text)
        return DecisionOut(
            check_id=name, decision=kept.decision, reason=kept.reason, decided_at=kept.at
        )

    @router.get("/check-policies", summary="检查策略")
    def list_policies(
        _caller: Annotated[Caller, gate.needs(Action.SEE_LEXICONS)],
    ) -> PolicyList:
        items = [
            PolicyOut(
                department_id=each.department_id,
                **each.policy._asdict(),
                set_at=each.at,
                set_by=each.actor_name,
            )
            for each in advice.policies()
        ]
        return PolicyList(items=items)

    @router.put("/check-policies", summary="设定检查策略", status_code=204)
    def set_policy(
        caller: Annotated[Caller, gate.needs(Action.MANAGE_OVERSIGHT)], given: PolicyIn
    ) -> Response:
        policy = Policy(given.red, given.orange, given.yellow, given.keep_text)
        advice.set_policy(caller, given.department_id, policy)
        return Response(status_code=204)

    return router


def _draft(given: CheckIn) -> Draft:
    return Draft(
        given.corp,
        given.sender.id,
        tuple(
            Party(each.type, _folded(each.type, each.id), each.name) for each in given.recipients
        ),
        given.conversation.kind,
        given.conversation.id,
        given.text,
    )


def _folded(kind: PartyType, identifier: str) -> str:
    return fold_userid(identifier) if kind is PartyType.EMPLOYEE else identifier
