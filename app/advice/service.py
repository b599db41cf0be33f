"""Check a text before it is sent, keep what became of it, and find it again in the archive."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from sqlalchemy import Connection

from app.access import EVERYTHING, Action, Caller, Event, Scope, record
from app.advice import store
from app.advice.domain import (
    DEFAULT,
    SALT_BYTES,
    CheckNotFound,
    DecidedAlready,
    Decision,
    NothingToDecide,
    NotTheSender,
    Outcome,
    Policy,
    ReasonMissing,
    digest,
    nearest,
    outcome,
)
from app.advice.rewrite import Span, rewrites
from app.advice.store import Check, Decided, PolicyRow
from app.archive.domain import ConversationKind, Party, PartyType
from app.archive.models import position_of, record_id
from app.archive.store import Message, find_conversation, latest_of, read_many
from app.foundation import clock, ids
from app.foundation.database import Database
from app.foundation.errors import Forbidden, NotFound
from app.people import (
    ancestors,
    corp_ids,
    departments_at,
    employee_id,
    fold_userid,
    known_corp,
    subtree,
    visible_departments,
    visible_userids,
)
from app.screening import Finding, Lexicon, Role, Turn, screen
from app.screening import Outcome as Found
from app.screening.follower import BEFORE, heard
from app.screening.store import Found as StoredFinding


class Draft(NamedTuple):
    """A text about to be sent, and where to."""

    corp: str
    sender: str
    recipients: tuple[Party, ...]
    kind: ConversationKind
    conversation: str | None
    text: str


class Advice:
    """The room's service. `lexicon` gives the one in force."""

    def __init__(self, db: Database, lexicon: Callable[[], Lexicon]) -> None:
        self.db, self._lexicon = db, lexicon

    def check(self, caller: Caller, draft: Draft) -> Check:
        """What the archive would find, with the wording that may be sent; raises `NotTheSender`."""
        sender, lexicon, now = fold_userid(draft.sender), self._lexicon(), clock.now()
        with self.db.read() as connection:
            corp_id = known_corp(connection, draft.corp)
            is_own = _may_check(connection, caller, corp_id, sender)
            said = _before(connection, corp_id, draft) if is_own else []
        if not is_own:
            self._refuse(caller, Action.CHECK)
        turns, _ = heard(said)
        look = partial(_look, turns, lexicon, _role(draft), sender, clock.to_ms(now))
        found = look(draft.text)
        salt = os.urandom(SALT_BYTES)
        with self.db.write() as connection:
            corp_id = corp_id or corp_ids(connection, [draft.corp])[draft.corp]
            policy = _policy(connection, corp_id, sender) if found else DEFAULT
            said_to_him = outcome(policy, [each.severity for each in found])
            is_kept = policy.keep_text and said_to_him is not Outcome.CLEAR
            check = Check(
                number=0,
                id=ids.new_id("chk"),
                corp_id=corp_id,
                sender=sender,
                conversation_id=said[-1].conversation_id if said else None,
                at=now,
                outcome=said_to_him,
                lexicon_version=lexicon.version,
                salt=salt,
                digest=digest(salt, draft.text),
                text=draft.text if is_kept else None,
                findings=list(_shown(draft.text, found, look)),
                actor=caller.id,
            )
            store.add(connection, check)
        return check

    def decide(
        self, caller: Caller, name: str, decision: Decision, *, reason: str, text: str | None
    ) -> Decided:
        """Keep what the sender did; the same again changes nothing.

        Raises `CheckNotFound`, `NothingToDecide`, `ReasonMissing`, `DecidedAlready`.
        """
        with self.db.write() as connection:
            check = store.one(connection, name)
            if not _may_check(connection, caller, check.corp_id, check.sender):
                raise CheckNotFound
            if check.outcome is Outcome.CLEAR:
                raise NothingToDecide
            if decision is Decision.SENT_ANYWAY and not reason.strip():
                raise ReasonMissing("请填写仍要按原文发送的理由")
            sent = None if text is None else digest(check.salt, text)
            wanted = Decided(clock.now(), decision, reason, sent)
            known = store.decision_of(connection, check)
            kept = known or store.decide(
                connection, check, wanted, text if check.text is not None else None, caller
            )
            if kept[1:] != wanted[1:]:
                raise DecidedAlready(decision=kept.decision)
            if known is None:
                _match_back(connection, check, kept)
                facts = {"decision": decision, "outcome": check.outcome}
                record(connection, Event.CHECK_DECIDE, caller, name, **facts)
        return kept

    def policies(self) -> list[PolicyRow]:
        """Every policy in force."""
        with self.db.read() as connection:
            return store.policies(connection)

    def set_policy(self, caller: Caller, department: int | None, policy: Policy) -> None:
        """Let a policy hold in a department and below it, or everywhere."""
        with self.db.write() as connection:
            _check_department(connection, caller, department)
            store.set_policy(connection, department, policy, caller)
            facts = {"department": department, **policy._asdict()}
            record(connection, Event.CHECK_POLICY, caller, **facts)

    def _refuse(self, caller: Caller, action: Action) -> None:
        with self.db.write() as connection:
            record(connection, Event.REFUSED, caller, action=action, reason=NotTheSender.code)
        raise NotTheSender("请以本人身份检查，或由有该员工管理范围的人员检查")


