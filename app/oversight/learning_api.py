"""What dispositions teach, over HTTP: precision by rule, and allow phrases as drafts of the word lists."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import AfterValidator, AwareDatetime, BaseModel, Field

from app.access import Action, Caller, Event, record
from app.access.api import Gate, storable
from app.foundation.database import Database
from app.oversight.learning import Span, draft_allowed, precision, proposals
from app.screening.service import Lexicons


class PrecisionOut(BaseModel):
    """How one rule did; `precision` is the share of resolved alerts that were a breach."""

    rule: str
    confirmed: int
    remedy: int
    lead: int
    false_alarm: int
    pending: int
    precision: float | None


class PrecisionList(BaseModel):
    """Every rule that raised an alert in the span."""

    items: list[PrecisionOut]


class ProposalOut(BaseModel):
    """A clause in which a rule was wrong, and the alerts that say so."""

    rule: str
    phrase: str
    times: int
    alerts: list[str]


class ProposalList(BaseModel):
    """What false alarms propose."""

    items: list[ProposalOut]


Words = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(storable)]


class PhraseIn(BaseModel):
    """A phrase from a false alarm; `example` is a sentence that must stay clear, by default the clause alerted."""

    alert: Annotated[str, Field(max_length=64), AfterValidator(storable)]
    rule: Annotated[str, Field(max_length=128), AfterValidator(storable)]
    phrase: Words
    example: Words | None = None


class DraftOut(BaseModel):
    """The draft made; with `failures` its phrase does not help, or spoils other examples."""

    id: str
    version: str
    state: str
    failures: int


def routes(db: Database, lexicons: Lexicons, gate: Gate) -> APIRouter:
    """Routes of what is learned from dispositions."""
    router = APIRouter(tags=["预警"])

    @router.get("/rule-precision", summary="各规则的准确率")
    def rule_precision(
        caller: Annotated[Caller, gate.needs(Action.SEE_ALERTS)],
        since: AwareDatetime | None = None,
        until: AwareDatetime | None = None,
    ) -> PrecisionList:
        with db.write() as connection:
            record(connection, Event.ALERT_FIGURES, caller, "rule-precision")
        with db.read() as connection:
            found = precision(connection, caller.scope, Span(since, until))
        return PrecisionList(items=[PrecisionOut(**each._asdict()) for each in found])

    @router.get("/allow-phrases", summary="误报提出的放行语")
    def allow_phrases(
        caller: Annotated[Caller, gate.needs(Action.SEE_ALERTS)],
    ) -> ProposalList:
        with db.write() as connection:
            record(connection, Event.ALERT_LIST, caller, "allow-phrases")
        with db.read() as connection:
            found = proposals(connection, caller.scope)
        return ProposalList(items=[ProposalOut(**each._asdict()) for each in found])

    @router.post("/allow-phrases", summary="以放行语起草词库版本", status_code=201)
    def draft_phrase(
        caller: Annotated[Caller, gate.needs(Action.MANAGE_LEXICONS)], given: PhraseIn
    ) -> DraftOut:
        made = draft_allowed(
            db,
            lexicons,
            caller,
            alert=given.alert,
            rule=given.rule,
            phrase=given.phrase,
            example=given.example,
        )
        return DraftOut(
            id=made.id, version=made.version, state=made.state, failures=len(made.failures)
        )

    return router
