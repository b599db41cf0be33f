"""The shapes in which versions of the word lists go in and out, over HTTP and to the command line."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, Field

from app.access import Caller, Event, record
from app.access.api import storable
from app.archive.models import position_of
from app.archive.store import message_id
from app.screening import backtests, lexicons
from app.screening.backtests import BacktestState
from app.screening.domain import Role
from app.screening.exchange import Imported
from app.screening.lexicons import Version
from app.screening.service import Lexicons
from app.screening.trace import Trace
from app.screening.versions import State, Step, alarms

NAME = r"^(lex_[0-9a-z]{1,40}|[0-9a-f]{16}|released)$"
LexiconWord = Annotated[str, Field(pattern=NAME)]
Words = Annotated[str, Field(max_length=2000), AfterValidator(storable)]


class FailureOut(BaseModel):
    """An example that does not hold."""

    file: str
    line: int
    rule: str
    sentence: str
    expected: Literal["match", "no_match"]


class VersionOut(BaseModel):
    """A version of the word lists."""

    id: str
    version: str
    state: State
    note: str
    based_on: str | None
    examples: int
    failures: list[FailureOut]
    created_by: str
    created_by_name: str
    created_at: datetime
    approved_by: str | None
    approved_by_name: str | None
    approved_at: datetime | None
    released_at: datetime | None
    retired_at: datetime | None


class VersionPage(BaseModel):
    """One page of versions, newest first; `next` asks for the following one."""

    items: list[VersionOut]
    next: str | None


class LexiconStepOut(BaseModel):
    """An entry of a version's history."""

    at: datetime
    step: Step
    state: State
    actor: str
    actor_name: str
    note: str


class SampleOut(BaseModel):
    """A finding that only one of the two lexicons makes: where it is, not its words."""

    message: str
    spoken: str
    start: int
    end: int
    category: str
    outcome: str
    severity: str
    rule: str


class SideOut(BaseModel):
    """What one lexicon makes of the messages."""

    findings: int
    leads: int
    alerts: int
    alerts_per_1000: float
    categories: dict[str, int]
    rules: dict[str, int]


class MovedOut(BaseModel):
    """Findings that come or go; samples are for those who see the whole archive."""

    count: int
    samples: list[SampleOut]


class BacktestOut(BaseModel):
    """A back-test and what it has found so far."""

    id: str
    state: BacktestState
    since: datetime | None
    until: datetime | None
    last: int | None
    done: int
    total: int
    messages: int
    released: SideOut
    candidate: SideOut
    gained: MovedOut
    lost: MovedOut
    warnings: list[str]
    started_by: str
    started_by_name: str
    created_at: datetime
    ended_at: datetime | None


class OneVersion(VersionOut):
    """A version with its history, oldest first, and what its approver should know."""

    history: list[LexiconStepOut]
    backtested: bool
    warnings: list[str]


class FilesOut(BaseModel):
    """The complete files of a version by path."""

    id: str
    version: str
    files: dict[str, str]


class FileChangeOut(BaseModel):
    """A file that differs."""

    path: str
    kind: Literal["added", "removed", "changed"]
    diff: str


class RuleChangeOut(BaseModel):
    """A rule that differs, in which fields."""

    rule: str
    name: str
    kind: Literal["added", "removed", "changed"]
    fields: list[str]


class DiffOut(BaseModel):
    """What one version changes against another."""

    files: list[FileChangeOut]
    rules: list[RuleChangeOut]


class DraftIn(BaseModel):
    """Files by path; null removes one from the base. Without a base they must be all."""

    files: Annotated[dict[Annotated[str, Field(max_length=80)], str | None], Field(max_length=200)]
    based_on: LexiconWord | None = "released"
    note: Words = ""


class ProblemOut(BaseModel):
    """A line of a table that was not taken."""

    line: int
    word: str
    problem: str


class ImportOut(BaseModel):
    """The draft made of a table, and the lines left out."""

    lexicon: VersionOut
    added: int
    problem_count: int
    problems: list[ProblemOut]


class TurnIn(BaseModel):
    """A message for the test bench."""

    role: Role = "adviser"
    text: Annotated[str, Field(max_length=20_000), AfterValidator(storable)]
    speaker: Annotated[str, Field(max_length=64), AfterValidator(storable)] = ""


class TryIn(BaseModel):
    """The messages of one conversation, oldest first."""

    messages: Annotated[list[TurnIn], Field(min_length=1, max_length=50)]


class HitOut(BaseModel):
    """A wording that stands in the text, and what its speaker does with it; places are in `folded`."""

    rule: str
    start: int
    end: int
    words: str
    stance: str