def _check_department(connection: Connection, caller: Caller, department: int | None) -> None:
    if department is None:
        if not caller.scope.is_everything:
            raise Forbidden("全公司的策略须由负责全公司的人员设定；请指定部门")
        return
    seen = visible_departments(connection, caller.scope)
    if not subtree(connection, [department]) or (seen is not None and department not in seen):
        raise NotFound("没有这个部门")


def match_warned(connection: Connection, found: Sequence[StoredFinding]) -> None:
    """Find the checks whose very text now stands in the archive as a violation, in the caller's transaction."""
    records = {each.record for each in found if each.outcome is Found.VIOLATION}
    if not records:
        return
    messages = read_many(connection, [position_of(each) for each in records], EVERYTHING)
    messages.sort(key=lambda each: each.seq)
    own = [each for each in messages if each.sender.type is PartyType.EMPLOYEE]
    for corp_id in {each.corp_id for each in own}:
        _match(connection, corp_id, [each for each in own if each.corp_id == corp_id])


def _match(connection: Connection, corp_id: int, messages: Sequence[Message]) -> None:
    moments = [each.sent_at for each in messages]
    senders = {fold_userid(each.sender.id) for each in messages}
    open_checks = store.unmatched(connection, corp_id, senders, min(moments), max(moments))
    pairs, taken = [], set[int]()
    for message in messages:
        for check, decided in open_checks:
            if check.number not in taken and _is_it(check, decided, message):
                taken.add(check.number)
                pairs.append((check, record_id(corp_id, message.seq)))
                break
    store.match(connection, pairs)


def _is_it(check: Check, decided: bytes | None, message: Message) -> bool:
    if check.sender != fold_userid(message.sender.id):
        return False
    if check.conversation_id not in (None, message.conversation_id):
        return False
    if not check.at - store.SKEW <= message.sent_at <= check.at + store.LATER:
        return False
    return digest(check.salt, message.text) in (check.digest, decided)


def _match_back(connection: Connection, check: Check, decided: Decided) -> None:
    """A message may be archived before its sender says that he has sent it, in other words than he checked."""
    if check.conversation_id is None or decided.digest is None:
        return
    for number, text in store.said_since(connection, check.conversation_id, check.at):
        if digest(check.salt, text) == decided.digest:
            store.match(connection, [(check, number)])
            return


def _may_check(connection: Connection, caller: Caller, corp_id: int | None, sender: str) -> bool:
    if caller.scope.is_everything:
        return True
    if corp_id is None:
        return False
    return sender in (visible_userids(connection, corp_id, caller.scope) or ())


def _before(connection: Connection, corp_id: int | None, draft: Draft) -> list[Message]:
    """What was said last in the conversation, as far as the sender himself took part in it."""
    if corp_id is None:
        return []
    sender = employee_id(connection, corp_id, draft.sender)
    if sender is None:
        return []
    parties = [(str(each.type), each.id) for each in draft.recipients]
    place = find_conversation(
        connection,
        corp_id,
        draft.conversation if draft.kind is ConversationKind.GROUP else None,
        [*parties, (str(PartyType.EMPLOYEE), fold_userid(draft.sender))],
    )
    if place is None:
        return []
    return latest_of(connection, place, Scope(frozenset(), sender), BEFORE)


def _role(draft: Draft) -> Role:
    """Without recipients the text is held to what holds towards clients."""
    to_client = any(each.type is not PartyType.EMPLOYEE for each in draft.recipients)
    return "adviser" if to_client or not draft.recipients else "colleague"


def _look(
    turns: Sequence[Turn], lexicon: Lexicon, role: Role, sender: str, at: int, text: str
) -> list[Finding]:
    """The violations that only this text makes, placed in it."""
    last = len(turns)
    at = max(at, turns[-1].sent_at if turns else 0)
    found = screen([*turns, Turn(role, text, sender, at)], lexicon)
    own = [
        each if each.message == last else each._replace(start=0, end=len(text))
        for each in found
        if last in each.at and each.outcome is Found.VIOLATION
    ]
    return list({(each.rule, each.category, each.start): each for each in reversed(own)}.values())[
        ::-1
    ]


def _shown(
    text: str, found: Sequence[Finding], look: Callable[[str], Sequence[Finding]]
) -> Iterator[dict[str, object]]:
    """The findings as they are answered and kept."""
    spans = {Span(each.start, each.end, each.category): each for each in found}
    made: Mapping[Span, str] = rewrites(text, list(spans), lambda said: _spans(look(said)))
    for each in found:
        yield {
            "category": each.category,
            "severity": str(each.severity),
            "start": each.start,
            "end": each.end,
            "phrase": each.phrase,
            "rule": each.rule,
            "basis": each.basis,
            "explanation": each.explanation,
            "suggestion": made.get(Span(each.start, each.end, each.category), each.suggestion),
        }


def _spans(found: Sequence[Finding]) -> list[Span]:
    return [Span(each.start, each.end, each.category) for each in found]


def _policy(connection: Connection, corp_id: int, sender: str) -> Policy:
    departments = departments_at(connection, corp_id, [sender], clock.now())[sender]
    lines = [ancestors(connection, each) for each in sorted(departments)]
    known = store.policies_for(connection, {place for line in lines for place in line})
    upward: list[list[int | None]] = [[*line, None] for line in lines]
    return nearest(known, upward)