class RunOut(BaseModel):
    """What one speaker says in a row, as it is matched."""

    messages: list[int]
    role: Role
    folded: str
    hits: list[HitOut]


class FindingOut(BaseModel):
    """A finding; `start` and `end` lie in the text of `message`."""

    at: list[int]
    message: int
    category: str
    outcome: str
    severity: str
    start: int
    end: int
    phrase: str
    canonical: str
    evasion: str | None
    rule: str
    explanation: str
    basis: str
    suggestion: str
    confidence: float


class TryOut(BaseModel):
    """The steps of screening and the outcome."""

    runs: list[RunOut]
    findings: list[FindingOut]


class PeriodIn(BaseModel):
    """Which messages to screen: by the time they were sent, or the last ones of each corp's log."""

    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    last: Annotated[int, Field(ge=1, le=10**9)] | None = None


class ApprovalIn(BaseModel):
    """`override` says why to approve in spite of the back-test's warnings."""

    note: Words = ""
    override: Words = ""


class RejectionIn(BaseModel):
    """Why a version is refused."""

    reason: Words


class ReleaseIn(BaseModel):
    """`replaces` is the version the caller takes for the released one."""

    replaces: LexiconWord | None = None
    note: Words = ""


def version_out(version: Version) -> VersionOut:
    """A version as lists show it."""
    return VersionOut(**_plain(version, VersionOut))


def one_out(service: Lexicons, caller: Caller, name: str) -> OneVersion:
    """A version with its history."""
    version = service.one(name)
    with service.db.write() as connection:
        record(connection, Event.LEXICON_READ, caller, version.id)
        is_backtested, warnings = service.warnings(connection, version)
        steps = lexicons.history(connection, version)
    return OneVersion(
        **_plain(version, VersionOut),
        history=[LexiconStepOut(**each._asdict()) for each in steps],
        backtested=is_backtested,
        warnings=warnings,
    )


def diff_out(service: Lexicons, caller: Caller, old: str, new: str) -> DiffOut:
    """What `new` changes against `old`."""
    files, rules = service.difference(caller, old, new)
    return DiffOut.model_validate(
        {"files": [each._asdict() for each in files], "rules": [each._asdict() for each in rules]}
    )


def import_out(made: Version, imported: Imported) -> ImportOut:
    """The draft and what was left out."""
    problems = [ProblemOut(**each._asdict()) for each in imported.problems[:1000]]
    return ImportOut(
        lexicon=version_out(made),
        added=imported.added,
        problem_count=len(imported.problems),
        problems=problems,
    )


def backtest_out(run: backtests.Run, share: float, caller: Caller) -> BacktestOut:
    """A back-test as the caller may see it."""
    result, shows = run.result, caller.scope.is_everything
    fields = {
        name: value for name, value in run._asdict().items() if name in BacktestOut.model_fields
    }
    return BacktestOut(
        **fields,
        messages=result["messages"],
        released=_side(result, "released"),
        candidate=_side(result, "candidate"),
        gained=_moved(result["gained"], shows=shows),
        lost=_moved(result["lost"], shows=shows),
        warnings=alarms(result, share),
    )


def _plain(version: Version, model: type[BaseModel]) -> dict[str, Any]:
    fields = {
        name: value for name, value in version._asdict().items() if name in model.model_fields
    }
    return {**fields, "failures": [FailureOut(**each._asdict()) for each in version.failures]}


def _side(result: dict[str, Any], name: str) -> SideOut:
    side, messages = result[name], result["messages"]
    return SideOut(**side, alerts_per_1000=round(1000 * side["alerts"] / max(messages, 1), 3))


def _moved(moved: dict[str, Any], *, shows: bool) -> MovedOut:
    samples = [_sample(each) for each in moved["samples"]] if shows else []
    return MovedOut(count=moved["count"], samples=samples)


def _sample(fields: dict[str, Any]) -> SampleOut:
    names = {"message": fields["record"], "spoken": fields["spoken"]}
    places = {name: message_id(*position_of(number)) for name, number in names.items()}
    return SampleOut(
        **{name: fields[name] for name in SampleOut.model_fields if name in fields} | places
    )


def trace_out(found: Trace) -> TryOut:
    """The steps of screening and the outcome."""
    return TryOut(
        runs=[_run_out(each._asdict()) for each in found.runs],
        findings=[FindingOut.model_validate(each._asdict()) for each in found.findings],
    )


def _run_out(fields: dict[str, Any]) -> RunOut:
    hits = [each._asdict() for each in fields["hits"]]
    return RunOut.model_validate({**fields, "hits": hits})
